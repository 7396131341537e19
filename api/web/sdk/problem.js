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
