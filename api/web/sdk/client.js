/**
 * @import { Delivery, Job, JobEvent, JobPage, JobRequest, JobState, Queue, Receipt, Report, Worker } from './shapes.js'
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

/** A gateway, for one caller. */
export class Waitless {
  #caller;

  /** @param {ClientOptions} [options] */
  constructor(options = {}) {
    this.#caller = new Caller(options);
    /** For keys with the scope `admin`. */
    this.admin = new Admin(this.#caller);
  }

  /** @returns {Promise<Report[]>} */
  async reports() {
    return (await this.#caller.json('GET', '/v1/reports')).reports;
  }

  /** @param {string} name @returns {Promise<Report>} */
  report(name) {
    return this.#caller.json('GET', `/v1/reports/${encodeURIComponent(name)}`);
  }

  /**
   * Submits a job: once, however often it has to be sent.
   * @param {JobRequest} request
   * @param {{idempotencyKey?: string, signal?: AbortSignal}} [options]
   * @returns {Promise<Job>}
   */
  submit(request, { idempotencyKey = newKey(), signal } = {}) {
    return this.#caller.json('POST', '/v1/jobs', {
      body: request,
      headers: { 'idempotency-key': idempotencyKey },
      signal,
    });
  }

  /**
   * Submits a job and follows it to its end.
   * @param {JobRequest} request
   * @param {FollowOptions & {idempotencyKey?: string}} [options]
   * @returns {Promise<Job>}
   */
  async run(request, options = {}) {
    const job = await this.submit(request, options);
    options.onJob?.(job);
    return this.follow(job.id, options);
  }

  /** @param {string} id @param {{signal?: AbortSignal}} [options] @returns {Promise<Job>} */
  job(id, options) {
    return this.#caller.json('GET', `/v1/jobs/${id}`, options);
  }

  /**
   * @param {{state?: JobState, report?: string, limit?: number, cursor?: string}} [filter]
   * @returns {Promise<JobPage>}
   */
  jobs(filter = {}) {
    return this.#caller.json('GET', `/v1/jobs${query(filter)}`);
  }

  /** @param {string} id @returns {Promise<Job>} */
  cancel(id) {
    return this.#caller.json('POST', `/v1/jobs/${id}/cancel`, { once: true });
  }

  /** @param {string} id @returns {Promise<Job>} */
  replay(id) {
    return this.#caller.json('POST', `/v1/jobs/${id}/replay`, { once: true });
  }

  /**
   * The events of one job, from its submit on, until it has ended.
   * @param {string} id
   * @param {StreamOptions} [options]
   */
  watch(id, options = {}) {
    return this.#events(`/v1/jobs/${id}/events`, options, FINAL);
  }

  /**
   * The events of all of the caller's jobs, from now on; without end.
   * @param {StreamOptions} [options]
   */
  feed(options = {}) {
    return this.#events('/v1/events', options);
  }

  /** @param {string} path @param {StreamOptions} options @param {string[]} [last] */
  #events(path, options, last = []) {
    const open = (/** @type {Record<string, string>} */ headers, /** @type {AbortSignal} */ signal) =>
      this.#caller.send('GET', path, { headers: { accept: 'text/event-stream', ...headers }, signal });
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
      } else if (known?.state === 'processing' && known.attempt === data.attempt && data.progress) {
        job = { ...known, progress: data.progress };
        onJob?.(job);
      }
    }
    signal?.throwIfAborted();
    const last = /** @type {Job | null} */ (job);
    await (reading ?? (last && isFinal(last) ? last : look()));
    return /** @type {Job} */ (/** @type {unknown} */ (job));
  }

  /**
   * Fetches a file. Where the storage signs, this follows to it.
   * @param {string} id
   * @param {string} format
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Response>}
   */
  file(id, format, { signal } = {}) {
    return this.#caller.call('GET', `/v1/jobs/${id}/artifacts/${format}`, { headers: { accept: '*/*' }, signal });
  }

  /** @param {string} id @param {string} format @returns {Promise<Receipt>} */
  receipt(id, format) {
    return this.#caller.json('GET', `/v1/jobs/${id}/artifacts/${format}/receipt`);
  }

  /** @param {string} id @param {string} format @returns {Promise<{revoked: boolean}>} */
  revokeLink(id, format) {
    return this.#caller.json('POST', `/v1/jobs/${id}/artifacts/${format}/revoke-link`);
  }
}

/** What operators see. */
class Admin {
  #caller;

  /** @param {Caller} caller */
  constructor(caller) {
    this.#caller = caller;
  }

  /** @returns {Promise<Queue[]>} */
  async queues() {
    return (await this.#caller.json('GET', '/v1/admin/queues')).queues;
  }

  /** @returns {Promise<Worker[]>} */
  async workers() {
    return (await this.#caller.json('GET', '/v1/admin/workers')).workers;
  }

  /** @param {{report?: string, limit?: number, cursor?: string}} [filter] @returns {Promise<JobPage>} */
  deadLetters(filter = {}) {
    return this.#caller.json('GET', `/v1/admin/dead-letters${query(filter)}`);
  }

  /**
   * Runs failed jobs again, at most 100 at once.
   * @param {string[]} jobs
   * @returns {Promise<{replayed: string[], wrong_state: string[], not_found: string[]}>}
   */
  replay(jobs) {
    return this.#caller.json('POST', '/v1/admin/dead-letters/replay', { body: { jobs } });
  }

  /** @param {{state?: string, limit?: number}} [filter] @returns {Promise<Delivery[]>} */
  async deliveries(filter = {}) {
    return (await this.#caller.json('GET', `/v1/admin/deliveries${query(filter)}`)).deliveries;
  }
}

/** @param {Record<string, string | number | undefined>} fields */
function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

/** Makes an idempotency key. `randomUUID` is there on secure pages only; a page without TLS has only random bytes. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
