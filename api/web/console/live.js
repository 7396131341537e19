/** @import { EventData, Job, JobEvent } from '../sdk/shapes.js' */
import { isFinal, isProblem } from '../sdk/index.js';

/** A page that nobody has looked at for this long lets go of its stream, and catches up when it is looked at again. */
const UNSEEN = 60_000;

/** A short break is not worth telling. */
const QUIET = 1500;

/**
 * What a page knows of the caller's jobs, kept up to date by the one stream that all pages of the console share.
 */
export class Live {
  #client;
  #jobs = /** @type {Map<string, Job>} */ (new Map());
  #listeners = /** @type {Set<(job: Job, event: JobEvent | null) => void>} */ (new Set());
  #hearers = /** @type {Set<(event: JobEvent) => void>} */ (new Set());
  #resync = /** @type {Set<() => void>} */ (new Set());
  #reading = /** @type {Map<string, {again: boolean, event: JobEvent | null}>} */ (new Map());

  /**
   * @param {import('../sdk/index.js').Waitless} client
   * @param {{onConnection: (connected: boolean) => void, onRefused: (problem: import('../sdk/index.js').Problem) => void}} told
   */
  constructor(client, told) {
    this.#client = client;
    this.told = told;
  }

  /** @param {string} id */
  get(id) {
    return this.#jobs.get(id);
  }

  /**
   * Takes in a job that somebody read.
   * @param {Job} job
   * @param {JobEvent | null} [event]
   */
  put(job, event = null) {
    this.#jobs.set(job.id, job);
    for (const listener of this.#listeners) listener(job, event);
  }

  /**
   * @param {(job: Job, event: JobEvent | null) => void} listener Told of each change, and by which event it came; of several
   * that came at once, by the last one.
   * @param {AbortSignal} signal
   */
  onJob(listener, signal) {
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener));
  }

  /**
   * @param {(event: JobEvent) => void} listener Told of every event but progress.
   * @param {AbortSignal} signal
   */
  onEvent(listener, signal) {
    this.#hearers.add(listener);
    signal.addEventListener('abort', () => this.#hearers.delete(listener));
  }

  /**
   * @param {() => void} listener Told when events may have been missed: what is shown must be read anew.
   * @param {AbortSignal} signal
   */
  onResync(listener, signal) {
    this.#resync.add(listener);
    signal.addEventListener('abort', () => this.#resync.delete(listener));
  }

  /** Follows the feed until the page goes away, or the session has ended. @param {AbortSignal} signal */
  async run(signal) {
    while (!signal.aborted) {
      const look = new Look(signal);
      try {
        await this.#follow(look.signal);
      } catch (error) {
        if (isProblem(error)) return this.told.onRefused(error);
        throw error;
      } finally {
        look.end();
      }
      if (!signal.aborted) await seen(signal);
    }
  }

  /** @param {AbortSignal} signal */
  async #follow(signal) {
    let telling = 0;
    let first = true;
    const feed = this.#client.feed({
      signal,
      onReset: () => this.#missed(),
      onConnection: (connection) => {
        if (connection === 'open') {
          clearTimeout(telling);
          telling = 0;
          this.told.onConnection(true);
          if (first) this.#missed();
          first = false;
        } else {
          telling ||= setTimeout(() => this.told.onConnection(false), QUIET);
        }
      },
    });
    for await (const event of feed) {
      const { job_id: id } = event.data;
      const job = this.#jobs.get(id);
      if (event.name !== 'progress') {
        for (const listener of this.#hearers) listener(event);
        this.refresh(id, event);
      } else if (job && moves(job, event.data)) this.put(moved(job, event.data), event);
    }
    clearTimeout(telling);
  }

  #missed() {
    for (const listener of this.#resync) listener();
  }

  /**
   * Reads a job anew. Several wishes at once are one look, or two.
   * @param {string} id
   * @param {JobEvent | null} [event]
   */
  async refresh(id, event = null) {
    const under = this.#reading.get(id);
    if (under) {
      under.again = true;
      under.event = event ?? under.event;
      return;
    }
    const wish = { again: true, event };
    this.#reading.set(id, wish);
    try {
      while (wish.again) {
        wish.again = false;
        const job = await this.#client.job(id);
        this.put(job, wish.event);
      }
    } catch {
      // Told where the job is shown; the stream goes on.
    } finally {
      this.#reading.delete(id);
    }
  }

  /** The jobs that are known and have not ended. */
  get unfinished() {
    return [...this.#jobs.values()].filter((job) => !isFinal(job));
  }
}

/** As long as somebody may look at the page. */
class Look {
  #controller = new AbortController();
  #timer = 0;
  #outer;

  /** @param {AbortSignal} outer */
  constructor(outer) {
    this.#outer = outer;
    outer.addEventListener('abort', this.#stop);
    document.addEventListener('visibilitychange', this.#change);
    this.#change();
  }

  get signal() {
    return this.#controller.signal;
  }

  #stop = () => this.#controller.abort();

  #change = () => {
    clearTimeout(this.#timer);
    if (document.visibilityState === 'hidden') this.#timer = setTimeout(this.#stop, UNSEEN);
  };

  end() {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener('abort', this.#stop);
    document.removeEventListener('visibilitychange', this.#change);
  }
}

/** @param {AbortSignal} signal @returns {Promise<void>} */
function seen(signal) {
  return new Promise((resolve) => {
    if (signal.aborted || document.visibilityState === 'visible') return resolve();
    const look = () => {
      if (document.visibilityState === 'hidden' && !signal.aborted) return;
      document.removeEventListener('visibilitychange', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look);
  });
}

/**
 * Whether a `progress` is news of a job as it is known.
 * @param {Job} job
 * @param {EventData} data
 */
function moves({ state, attempt }, data) {
  return attempt === data.attempt && state === (data.queue ? 'pending' : 'processing');
}

/**
 * A job after a `progress`.
 * @param {Job} job
 * @param {EventData} data
 * @returns {Job}
 */
function moved(job, { progress = job.progress, queue = null, eta = null }) {
  return { ...job, progress, queue, eta };
}
