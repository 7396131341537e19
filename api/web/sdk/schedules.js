/**
 * @import { AskedFiring, Schedule, ScheduleBody, ScheduleDetails, SchedulePreview, Upcoming } from './shapes.js'
 * @import { Caller } from './request.js'
 */
import { newKey } from './jobs.js';

/** Reports that come by themselves. A module of its own: most pages have none of them. */
export class Schedules {
  #caller;

  /** @param {Caller} caller That of a `Waitless`: `new Schedules(waitless.caller)`. */
  constructor(caller) {
    this.#caller = caller;
  }

  /**
   * Oldest first.
   * @param {{of?: 'own' | 'tenant', limit?: number, cursor?: string}} [filter]
   * @returns {Promise<{schedules: Schedule[], next: string | null}>}
   */
  list(filter = {}) {
    return this.#caller.json('GET', `/v1/schedules${query(filter)}`);
  }

  /**
   * What comes on each day of a zone, at most 42 of them.
   * @param {{from: string, to: string, zone?: string, of?: 'own' | 'tenant'}} days
   * @returns {Promise<Upcoming>}
   */
  upcoming(days) {
    return this.#caller.json('GET', `/v1/schedules/upcoming${query(days)}`);
  }

  /**
   * What a `when` means, before anything is written.
   * @param {{when: string, zone?: string, calendar?: string | null, on_holiday?: string | null, starts_at?: string | null, ends_at?: string | null}} asked
   * @param {AbortSignal} [signal]
   * @returns {Promise<SchedulePreview>}
   */
  preview(asked, signal) {
    return this.#caller.json('POST', '/v1/schedules/preview', { body: asked, signal });
  }

  /** @param {ScheduleBody} body @returns {Promise<ScheduleDetails>} */
  create(body) {
    return this.#caller.json('POST', '/v1/schedules', { body, once: true });
  }

  /** @param {string} id @returns {Promise<{schedule: ScheduleDetails, version: string}>} */
  async read(id) {
    return this.#versioned(await this.#caller.call('GET', `/v1/schedules/${encodeURIComponent(id)}`));
  }

  /**
   * @param {string} id
   * @param {Partial<ScheduleBody> & {paused?: boolean, owner?: string}} change
   * @param {string} [version] Only if it is still this one.
   * @returns {Promise<{schedule: ScheduleDetails, version: string}>}
   */
  async change(id, change, version) {
    const headers = /** @type {Record<string, string>} */ (version ? { 'if-match': version } : {});
    return this.#versioned(await this.#caller.call('PATCH', `/v1/schedules/${encodeURIComponent(id)}`, { body: change, headers, once: true }));
  }

  /** @param {Response} answer */
  async #versioned(answer) {
    return { schedule: await answer.json(), version: answer.headers.get('etag') ?? '' };
  }

  /** @param {string} id */
  async remove(id) {
    await this.#caller.call('DELETE', `/v1/schedules/${encodeURIComponent(id)}`, { once: true });
  }

  /**
   * Has it fire now.
   * @param {string} id
   * @param {{dataVersion?: string, idempotencyKey?: string}} [options]
   * @returns {Promise<AskedFiring>}
   */
  fire(id, { dataVersion, idempotencyKey = newKey() } = {}) {
    const body = { data_version: dataVersion };
    return this.#caller.json('POST', `/v1/schedules/${encodeURIComponent(id)}/fire`, { body, headers: { 'idempotency-key': idempotencyKey } });
  }
}

/** @param {Record<string, string | number | undefined>} fields */
function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}
