/**
 * @import { JobEvent } from './shapes.js'
 * @import { Caller } from './request.js'
 */
import { unauthorized } from './problem.js';
import { readEvents } from './stream.js';

/** A leader is asked this often whether it is there; one that does not answer three times is gone, or asleep. */
const ASK = 1500;

/** Nobody leads yet when nobody says so within this time. */
const ANSWER = 300;

/**
 * Who listens to the feed. Each listener brings credentials of its own, and hears only what was read as the same identity.
 * @typedef {object} Listener
 * @property {Caller} caller
 * @property {AbortSignal} signal Ends the listening.
 * @property {(event: JobEvent) => void} onEvent
 * @property {(connection: 'open' | 'lost') => void} onConnection
 * @property {() => void} onReset Told when events may have been missed, before the stream is open again.
 * @property {(error: unknown) => void} onEnd Told when the credentials do not open the feed.
 *
 * What the pages of an origin tell each other: `ask` whether somebody leads, or name the `heir` of who led; the rest are words of the leader.
 * @typedef {{from: number, ask?: true, heir?: number, event?: JobEvent, open?: boolean, position?: string | null}} Message
 */

/** The feeds of this page, by identity. */
const feeds = /** @type {Map<string, Feed>} */ (new Map());

/**
 * Listens to the events of all of the caller's jobs. However many listen, in however many pages of an origin, there is one stream for
 * an identity: one page, the leader, reads it and passes it on to the others.
 * @param {Listener} listener
 */
export async function listen(listener) {
  const { caller, signal } = listener;
  try {
    const who = await caller.identity();
    if (signal.aborted) return;
    const feed = feeds.get(who) ?? new Feed(who);
    feeds.set(who, feed);
    feed.add(listener);
    signal.addEventListener('abort', () => feed.remove(listener));
  } catch (error) {
    if (!signal.aborted) listener.onEnd(error);
  }
}

class Feed {
  #who;
  #me = Math.random();
  #listeners = /** @type {Set<Listener>} */ (new Set());
  #life = new AbortController();
  #channel = /** @type {BroadcastChannel | null} */ (null);
  #leading = /** @type {AbortController | null} */ (null);
  #timer = 0;
  #asked = 0;
  #heir = 0;
  #open = false;
  #position = /** @type {string | null} */ (null);

  /** @param {string} who */
  constructor(who) {
    this.#who = who;
    const { signal } = this.#life;
    // A page that is kept for the way back, or is about to be frozen, must not be the one that the others hear from.
    addEventListener('pagehide', this.#stop, { signal });
    document.addEventListener('freeze', this.#stop, { signal });
    addEventListener('pageshow', this.#start, { signal });
    document.addEventListener('resume', this.#start, { signal });
    document.addEventListener('visibilitychange', this.#look, { signal });
    this.#start();
  }

  /** @param {Listener} listener */
  add(listener) {
    this.#listeners.add(listener);
    if (this.#open) listener.onConnection('open');
  }

  /** @param {Listener} listener */
  remove(listener) {
    if (!this.#listeners.delete(listener) || this.#listeners.size) return;
    feeds.delete(this.#who);
    this.#life.abort();
    this.#stop();
  }

  #start = () => {
    if (this.#timer) return;
    // Identities that the gateway does not tell are shared within the page only.
    if (this.#who[0] === '[' && globalThis.BroadcastChannel) {
      this.#channel = new BroadcastChannel(`waitless ${this.#who}`);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
    }
    this.#asked = 2;
    this.#look();
    setTimeout(this.#look, this.#channel ? ANSWER * (1 + Math.random()) : 0);
    this.#timer = Number(setInterval(this.#look, ASK));
  };

  #stop = () => {
    clearInterval(this.#timer);
    this.#timer = 0;
    if (this.#leading) this.#post({ heir: this.#heir });
    this.#follow();
    this.#channel?.close();
    this.#channel = null;
  };

  /** Asks whether somebody leads; when nobody says so, this page does. */
  #look = () => {
    if (this.#leading || !this.#timer) return;
    if (++this.#asked > 3) this.#lead();
    else this.#post({ ask: true });
  };

  /** @param {Omit<Message, 'from'>} message */
  #post(message) {
    this.#channel?.postMessage({ from: this.#me, ...message });
  }

  /** Says that this page leads, and how the stream is. */
  #tell() {
    this.#post({ open: this.#open, position: this.#position });
  }

  /** @param {Message} message */
  #hear({ from, ask, heir, event, open, position }) {
    if (ask) {
      this.#heir = from;
      if (this.#leading) this.#tell();
    } else if (this.#leading && from > this.#me) {
      // Two lead. The other one hears this, and gives way.
      this.#tell();
    } else {
      this.#follow();
      this.#asked = 0;
      if (heir) {
        if (heir === this.#me) this.#lead();
      } else if (event) this.#pass(event);
      else this.#know(!!open, position ?? null);
    }
  }

  #follow() {
    this.#leading?.abort();
    this.#leading = null;
  }

  async #lead() {
    const { signal } = (this.#leading = new AbortController());
    let [listener] = this.#listeners;
    const know = (/** @type {boolean} */ open, /** @type {string | null} */ position = this.#position) => {
      if (!signal.aborted && this.#know(open, position)) this.#tell();
    };
    /** @param {Record<string, string>} headers @param {AbortSignal} signal */
    const open = async (headers, signal) => {
      [listener] = this.#listeners;
      // Somebody else may have signed in meanwhile.
      if ((await listener.caller.identity()) !== this.#who) throw unauthorized();
      return listener.caller.stream('/v1/events', headers, signal);
    };
    this.#tell();
    try {
      const events = readEvents(open, {
        signal,
        lastEventId: this.#position,
        onConnection: (connection) => know(connection === 'open'),
        onPosition: (id) => know(true, id),
        onReset: () => know(false, null),
      }, []);
      for await (const event of events) {
        this.#post({ event });
        this.#pass(event);
      }
    } catch (error) {
      // The credentials of another listener, or of another page, may still be good.
      this.#stop();
      this.remove(listener);
      listener.onEnd(error);
      if (this.#listeners.size) this.#start();
    }
  }

  /** @param {JobEvent} event */
  #pass(event) {
    // While two lead everything comes twice.
    if (event.id !== null && event.id === this.#position) return;
    this.#position = event.id ?? this.#position;
    for (const { onEvent } of this.#listeners) onEvent(event);
  }

  /** @param {boolean} open @param {string | null} position */
  #know(open, position) {
    const missed = this.#position !== null && this.#position !== position;
    const changed = this.#open !== open;
    const news = changed || this.#position !== position;
    this.#open = open;
    this.#position = position;
    for (const listener of this.#listeners) {
      if (missed) listener.onReset();
      if (changed) listener.onConnection(open ? 'open' : 'lost');
    }
    return news;
  }
}
