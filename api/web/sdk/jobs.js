/**
 * @import { Job, JobEvent, JobRequest, JobState } from './shapes.js'
 * @import { ClientOptions } from './request.js'
 * @import { Listener } from './share.js'
 */
import { Unreachable } from './problem.js';
import { Caller } from './request.js';

/** States that no job leaves by itself. */
export const FINAL = ['done', 'failed', 'cancelled'];

/** Without a stream a job is asked for this often. */
const UNCONNECTED = 4000;

/**
 * Whether a job has ended.
 * @param {{state: JobState}} job
 */
export function isFinal(job) {
  return FINAL.includes(job.state);
}

/**
 * @typedef {object} FollowOptions
 * @property {AbortSignal} [signal]
 * @property {(job: Job) => void} [onJob] Told of the job as it is now, again and again.
 * @property {(event: JobEvent) => void} [onEvent] Told of every event, the past ones first; not of progress.
 * @property {(connection: 'open' | 'lost') => void} [onConnection]
 */

/**
 * @typedef {object} SubmitOptions
 * @property {string} [idempotencyKey]
 * @property {number} [wait] Seconds that the answer may take, so that a quick job is there at once.
 * @property {AbortSignal} [signal]
 */

/** What is needed to make one report and follow it: submit, watch, cancel. */
export class Jobs {
  /** Sends requests; for what builds on this. */
  caller;

  /**
   * @param {ClientOptions} options
   * @param {(listener: Listener) => void} listen Tells of all of the caller's jobs, from now on.
   */
  constructor(options, listen) {
    this.caller = new Caller(options);
    this.listen = listen;
  }

  /**
   * Submits a job: once, however often it has to be sent.
   * @param {JobRequest} request
   * @param {SubmitOptions} [options]
   * @returns {Promise<Job>} Final already, when an identical job was the answer or it has ended within `wait` seconds.
   */
  submit(request, { idempotencyKey = newKey(), wait, signal } = {}) {
    /** @type {Record<string, string>} */
    const headers = { 'idempotency-key': idempotencyKey };
    if (wait) headers.prefer = `wait=${Math.ceil(wait)}`;
    return this.caller.json('POST', '/v1/jobs', { body: request, headers, signal });
  }

  /** @param {string} id @param {{signal?: AbortSignal}} [options] @returns {Promise<Job>} */
  job(id, options) {
    return this.caller.json('GET', `/v1/jobs/${id}`, options);
  }

  /** @param {string} id @returns {Promise<Job>} */
  cancel(id) {
    return this.caller.json('POST', `/v1/jobs/${id}/cancel`, { once: true });
  }

  /**
   * Tells what happens to a job.
   * @param {string} id
   * @param {Omit<Listener, 'caller'>} listener
   * @param {boolean} [_past] Whether to begin with what happened before; for what builds on this.
   * @returns {void | Promise<void>} Once there is no more to tell, where that is known.
   */
  hear(id, listener, _past) {
    const { onEvent } = listener;
    this.listen({ ...listener, caller: this.caller, onEvent: (event) => event.data.job_id === id && onEvent(event) });
  }

  /**
   * Follows a job to its end: tells of every change, and of the whole job as often as it has changed.
   * @param {string} id
   * @param {FollowOptions} [options]
   * @returns {Promise<Job>} The job once it is final.
   */
  async follow(id, { signal, onJob, onEvent, onConnection } = {}) {
    const over = new AbortController();
    let job = /** @type {Job | null} */ (null);
    let due = true;
    let connected = false;
    let wake = () => {};
    /** @type {unknown} */
    let refused;
    // Several events at once, as at the start, are one look at the job.
    const look = () => {
      due = true;
      wake();
    };
    const stop = () => {
      over.abort();
      look();
    };
    signal?.addEventListener('abort', stop);
    const told = this.hear(id, {
      signal: over.signal,
      onEvent: (event) => {
        const { name, data } = event;
        if (name !== 'progress') {
          onEvent?.(event);
          look();
        } else if (job && job.attempt === data.attempt && !isFinal(job)) onJob?.((job = /** @type {Job} */ ({ ...job, ...data })));
      },
      onConnection: (connection) => {
        connected = connection === 'open';
        onConnection?.(connection);
        look();
      },
      onReset: look,
      onEnd: (error) => {
        refused = error;
        look();
      },
    }, onEvent !== undefined);
    try {
      for (;;) {
        signal?.throwIfAborted();
        if (refused) throw refused;
        due = false;
        try {
          onJob?.((job = await this.job(id, { signal })));
        } catch (error) {
          // Out of reach for long, and asked for again: it goes on without us.
          if (!(error instanceof Unreachable)) throw error;
          due = true;
        }
        if (job && isFinal(job)) {
          if (onEvent) await told;
          return job;
        }
        // Where streams do not come through the job is asked for.
        const timer = connected ? 0 : setTimeout(look, UNCONNECTED);
        if (!due) await new Promise((resolve) => (wake = () => resolve(null)));
        clearTimeout(timer);
      }
    } finally {
      signal?.removeEventListener('abort', stop);
      over.abort();
    }
  }
}

/** Makes an idempotency key. `randomUUID` is there on secure pages only; a page without TLS has only random bytes. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
