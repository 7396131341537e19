export { Waitless } from './client.js';
export { isFinal, newKey } from './jobs.js';
export { Problem, Unreachable } from './problem.js';
