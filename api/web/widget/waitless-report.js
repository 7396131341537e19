/**
 * `<waitless-report report="…">`: a button that becomes progress and then a download. Survives reloads: the job is remembered.
 *
 * @import { Job, JobRequest } from '../sdk/shapes.js'
 * @import { Key } from '../sdk/request.js'
 * @import { Listener } from '../sdk/share.js'
 */
import { Jobs, isFinal, newKey } from '../sdk/jobs.js';
import { isProblem } from '../sdk/problem.js';
import { backoff, pause } from '../sdk/wait.js';

// Dense, because these spaces would travel.
const STYLE = `
:host{display:inline-block;font:var(--waitless-font,inherit);color:var(--waitless-text,inherit);min-width:12rem}
:host([hidden]){display:none}
div{display:flex;flex-wrap:wrap;align-items:center;gap:.5em .75em}
button,a{font:inherit;padding:.5em 1em;border:1px solid;border-radius:var(--waitless-radius,8px);cursor:pointer;text-decoration:none;background:none;color:inherit}
.main{background:var(--waitless-accent,light-dark(#17181c,#f1efe9));border-color:transparent;color:var(--waitless-accent-text,light-dark(#fff,#17181c));font-weight:600}
:focus-visible{outline:2px solid var(--waitless-focus,#1760c4);outline-offset:2px}
p{margin:0;flex:1 1 8em;font-size:.9em}
.wrong{color:var(--waitless-error,light-dark(#b42318,#ff8279))}
progress{width:100%;accent-color:var(--waitless-bar,#d4500f)}
`;

/** What is said; a page may put other words in place of these, also in another language. */
const TEXTS = {
  make: 'Make the report',
  waiting: 'Waiting for a worker',
  running: 'Making the report',
  rows: '{rows} rows',
  percent: '{percent} %, {rows} rows',
  retrying: 'That did not work; it is tried again',
  lost: 'No connection. The report is being made all the same.',
  ready: '{rows} rows, {size}',
  missing: 'No {format}: {why}',
  download: 'Download {format}',
  again: 'Make again',
  cancel: 'Cancel',
  cancelled: 'Cancelled',
};

/** Where this script came from: the gateway, unless the element names another one. */
const HOME = document.querySelector('script[src$="/widget.js"]');

const SIZE = new Intl.NumberFormat(undefined, { notation: 'compact', style: 'unit', unit: 'byte', unitDisplay: 'narrow' });

/** The reader's time zone, for the mail; browsers that cannot tell say `Etc/Unknown`. */
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone?.match(/^\w+\/(?!Unk).+/)?.[0];

/**
 * Listens by the stream that all widgets of all pages of the origin share. The code for that is the console's, and comes once it is
 * needed; until then, and where a page forbids it, jobs are asked for.
 * @param {string} home
 * @param {Listener} listener
 */
async function listenShared(home, listener) {
  for (let tries = 0; !listener.signal.aborted; tries++) {
    try {
      // A browser remembers that an address did not load.
      const { listen } = await import(`${home}{assets}/sdk/share.js${tries ? `?${tries}` : ''}`);
      return listen(listener);
    } catch {
      await pause(backoff(tries + 3), listener.signal).catch(() => {});
    }
  }
}

/** @param {unknown} error */
const messageOf = (error) => (error instanceof Error ? error.message : '');

/**
 * What is remembered of a wish: the key before it is sent, the job once it was accepted.
 * @typedef {{key: string, id?: string}} Memory
 */
class WaitlessReport extends HTMLElement {
  static observedAttributes = ['report', 'params', 'formats', 'email', 'gateway', 'name', 'on-refusal'];

  /** @type {Key | undefined} Returns the caller's key, for all elements that have none of their own. */
  static token = undefined;

  /** @type {Key | undefined} Returns the caller's key. */
  token = undefined;

  /** @type {Partial<typeof TEXTS>} */
  texts = {};

  #root = this.attachShadow({ mode: 'open' });
  #row = document.createElement('div');
  #said = document.createElement('p');
  #watch = /** @type {AbortController | null} */ (null);
  #due = false;
  #bar = /** @type {HTMLProgressElement | null} */ (null);

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.#root.adoptedStyleSheets = [sheet];
    this.#said.setAttribute('role', 'status');
    this.#said.setAttribute('part', 'text');
    this.#root.append(this.#row);
  }

  connectedCallback() {
    this.#begin();
  }

  disconnectedCallback() {
    this.#watch?.abort();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#begin();
  }

  /** Makes the report, as a click does. */
  make() {
    return this.#submit({ key: newKey() });
  }

  /** Begins once the script of the page, which may set `token` and `texts`, had its turn. */
  #begin() {
    if (this.#due) return;
    this.#due = true;
    setTimeout(() => {
      this.#due = false;
      this.#watch?.abort();
      const memory = this.#keep();
      if (memory?.id) this.#follow(memory.id);
      else if (memory) this.#submit(memory);
      else this.#ask('');
    });
  }

  get #home() {
    const home = HOME instanceof HTMLScriptElement ? new URL('.', HOME.src).href : location.origin;
    return (this.#get('gateway') ?? home).replace(/\/+$/, '');
  }

  get #jobs() {
    const key = this.token ?? WaitlessReport.token;
    const home = this.#home;
    return new Jobs({ url: home, key }, (listener) => listenShared(home, listener));
  }

  /** @returns {JobRequest} */
  get #wish() {
    const params = this.#get('params');
    const formats = (this.#get('formats') ?? '').split(/[\s,]+/).filter(Boolean);
    const refusal = /** @type {JobRequest['on_refusal']} */ (this.#get('on-refusal'));
    const to = this.#get('email');
    return {
      report: this.#get('report') ?? '',
      ...(params && { params: JSON.parse(params) }),
      ...(formats.length > 0 && { formats }),
      ...(refusal && { on_refusal: refusal }),
      ...(to && { notify: [{ channel: 'email', to, time_zone: ZONE }] }),
    };
  }

  /** @param {string} name */
  #get(name) {
    return this.getAttribute(name);
  }

  get #place() {
    return ['waitless', this.#home, ...WaitlessReport.observedAttributes.map((one) => this.#get(one))].join(' ').replace(/ $/, '');
  }

  /** @param {Memory | null} [memory] Keeps this, or forgets; without it, recalls. @returns {Memory | null} */
  #keep(memory) {
    try {
      if (memory === undefined) return JSON.parse(localStorage.getItem(this.#place) ?? 'null');
      if (memory) localStorage.setItem(this.#place, JSON.stringify(memory));
      else localStorage.removeItem(this.#place);
    } catch {
      // Without storage a reload begins anew, and that is all.
    }
    return null;
  }

  /** @param {Memory} memory */
  async #submit(memory) {
    this.#keep(memory);
    this.#run(null, this.#say('waiting'));
    try {
      const job = await this.#jobs.submit(this.#wish, { idempotencyKey: memory.key });
      this.#keep({ ...memory, id: job.id });
      this.#tell('submitted', job);
      await this.#follow(job.id);
    } catch (error) {
      if (isProblem(error)) this.#keep(null);
      this.#ask(messageOf(error));
    }
  }

  /** @param {string} id */
  async #follow(id) {
    this.#watch?.abort();
    const { signal } = (this.#watch = new AbortController());
    const lost = (/** @type {string} */ connection) => connection === 'lost' && this.#bar && (this.#said.textContent = this.#say('lost'));
    try {
      this.#run(null, this.#say('waiting'));
      const job = await this.#jobs.follow(id, { signal, onJob: (job) => this.#show(job), onConnection: lost });
      this.#tell(job.state, job);
    } catch (error) {
      if (signal.aborted) return;
      // Not ours, or gone with its database: begin anew. A key that does not open yet may open after a reload.
      const gone = isProblem(error) && error.status === 404;
      if (gone) this.#keep(null);
      this.#ask(gone ? '' : messageOf(error));
    }
  }

  /** @param {Job} job */
  #show(job) {
    if (job.state === 'done') return this.#files(job);
    if (isFinal(job)) {
      this.#keep(null);
      return this.#ask(job.error?.detail ?? this.#say('cancelled'), job.state === 'failed');
    }
    const { percent, rows, phase } = job.progress;
    const known = percent !== null && job.state === 'processing';
    const running = phase === 'reading' || phase === 'storing' ? this.#say(known ? 'percent' : 'rows', { percent: Math.floor(percent ?? 0), rows }) : this.#say('running');
    this.#run(known ? percent : null, job.state === 'retrying' ? this.#say('retrying') : job.state === 'pending' ? this.#say('waiting') : running, job);
    this.#tell('progress', job);
  }

  /** @param {string} said @param {boolean} [wrong] */
  #ask(said, wrong = true) {
    const button = this.#button('main', '', () => this.make());
    const slot = document.createElement('slot');
    slot.textContent = this.#say('make');
    button.append(slot);
    this.#lay(said, wrong && said !== '', button);
  }

  /** @param {number | null} percent @param {string} said @param {Job} [job] */
  #run(percent, said, job) {
    if (!this.#bar) {
      const bar = document.createElement('progress');
      bar.max = 100;
      bar.setAttribute('part', 'bar');
      bar.setAttribute('aria-label', this.textContent?.trim() || this.#say('running'));
      this.#lay(said, false, bar);
      this.#bar = bar;
    }
    if (job && this.#row.childElementCount === 2) this.#row.append(this.#button('side', this.#say('cancel'), () => this.#jobs.cancel(job.id).catch((error) => (this.#said.textContent = messageOf(error)))));
    if (percent === null) this.#bar.removeAttribute('value');
    else this.#bar.value = percent;
    if (this.#said.textContent !== said) this.#said.textContent = said;
  }

  /** @param {Job} job */
  #files(job) {
    const { rows = 0 } = job.artifacts[0] ?? {};
    const size = SIZE.format(job.artifacts.reduce((sum, { bytes }) => sum + bytes, 0));
    const links = job.artifacts.filter(({ expires_at: end }) => Date.parse(end) > Date.now()).map((artifact) => {
      const link = document.createElement('a');
      link.className = 'main';
      link.setAttribute('part', 'download');
      link.href = `${artifact.link}?download`;
      link.download = artifact.filename;
      link.textContent = this.#say('download', { format: artifact.format.toUpperCase() });
      return link;
    });
    if (links.length === 0) {
      this.#keep(null);
      return this.#ask('');
    }
    const missing = (job.refused ?? []).map(({ format, problem }) => this.#say('missing', { format: format.toUpperCase(), why: problem.detail }));
    this.#lay([this.#say('ready', { rows, size }), ...missing].join('. '), false, ...links, this.#button('side', this.#say('again'), () => this.make()));
  }

  /** @param {string} said @param {boolean} wrong @param {...HTMLElement} parts */
  #lay(said, wrong, ...parts) {
    const focused = this.#root.activeElement !== null;
    this.#bar = null;
    this.#said.className = wrong ? 'wrong' : '';
    this.#said.textContent = said;
    this.#row.replaceChildren(...parts, this.#said);
    if (focused) /** @type {HTMLElement | null} */ (this.#row.querySelector('a, button'))?.focus();
  }

  /** @param {'main' | 'side'} kind @param {string} text @param {() => unknown} act */
  #button(kind, text, act) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = kind;
    button.setAttribute('part', kind === 'main' ? 'button' : 'side');
    button.textContent = text;
    button.addEventListener('click', act);
    return button;
  }

  /** @param {keyof typeof TEXTS} name @param {Record<string, string | number>} [values] */
  #say(name, values = {}) {
    const value = (/** @type {string} */ _, /** @type {string} */ key) => values[key]?.toLocaleString() ?? '';
    return (this.texts[name] ?? TEXTS[name]).replace(/\{(\w+)\}/g, value);
  }

  /** @param {string} what @param {Job} job */
  #tell(what, job) {
    this.dispatchEvent(new CustomEvent(`waitless-${what}`, { detail: job, bubbles: true, composed: true }));
  }
}

customElements.define('waitless-report', WaitlessReport);
