/**
 * @import { Job, JobEvent, JobRequest, JobState } from './shapes.js'
 * @import { ClientOptions } from './request.js'
 * @import { StreamOptions } from './stream.js'
 */
import { Caller } from './request.js';
import { readEvents } from './stream.js';

/** States that no job leaves by itself. */
const FINAL = ['done', 'failed', 'cancelled'];

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

  /** @param {ClientOptions} [options] */
  constructor(options = {}) {
    this.caller = new Caller(options);
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
   * The events of one job, from its submit on, until it has ended.
   * @param {string} id
   * @param {StreamOptions} [options]
   */
  watch(id, options = {}) {
    return this.events(`/v1/jobs/${id}/events`, options, FINAL);
  }

  /** @param {string} path @param {StreamOptions} options @param {string[]} [last] */
  events(path, options, last = []) {
    const open = (/** @type {Record<string, string>} */ headers, /** @type {AbortSignal} */ signal) =>
      this.caller.send('GET', path, { headers: { accept: 'text/event-stream', ...headers }, signal });
    return readEvents(open, options, last);
  }

  /**
   * Follows a job to its end: tells of every change, and of the whole job as often as it has changed.
   * @param {string} id
   * @param {FollowOptions} [options]
   * @returns {Promise<Job>} The job once it is final.
   */
  async follow(id, { signal, onJob, onEvent, onConnection } = {}) {
    /** @type {Job | null} */
    let job = null;
    let stale = false;
    /** @type {Promise<void> | null} */
    let reading = null;
    // Several events at once, as at the start, are one look at the job.
    const read = async () => {
      try {
        while (stale) {
          stale = false;
          job = await this.job(id, { signal });
          onJob?.(job);
        }
      } finally {
        reading = null;
      }
    };
    const look = () => {
      stale = true;
      reading ??= read();
      return reading;
    };
    await look();
    for await (const { name, data, ...rest } of this.watch(id, { signal, onConnection })) {
      const known = /** @type {Job | null} */ (job);
      if (name !== 'progress') {
        onEvent?.({ name, data, ...rest });
        look().catch(() => {});
      } else if (known?.attempt === data.attempt && !isFinal(known)) {
        job = /** @type {Job} */ ({ ...known, ...data });
        onJob?.(job);
      }
    }
    signal?.throwIfAborted();
    const last = /** @type {Job | null} */ (job);
    await (reading ?? (last && isFinal(last) ? last : look()));
    return /** @type {Job} */ (/** @type {unknown} */ (job));
  }
}

/** Makes an idempotency key. `randomUUID` is there on secure pages only; a page without TLS has only random bytes. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
