/**
 * The console: which page an address shows, and what stays around every page.
 *
 * @import { Job, JobEvent, JobRequest, Report, Session } from '../sdk/shapes.js'
 */
import { Problem, Waitless, isFinal } from '../sdk/index.js';
import { BASE, inner } from './base.js';
import { fill, h, icon } from './dom.js';
import { downloads } from './job_line.js';
import { Live } from './live.js';
import { failure, loading, notify, showConnection } from './notice.js';
import { catalogue } from './pages/catalogue.js';
import { job } from './pages/job.js';
import { jobs } from './pages/jobs.js';
import { login } from './pages/login.js';
import { operations } from './pages/operations.js';
import { report } from './pages/report.js';
import { usage } from './pages/usage.js';
import { usageLanguage, usageWords } from './usage_words.js';

/**
 * What a page is given.
 * @typedef {object} Context
 * @property {Waitless} client
 * @property {Live} live
 * @property {Map<string, Report>} reports The catalogue, by name.
 * @property {Session} session
 * @property {AbortSignal} signal Ends with the page.
 * @property {string[]} path What the address says beyond the page.
 * @property {URLSearchParams} query
 * @property {(path: string, replace?: boolean) => void} go
 * @property {(title: string) => void} title
 * @property {(session: Session) => Promise<void>} signedIn
 * @property {Map<string, JobRequest>} drafts What a report's form was filled in with, to be scheduled.
 */

/** @type {[RegExp, string, (context: Context) => HTMLElement][]} */
const PAGES = [
  [/^\/$/, '/', catalogue],
  [/^\/reports\/([^/]+)$/, '/', report],
  [/^\/jobs$/, '/jobs', jobs],
  [/^\/jobs\/([^/]+)$/, '/jobs', job],
  [/^\/schedules(?:\/([^/]+))?(?:\/(edit))?$/, '/schedules', schedules],
  [/^\/usage$/, '/usage', usage],
  [/^\/operations(?:\/([^/]+))?$/, '/operations', operations],
];

/**
 * The pages about schedules are loaded when one is looked at.
 * @param {Context} context
 */
function schedules(context) {
  const place = h('div', null, loading());
  const load = () => import('./schedules/pages.js').then(async ({ open }) => fill(place, await open(context))).catch((error) => fill(place, failure(error, load)));
  load();
  return place;
}

const UNFINISHED = /** @type {const} */ (['pending', 'processing', 'retrying']);

/** A session that could not be asked for is asked for again after this time. */
const AGAIN = 2000;

class Console {
  client = new Waitless({ url: BASE });
  reports = /** @type {Map<string, Report>} */ (new Map());
  session = /** @type {Session} */ ({ signed_in: false });
  drafts = /** @type {Map<string, JobRequest>} */ (new Map());
  live = new Live(this.client, { onConnection: showConnection, onRefused: (problem) => this.refused(problem) });
  #page = new AbortController();
  #told = /** @type {Set<string>} */ (new Set());
  #signedIn = new AbortController();

  async start() {
    document.addEventListener('click', (event) => this.#follow(event));
    addEventListener('popstate', () => this.show());
    document.addEventListener('keydown', (event) => this.#shortcut(event));
    addEventListener('offline', () => this.#probe());
    fillNav([], '');
    this.account();
    await this.#ask();
    this.show();
  }

  /** The stream may take long to notice that the network is gone; a service on this machine needs none. */
  async #probe() {
    await fetch(`${BASE}/livez`, { cache: 'no-store' }).catch(() => navigator.onLine || showConnection(false));
  }

  /** Asks who is signed in, until it is answered. */
  async #ask() {
    for (;;) {
      try {
        const answer = await fetch(`${BASE}/v1/session`, { cache: 'no-store' });
        if (answer.ok) {
          const session = await answer.json();
          if (session.signed_in) await this.signedIn(session);
          // It says where somebody may sign in.
          else this.session = session;
          return showConnection(true);
        }
      } catch {
        // Told below; the next try may be answered.
      }
      showConnection(false);
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }

  /** @param {Session} session */
  async signedIn(session) {
    this.session = session;
    this.#signedIn.abort();
    this.#signedIn = new AbortController();
    const { signal } = this.#signedIn;
    this.live = new Live(this.client, { onConnection: showConnection, onRefused: (problem) => this.refused(problem) });
    this.live.onJob((job, event) => this.#heard(job, event), signal);
    this.live.onResync(() => this.#readRunning(), signal);
    this.live.run(signal);
    this.account();
    await this.#readReports();
  }

  /** Jobs that have not ended are counted on every page, also those that it does not show. */
  async #readRunning() {
    const { client, live } = this;
    const known = live.unfinished;
    const pages = await Promise.all(UNFINISHED.map((state) => client.jobs({ state, limit: 100 }))).catch(() => []);
    const jobs = pages.flatMap((page) => page.jobs);
    for (const job of jobs) live.put(job);
    if (pages.length > 0) for (const { id } of known) if (!jobs.some((job) => job.id === id)) live.refresh(id);
  }

  async #readReports() {
    try {
      this.reports = new Map((await this.client.reports()).map((one) => [one.name, one]));
    } catch (error) {
      if (error instanceof Problem && error.status === 401) this.refused(error);
      // Otherwise the catalogue's page says so; jobs are shown by the names of their reports.
    }
  }

  /** The session has ended, or the key behind it, or somebody else has signed in. @param {Problem} problem */
  async refused(problem) {
    if (problem.status !== 401) return notify({ title: problem.title, text: problem.detail, tone: 'bad' });
    const now = await fetch(`${BASE}/v1/session`, { cache: 'no-store' }).then((answer) => answer.json(), () => null);
    // Everything on this page is somebody else's.
    if (now?.signed_in && now.principal + now.tenant !== `${this.session.principal}${this.session.tenant}`) return location.reload();
    this.session = now && !now.signed_in ? now : { signed_in: false };
    this.#signedIn.abort();
    this.account();
    this.show();
  }

  /** Shows the page of the address. */
  show() {
    this.#page.abort();
    this.#page = new AbortController();
    const { search, hash } = location;
    const pathname = inner(location.pathname);
    const found = PAGES.find(([pattern]) => pattern.test(pathname));
    const path = (found?.[0].exec(pathname) ?? []).slice(1).map((part) => decodeURIComponent(part ?? ''));
    const main = /** @type {HTMLElement} */ (document.getElementById('main'));
    const outside = !this.session.signed_in || pathname === '/login' || hash.startsWith('#once=');
    fillNav(outside ? [] : (this.session.scopes ?? []), found?.[1] ?? '');
    main.dataset.page = outside ? 'login' : (found?.[2].name ?? 'lost');
    /** @type {Context} */
    const context = {
      client: this.client,
      live: this.live,
      reports: this.reports,
      session: this.session,
      signal: this.#page.signal,
      path,
      query: new URLSearchParams(search),
      go: (to, replace) => this.go(to, replace),
      title: (title) => (document.title = title === '' ? 'Waitless' : `${title} – Waitless`),
      signedIn: (session) => this.signedIn(session),
      drafts: this.drafts,
    };
    fill(main, outside ? login(context) : (found?.[2] ?? lost)(context));
    main.querySelector('.tabs [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }

  /** @param {string} path @param {boolean} [replace] */
  go(path, replace = false) {
    if (replace) history.replaceState(null, '', BASE + path);
    else history.pushState(null, '', BASE + path);
    this.show();
    scrollTo(0, 0);
    document.getElementById('main')?.focus({ preventScroll: true });
  }

  /** Links within the console change the page without loading it. @param {MouseEvent} event */
  #follow(event) {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname) return;
    const path = inner(link.pathname);
    if (!link.pathname.startsWith(`${BASE}/`) || !PAGES.some(([pattern]) => pattern.test(path))) return;
    event.preventDefault();
    this.go(path + link.search);
  }

  /** @param {KeyboardEvent} event */
  #shortcut(event) {
    const typing = event.target instanceof HTMLElement && event.target.matches('input, textarea, select');
    if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.querySelector('input[type=search]');
    if (!(search instanceof HTMLElement)) return;
    event.preventDefault();
    search.focus();
  }

  /** Tells of a job that ended while another page is open. @param {Job} job @param {JobEvent | null} event */
  #heard(job, event) {
    showRunning(this.live.unfinished.length);
    const seen = inner(location.pathname) === `/jobs/${job.id}` || document.querySelector(`#main [data-key="${job.id}"]`);
    const end = `${job.id} ${job.attempt}`;
    if (!event || !isFinal(job) || this.#told.has(end)) return;
    this.#told.add(end);
    if (job.state === 'cancelled' || seen) return;
    const title = this.reports.get(job.report)?.title ?? job.report;
    const open = h('a.link', { href: `/jobs/${job.id}` }, job.state === 'done' ? 'Show' : 'See why');
    if (job.state === 'done') notify({ title: `${title} is ready`, tone: 'good', action: h('div.buttons', null, downloads(job, true), open) });
    else notify({ title: `${title} failed`, text: job.error?.detail, tone: 'bad', action: open });
  }

  /** The corner with the theme, and with who is signed in. */
  account() {
    const place = /** @type {HTMLElement} */ (document.getElementById('account'));
    const { signed_in: known, principal, tenant } = this.session;
    const out = h('button.plain', { type: 'button', onclick: () => this.#signOut() }, 'Sign out');
    fill(place, known && h('span.who', { title: `Tenant ${tenant}` }, principal, h('span', null, ` · ${tenant}`)), known && out, themeButton());
  }

  async #signOut() {
    try {
      await fetch(`${BASE}/v1/session`, { method: 'DELETE' });
      location.assign(`${BASE}/login`);
    } catch {
      notify({ title: 'You are still signed in', text: 'The service does not answer. Try again when it does.', tone: 'bad' });
    }
  }
}

/** @param {string[]} scopes @param {string} current */
function fillNav(scopes, current) {
  const nav = /** @type {HTMLElement} */ (document.getElementById('nav'));
  const link = (/** @type {string} */ href, /** @type {string} */ text, /** @type {HTMLElement | null} */ more = null) =>
    h('a', { href, 'aria-current': href === current ? 'page' : null }, text, more);
  const words = usageWords(usageLanguage());
  const running = nav.querySelector('#running') ?? h('span', { id: 'running' });
  fill(nav, scopes.includes('read') && [link('/', 'Reports'), link('/jobs', 'Jobs', /** @type {HTMLElement} */ (running)), link('/schedules', words.schedules), link('/usage', words.title)],
    scopes.includes('admin') && link('/operations', 'Operations'));
}

/** @param {number} running */
function showRunning(running) {
  const place = document.getElementById('running');
  if (place) fill(place, running > 0 && [h('b', { 'aria-hidden': 'true' }, running), h('span.offscreen', null, `, ${running} running`)]);
}

function themeButton() {
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  };
  const button = h('button.plain.theme', { type: 'button' });
  const say = () => {
    fill(button, icon(dark() ? 'sun' : 'moon'));
    button.setAttribute('aria-label', dark() ? 'Use the light theme' : 'Use the dark theme');
  };
  button.addEventListener('click', () => {
    const theme = dark() ? 'light' : 'dark';
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem('waitless.theme', theme);
    } catch {
      // It holds as long as the page.
    }
    say();
  });
  say();
  return button;
}

/** @param {Context} context */
function lost(context) {
  context.title('Not found');
  return h('div.empty', null, h('h1', null, 'There is no such page'), h('p', null, 'The address may be cut off. Everything begins at the reports.'),
    h('a.button.primary', { href: '/' }, 'All reports'));
}

new Console().start();
