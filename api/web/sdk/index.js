export { Waitless, isFinal, newKey } from './client.js';
export { Problem, Unreachable } from './problem.js';
