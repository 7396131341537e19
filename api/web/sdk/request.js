import { Unreachable, isProblem, readProblem, unauthorized } from './problem.js';
import { backoff, pause } from './wait.js';

/**
 * @typedef {{token: string, expires_in: number}} Token
 * What `POST /v1/tokens` answered to a backend; it may hold more.
 *
 * @typedef {string | Token | null | undefined} Credentials
 * An API key or a token.
 *
 * @typedef {Credentials | (() => Credentials | Promise<Credentials>)} Key
 * Credentials, or what returns them. A function is asked before each request; where it returns a `Token`, only when that has but a tenth
 * of its time left, or is refused.
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
  /** When `#token` is to be asked for anew; for ever while it is being asked for. */
  #until = 0;
  #token = /** @type {Promise<string | null | undefined>} */ (Promise.resolve(null));
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
    const key = this.#key;
    if (typeof key !== 'function') return typeof key === 'object' ? key?.token : key;
    if (Date.now() >= this.#until) {
      this.#until = Infinity;
      this.#token = this.#renew(key);
    }
    return this.#token;
  }

  /** @param {() => Credentials | Promise<Credentials>} key */
  async #renew(key) {
    let until = 0;
    try {
      const given = await key();
      if (typeof given !== 'object') return given;
      until = Date.now() + (given?.expires_in ?? 0) * 900;
      return given?.token;
    } finally {
      this.#until = until;
    }
  }

  /**
   * Names whom the gateway takes the caller for, at which gateway: `["…", tenant, principal, scopes, bounds]`, and what else only this page
   * can tell apart. Asked for a cookie each time, since somebody else may sign in by it.
   */
  async identity() {
    const key = await this.#ask();
    const place = `${this.#url} ${key}`;
    const known = owners.get(place);
    if (key && known) return known;
    const { signed_in: told, tenant, principal, scopes, bounds } = await this.json('GET', '/v1/session');
    if (!told && !key) throw unauthorized();
    const who = told ? JSON.stringify([this.#url, tenant, principal, scopes, bounds]) : place;
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
    const answer = await this.#send(method, path, signal, headers, body);
    if (answer.status !== 401 || !this.#until) return answer;
    // The token's time may be over although it did not seem so: this machine slept, or the token was revoked.
    this.#until = 0;
    return this.#send(method, path, signal, headers, body);
  }

  /** @param {string} method @param {string} path @param {AbortSignal | undefined} signal @param {Record<string, string>} headers @param {unknown} body */
  async #send(method, path, signal, headers, body) {
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
