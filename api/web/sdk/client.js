/**
 * @import { Delivery, Job, JobPage, JobRequest, JobState, Link, Pause, Preview, Queue, Receipt, Report, UsageReport, Worker } from './shapes.js'
 * @import { FollowOptions, SubmitOptions } from './jobs.js'
 * @import { Caller, ClientOptions } from './request.js'
 * @import { Listener } from './share.js'
 * @import { StreamOptions } from './stream.js'
 */
import { FINAL, Jobs, isFinal, newKey } from './jobs.js';
import { listen } from './share.js';
import { readEvents } from './stream.js';
import { watchShared, feedShared } from './watch.js';

/** Pages have six connections to a gateway, and share a stream; programs have as many as they like. */
const isPage = globalThis.document !== undefined;

/** A gateway, for one caller. */
export class Waitless extends Jobs {
  /** @param {ClientOptions} [options] */
  constructor(options = {}) {
    super(options, listen);
    /** For keys with the scope `admin`. */
    this.admin = new Admin(this.caller);
  }

  /** @returns {Promise<Report[]>} */
  async reports() {
    return (await this.caller.json('GET', '/v1/reports')).reports;
  }

  /** @param {string} name @returns {Promise<Report>} */
  report(name) {
    return this.caller.json('GET', `/v1/reports/${encodeURIComponent(name)}`);
  }

  /**
   * Submits a job and follows it to its end.
   * @param {JobRequest} request
   * @param {FollowOptions & SubmitOptions} [options]
   * @returns {Promise<Job>}
   */
  async run(request, options = {}) {
    const job = await this.submit(request, options);
    options.onJob?.(job);
    return isFinal(job) ? job : this.follow(job.id, options);
  }

  /**
   * @param {{state?: JobState, report?: string, limit?: number, cursor?: string}} [filter]
   * @returns {Promise<JobPage>}
   */
  jobs(filter = {}) {
    return this.caller.json('GET', `/v1/jobs${query(filter)}`);
  }

  /** What was used of each quota, today and in the last thirty days. @returns {Promise<UsageReport>} */
  usage() {
    return this.caller.json('GET', '/v1/usage');
  }

  /**
   * What opens a WebSocket on `/v1/ws`: `new WebSocket(url, (await waitless.ticket()).protocols)`.
   * @returns {Promise<{protocols: string[], expires_at: string}>}
   */
  ticket() {
    return this.caller.json('POST', '/v1/ws/ticket');
  }

  /**
   * Makes further formats of a finished job, from the Parquet file it kept.
   * @param {string} id
   * @param {string[]} formats
   * @param {SubmitOptions & Pick<JobRequest, 'notify'>} [options]
   * @returns {Promise<Job>}
   */
  formats(id, formats, { notify, idempotencyKey = newKey(), wait, signal } = {}) {
    /** @type {Record<string, string>} */
    const headers = { 'idempotency-key': idempotencyKey };
    if (wait) headers.prefer = `wait=${Math.ceil(wait)}`;
    return this.caller.json('POST', `/v1/jobs/${id}/formats`, { body: { formats, notify }, headers, signal });
  }

  /** @param {string} id @returns {Promise<Job>} */
  replay(id) {
    return this.caller.json('POST', `/v1/jobs/${id}/replay`, { once: true });
  }

  /**
   * The events of one job, from its submit on, until it has ended.
   * @param {string} id
   * @param {StreamOptions} [options]
   */
  watch(id, options = {}) {
    const path = `/v1/jobs/${id}/events`;
    const open = (/** @type {StreamOptions} */ own) => readEvents((headers, signal) => this.caller.stream(path, headers, signal), own, FINAL);
    return isPage ? watchShared(this.caller, id, open, options) : open(options);
  }

  /**
   * The events of all of the caller's jobs, from now on; without end. In a page, `lastEventId` and `onPosition` need a stream of their own.
   * @param {StreamOptions} [options]
   */
  feed(options = {}) {
    const own = !isPage || options.lastEventId !== undefined || options.onPosition !== undefined;
    return own ? readEvents((headers, signal) => this.caller.stream('/v1/events', headers, signal), options, []) : feedShared(this.caller, options);
  }

  /**
   * Tells what happens to a job: in a page by the stream that all share, unless the past is to be told as well.
   * @override
   * @param {string} id
   * @param {Omit<Listener, 'caller'>} listener
   * @param {boolean} [past]
   */
  async hear(id, listener, past) {
    if (isPage && !past) return super.hear(id, listener);
    try {
      for await (const event of this.watch(id, listener)) listener.onEvent(event);
      listener.onReset();
    } catch (error) {
      listener.onEnd(error);
    }
  }

  /**
   * Fetches a file. Where the storage signs, this follows to it.
   * @param {string} id
   * @param {string} format
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Response>}
   */
  file(id, format, { signal } = {}) {
    return this.caller.call('GET', `/v1/jobs/${id}/artifacts/${format}`, { headers: { accept: '*/*' }, signal });
  }

  /** @param {string} id @param {string} format @returns {Promise<Receipt>} */
  receipt(id, format) {
    return this.caller.json('GET', `/v1/jobs/${id}/artifacts/${format}/receipt`);
  }

  /**
   * The first rows of a job, also while it runs.
   * @param {string} id
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Preview>}
   */
  preview(id, { signal } = {}) {
    return this.caller.json('GET', `/v1/jobs/${id}/preview`, { signal });
  }

  /** The links to a job's files, and who opened them. @param {string} id @returns {Promise<Link[]>} */
  async links(id) {
    return (await this.caller.json('GET', `/v1/jobs/${id}/links`)).links;
  }

  /** @param {string} id @param {string} format @returns {Promise<{revoked: boolean}>} */
  revokeLink(id, format) {
    return this.caller.json('POST', `/v1/jobs/${id}/artifacts/${format}/revoke-link`);
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

  /** What of the tenant's is paused. @returns {Promise<Pause[]>} */
  async pauses() {
    return (await this.#caller.json('GET', '/v1/admin/pauses')).pauses;
  }

  /**
   * Pauses a lane, a report, a source or the tenant: its jobs are accepted and wait.
   * @param {string} kind
   * @param {string} name
   * @returns {Promise<Pause>}
   */
  pause(kind, name) {
    return this.#caller.json('POST', '/v1/admin/pauses', { body: { kind, name } });
  }

  /** @param {string} kind @param {string} name @returns {Promise<{released: number}>} */
  resume(kind, name) {
    return this.#caller.json('DELETE', `/v1/admin/pauses${query({ kind, name })}`);
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

  /** @param {{state?: string, job?: string, limit?: number}} [filter] @returns {Promise<Delivery[]>} */
  async deliveries(filter = {}) {
    return (await this.#caller.json('GET', `/v1/admin/deliveries${query(filter)}`)).deliveries;
  }

  /**
   * Sends failed deliveries again, at most 100 at once.
   * @param {string[]} deliveries
   * @returns {Promise<{sent_again: number, not_failed: string[]}>}
   */
  sendAgain(deliveries) {
    return this.#caller.json('POST', '/v1/admin/deliveries/send-again', { body: { deliveries } });
  }
}

/** @param {Record<string, string | number | undefined>} fields */
function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}
