export { Waitless } from './client.js';
export { isFinal, newKey } from './jobs.js';
export { Problem, Unreachable, isProblem } from './problem.js';
