/** @import { JobEvent, EventName } from './shapes.js' */
import { FrameParser } from './parse.js';
import { isProblem, readProblem } from './problem.js';
import { backoff, onWake, pause } from './wait.js';

/** The gateway writes at least a comment every 15 seconds; a stream silent for longer than this is dead. */
const SILENCE = 40_000;

/** A clock that jumped by more than this means that the machine slept: the connection is not to be trusted. */
const SLEPT = 10_000;

/**
 * @typedef {object} StreamOptions
 * @property {AbortSignal} [signal] Ends the stream, without an error.
 * @property {string | null} [lastEventId] Resumes behind this event.
 * @property {(connection: 'open' | 'lost') => void} [onConnection] Told when the stream is there and when it is not.
 * @property {(id: string) => void} [onPosition] Told what to resume from.
 * @property {() => void} [onReset] Told when the place to resume from is gone: what happened meanwhile is to be asked for.
 */

/**
 * Reads events, and comes back for more whenever the stream breaks off, until the gateway says that there are no more.
 *
 * @param {(headers: Record<string, string>, signal: AbortSignal) => Promise<Response>} open
 * @param {StreamOptions} options
 * @param {string[]} finals Events after which an end of the stream is the end.
 * @returns {AsyncGenerator<JobEvent, void, void>}
 */
export async function* readEvents(open, options, finals) {
  const { signal } = options;
  let over = false;
  let last = options.lastEventId ?? null;
  let tries = 0;
  while (!signal?.aborted) {
    const connection = new Connection(signal);
    /** @type {number | null} */
    let retryAfter = null;
    try {
      const answer = await open(last === null ? {} : { 'last-event-id': last }, connection.signal);
      if (answer.status === 204) return;
      if (!answer.ok || !answer.body) throw await readProblem(answer);
      options.onConnection?.('open');
      const parser = new FrameParser();
      for await (const text of connection.read(answer.body)) {
        tries = 0;
        for (const frame of parser.push(text)) {
          // Why the stream ends: whoever connects again is told the same by a problem.
          if (frame.event === 'closed') continue;
          if (frame.id !== null) last = frame.id;
          over = finals.includes(frame.event);
          yield toEvent(frame);
        }
        if (parser.lastId !== null) options.onPosition?.((last = parser.lastId));
      }
      if (over) return;
    } catch (error) {
      if (signal?.aborted) return;
      if (isProblem(error)) {
        retryAfter = error.retryAfter;
        if (error.kind === 'invalid-event-id' && last !== null) {
          last = null;
          options.onReset?.();
        } else if (!error.passes) {
          throw error;
        }
      }
    } finally {
      connection.close();
    }
    options.onConnection?.('lost');
    if (signal?.aborted) return;
    await pause(backoff(tries++, retryAfter), signal).catch(() => {});
  }
}

/**
 * @param {import('./parse.js').Frame} frame
 * @returns {JobEvent}
 */
function toEvent(frame) {
  const said = JSON.parse(frame.data);
  return { name: /** @type {EventName} */ (frame.event), id: frame.id, time: said.time, data: said.data };
}

/** One connection, given up when it is silent for too long, when the machine slept, or when the network changed. */
class Connection {
  #controller = new AbortController();
  #heard = Date.now();
  #looked = Date.now();

  /** @param {AbortSignal | undefined} outer */
  constructor(outer) {
    const { signal } = this;
    outer?.addEventListener('abort', () => this.close(), { signal });
    const timer = setInterval(() => this.#look(), 1000);
    signal.addEventListener('abort', () => clearInterval(timer));
    // When the network comes back it may be another one.
    onWake((event) => (event.type === 'online' ? this.close() : this.#look()), signal);
  }

  get signal() {
    return this.#controller.signal;
  }

  #look() {
    const now = Date.now();
    const slept = now - this.#looked > SLEPT && now - this.#heard > SLEPT;
    this.#looked = now;
    if (slept || now - this.#heard > SILENCE) this.close();
  }

  /**
   * @param {ReadableStream<Uint8Array>} body
   * @returns {AsyncGenerator<string, void, void>}
   */
  async *read(body) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        this.#heard = Date.now();
        yield decoder.decode(value, { stream: true });
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  close() {
    this.#controller.abort();
  }
}
