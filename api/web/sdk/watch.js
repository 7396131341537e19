/**
 * @import { JobEvent } from './shapes.js'
 * @import { Caller } from './request.js'
 * @import { StreamOptions } from './stream.js'
 */
import { FINAL } from './jobs.js';
import { listen } from './share.js';

/** The history of a job comes at once; a stream that says nothing more for this long is not waited for. */
const QUIET = 250;

/** What is heard and not read yet. */
class Heard {
  #items = /** @type {(JobEvent | null)[]} */ ([]);
  #refused = /** @type {unknown} */ (null);
  #wake = () => {};
  #over = new AbortController();

  /**
   * @param {Caller} caller
   * @param {StreamOptions} options
   */
  constructor(caller, { signal, onConnection, onReset }) {
    const add = (/** @type {JobEvent | null} */ item) => {
      this.#items.push(item);
      this.#wake();
    };
    signal?.addEventListener('abort', () => this.end(), { signal: this.#over.signal });
    if (signal?.aborted) this.end();
    listen({
      caller,
      signal: this.#over.signal,
      onEvent: add,
      onConnection: (connection) => {
        onConnection?.(connection);
        if (connection === 'open') add(null);
      },
      onReset: () => {
        onReset?.();
        add(null);
      },
      onEnd: (error) => {
        this.#refused = error;
        add(null);
      },
    });
  }

  /** The next event; null where some may have been missed; undefined at the end. */
  async next() {
    for (;;) {
      if (this.#refused) throw this.#refused;
      if (this.#over.signal.aborted) return undefined;
      if (this.#items.length) return this.#items.shift();
      await new Promise((resolve) => (this.#wake = () => resolve(null)));
    }
  }

  end() {
    this.#over.abort();
    this.#wake();
  }
}

/**
 * The events of all jobs, by the stream that all pages share.
 * @param {Caller} caller
 * @param {StreamOptions} options
 * @returns {AsyncGenerator<JobEvent, void, void>}
 */
export async function* feedShared(caller, options) {
  const heard = new Heard(caller, options);
  try {
    for (let event; (event = await heard.next()) !== undefined; ) if (event) yield event;
  } finally {
    heard.end();
  }
}

/** Streams that are open for a moment are opened one after the other. */
let turn = Promise.resolve();

/**
 * The events of one job: what was, by a stream of its own that is closed as soon as it says no more; what comes, by the one that all
 * pages share. The events are numbered without gaps, so that one that is missed is noticed and fetched.
 * @param {Caller} caller
 * @param {string} id
 * @param {(options: StreamOptions) => AsyncGenerator<JobEvent, void, void>} open
 * @param {StreamOptions} options
 * @returns {AsyncGenerator<JobEvent, void, void>}
 */
export async function* watchShared(caller, id, open, options) {
  const heard = new Heard(caller, options);
  let last = Number(options.lastEventId ?? 0);
  const moves = (/** @type {JobEvent} */ { data }) => {
    if (data.seq === undefined || data.seq <= last) return false;
    last = data.seq;
    options.onPosition?.(String(last));
    return true;
  };
  try {
    for (let event; (event = await heard.next()) !== undefined; ) {
      if (event && event.data.job_id !== id) continue;
      if (event?.name === 'progress') yield event;
      else if (event?.data.seq === last + 1 && moves(event)) {
        yield { ...event, id: String(last) };
        if (FINAL.includes(event.name)) return;
      } else if (!event || (event.data.seq ?? 0) > last) {
        const { events, over } = await past(open, last, options.signal);
        for (const one of events) if (one.name === 'progress' || moves(one)) yield one;
        if (over) return;
      }
    }
  } finally {
    heard.end();
  }
}

/**
 * Reads what there is beyond an event by now.
 * @param {(options: StreamOptions) => AsyncGenerator<JobEvent, void, void>} open
 * @param {number} last
 * @param {AbortSignal | undefined} outer
 * @returns {Promise<{events: JobEvent[], over: boolean}>} `over`: the job has ended.
 */
async function past(open, last, outer) {
  const before = turn;
  let done = () => {};
  turn = new Promise((resolve) => (done = () => resolve(undefined)));
  await before;
  const controller = new AbortController();
  const stop = () => controller.abort();
  let idle = 0;
  const wait = () => {
    clearTimeout(idle);
    idle = Number(setTimeout(stop, QUIET));
  };
  outer?.addEventListener('abort', stop);
  /** @type {JobEvent[]} */
  const events = [];
  try {
    const lastEventId = last ? String(last) : null;
    for await (const event of open({ signal: controller.signal, lastEventId, onConnection: (connection) => connection === 'open' && wait() })) {
      events.push(event);
      wait();
    }
    return { events, over: !controller.signal.aborted };
  } finally {
    clearTimeout(idle);
    outer?.removeEventListener('abort', stop);
    done();
  }
}
