export { Waitless } from './client.js';
export { isFinal, moved, moves, newKey } from './jobs.js';
export { Problem, Unreachable } from './problem.js';
