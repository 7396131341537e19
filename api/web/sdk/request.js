import { Unreachable, isProblem, readProblem, unauthorized } from './problem.js';
import { backoff, pause } from './wait.js';

/**
 * @typedef {string | (() => string | null | undefined | Promise<string | null | undefined>)} Key
 * An API key, or what returns one. Asked before each request, so that keys may be short-lived.
 *
 * @typedef {object} ClientOptions
 * @property {string} [url] The gateway; the page's own origin when left out.
 * @property {Key} [key] Left out: the session cookie of a page that the gateway itself served.
 * @property {number} [patience] How long to try again what may pass, in milliseconds.
 * @property {typeof globalThis.fetch} [fetch]
 *
 * @typedef {object} CallOptions
 * @property {AbortSignal} [signal]
 * @property {Record<string, string>} [headers]
 * @property {unknown} [body] Sent as JSON.
 * @property {boolean} [once] Never sent a second time: a lost answer would hide what happened.
 */

/** Whose keys are, as far as it was asked. */
const owners = /** @type {Map<string, string>} */ (new Map());

/** Sends requests, and sends them again where that is safe and may help. */
export class Caller {
  #url;
  #key;
  #patience;
  #fetch;

  /** @param {ClientOptions} options */
  constructor(options) {
    this.#url = (options.url ?? '').replace(/\/+$/, '');
    this.#key = options.key;
    this.#patience = options.patience ?? 30_000;
    this.#fetch = options.fetch ?? ((/** @type {any} */ input, /** @type {any} */ init) => globalThis.fetch(input, init));
  }

  async #ask() {
    return typeof this.#key === 'function' ? this.#key() : this.#key;
  }

  /**
   * Names whom the gateway takes the caller for, at which gateway: `["…", tenant, principal, scopes]`, and what else only this page
   * can tell apart. Asked for a cookie each time, since somebody else may sign in by it.
   */
  async identity() {
    const key = await this.#ask();
    const place = `${this.#url} ${key}`;
    const known = owners.get(place);
    if (key && known) return known;
    const { signed_in: told, tenant, principal, scopes } = await this.json('GET', '/v1/session');
    if (!told && !key) throw unauthorized();
    const who = told ? JSON.stringify([this.#url, tenant, principal, scopes]) : place;
    owners.set(place, who);
    return who;
  }

  /**
   * Opens a stream of events.
   * @param {string} path
   * @param {Record<string, string>} headers
   * @param {AbortSignal} signal
   */
  stream(path, headers, signal) {
    return this.send('GET', path, { headers: { accept: 'text/event-stream', ...headers }, signal });
  }

  /**
   * Sends one request once, and answers whatever came back.
   * @param {string} method
   * @param {string} path
   * @param {CallOptions} [options]
   */
  async send(method, path, { signal, headers = {}, body } = {}) {
    const key = await this.#ask();
    /** @type {Record<string, string>} */
    const all = { accept: 'application/json', ...headers };
    if (key) all.authorization = `Bearer ${key}`;
    if (body !== undefined) all['content-type'] = 'application/json';
    return this.#fetch(this.#url + path, {
      method,
      headers: all,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: 'no-store',
      credentials: this.#key === undefined ? 'same-origin' : 'omit',
    });
  }

  /**
   * Sends a request until it is answered, for as long as `patience`.
   * @param {string} method
   * @param {string} path
   * @param {CallOptions} [options]
   * @returns {Promise<Response>} Only what succeeded; the rest is thrown.
   */
  async call(method, path, options = {}) {
    const until = Date.now() + this.#patience;
    for (let tries = 0; ; tries++) {
      /** @type {unknown} */
      let failure;
      /** @type {number | null} */
      let retryAfter = null;
      try {
        const answer = await this.send(method, path, options);
        if (answer.ok) return answer;
        const problem = await readProblem(answer);
        if (!problem.passes) throw problem;
        failure = problem;
        retryAfter = problem.retryAfter;
      } catch (error) {
        if (options.signal?.aborted) throw options.signal.reason;
        if (isProblem(error) && !error.passes) throw error;
        failure = error;
      }
      const wait = backoff(tries, retryAfter);
      if (options.once || Date.now() + wait > until) {
        throw isProblem(failure) ? failure : new Unreachable(failure);
      }
      await pause(wait, options.signal);
    }
  }

  /**
   * Sends a request and reads the JSON of its answer.
   * @param {string} method
   * @param {string} path
   * @param {CallOptions} [options]
   * @returns {Promise<any>}
   */
  async json(method, path, options) {
    return (await this.call(method, path, options)).json();
  }
}
