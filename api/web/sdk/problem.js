/** @import { ProblemBody } from './shapes.js' */

/** What the gateway refused, and why. */
export class Problem extends Error {
  /**
   * @param {ProblemBody} body
   * @param {number | null} retryAfter Seconds the gateway asks to wait.
   */
  constructor(body, retryAfter = null) {
    super(body.detail || body.title);
    this.name = 'Problem';
    /** The last part of its type, for example `validation-failed`. */
    this.kind = body.type.slice(body.type.lastIndexOf('/') + 1);
    this.status = body.status;
    this.title = body.title;
    this.detail = body.detail;
    this.errors = body.errors ?? [];
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later. */
  get passes() {
    return [429, 502, 503, 504].includes(this.status);
  }
}

/**
 * Whether the gateway refused something. Asked by name, because a page may have two copies of this module: the widget has its own.
 * @param {unknown} error
 * @returns {error is Problem}
 */
export function isProblem(error) {
  return error instanceof Error && error.name === 'Problem';
}

/** The gateway could not be reached for as long as was asked. */
export class Unreachable extends Error {
  /** @param {unknown} cause */
  constructor(cause) {
    super('The service cannot be reached. Check the network; nothing that was accepted is lost.', { cause });
    this.name = 'Unreachable';
  }
}

/**
 * Reads the problem of an answer, also when something in between made the answer.
 * @param {Response} answer
 */
export async function readProblem(answer) {
  const said = await answer.json().catch(() => null);
  const retryAfter = Number.parseInt(answer.headers.get('retry-after') ?? '', 10) || null;
  const { status } = answer;
  // Not a problem: a page that a proxy made. The status says what there is to say.
  const unknown = { type: '/unexpected-answer', title: 'Unexpected answer', detail: `The service answered ${status}.` };
  return new Problem({ ...(typeof said?.type === 'string' ? said : unknown), status }, retryAfter);
}

/** What a page is told whose session has ended, or belongs to somebody else by now. */
export function unauthorized() {
  return new Problem({ type: '/unauthorized', title: 'The session has ended', status: 401, detail: 'Sign in again.' });
}
