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
  const seconds = Number.parseInt(answer.headers.get('retry-after') ?? '', 10);
  const retryAfter = Number.isFinite(seconds) ? seconds : null;
  /** @type {ProblemBody} */
  let body = {
    type: 'about:blank/unexpected-answer',
    title: 'Unexpected answer',
    status: answer.status,
    detail: `The service answered ${answer.status} without saying why.`,
  };
  try {
    const said = await answer.json();
    if (typeof said?.type === 'string') body = { ...said, status: answer.status };
  } catch {
    // Not JSON: a proxy's page. The status says what there is to say.
  }
  return new Problem(body, retryAfter);
}
