import { execFileSync, spawn } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { homedir, tmpdir } from 'node:os';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

// Node 18 keeps it to itself.
globalThis.crypto ??= /** @type {Crypto} */ (webcrypto);

/** Long enough for a machine that builds something else meanwhile. */
export const DEADLINE = 90_000;

const HERE = dirname(fileURLToPath(import.meta.url));

/** The program under test. */
const PROGRAM = process.env.WAITLESS_BIN ?? resolve(HERE, '../..', process.env.CARGO_TARGET_DIR ?? 'target', 'debug/waitless');

/** Reports whose parameters say how long they take, and one that fails. */
export const REPORTS = {
  counting: `title = "Counting"
description = "As many rows as you like."
source = "numbers"
formats = ["csv", "jsonl"]
total = "unknown"
sql = """
with recursive n (i) as (select 1 union all select i + 1 from n where i < :rows)
select i as number, :day as day, :colour as colour, :note as note from n"""
[params.rows]
type = "integer"
label = "Rows"
default = 3
min = 1
max = 1000000000
[params.day]
type = "date"
label = "Day"
default = "2026-01-31"
min = "2026-01-01"
[params.colour]
type = "choice"
label = "Colour"
choices = ["red", "green", "blue"]
default = "green"
[params.note]
type = "text"
label = "Note"
optional = true
max_length = 20
`,
  broken: `title = "Broken"
source = "numbers"
formats = ["csv"]
max_attempts = 1
sql = "select abs(-9223372036854775807 - 1) as too_much"
`,
  fleeting: `title = "Fleeting"
source = "numbers"
formats = ["csv"]
retention = "1s"
sql = "select 1 as one"
`,
};

/** A report that JSON Lines cannot hold: two columns of one name. */
export const TWICE = `title = "Twice"
source = "numbers"
formats = ["csv", "jsonl"]
sql = "select 1 as a, 2 as a"
`;

/** A folder, and the processes that serve from it one after the other. */
export class Fixture {
  #folder = mkdtempSync(join(tmpdir(), 'waitless-browser-'));
  #process = /** @type {import('node:child_process').ChildProcess | null} */ (null);
  #port = 0;
  url = '';
  /** Signs in, once. */
  link = '';

  /** @param {{demo?: boolean, settings?: string, reports?: Record<string, string>}} [options] */
  constructor({ demo = false, settings = '', reports = {} } = {}) {
    if (!demo) this.#furnish({ ...REPORTS, ...reports }, settings);
  }

  /**
   * Puts reports into a catalogue folder, and what they need into the configuration.
   * @param {Record<string, string>} reports
   * @param {string} settings
   */
  #furnish(reports, settings) {
    const folder = join(this.#folder, 'catalogue');
    mkdirSync(folder);
    for (const [name, text] of Object.entries(reports)) writeFileSync(join(folder, `${name}.toml`), text);
    writeFileSync(join(this.#folder, 'numbers.sqlite'), '');
    writeFileSync(join(this.#folder, 'waitless.toml'), `[catalogue]\nfolder = "${folder}"\n[sources.numbers]\nurl = "sqlite:${this.#folder}/numbers.sqlite"\n${settings}`);
  }

  /**
   * Puts more reports beside those of the demo, which must have been up once: that made its data.
   * @param {Record<string, string>} reports
   * @param {string} settings
   */
  addReports(reports, settings) {
    this.#furnish({ ...REPORTS, ...reports }, `${settings}\n[sources.demo]\nurl = "sqlite:${this.#folder}/data/demo.sqlite"\n`);
    const demo = resolve(HERE, '../../catalogue');
    for (const file of readdirSync(demo)) copyFileSync(join(demo, file), join(this.#folder, 'catalogue', file));
  }

  /** Nothing of Waitless, which would be taken for settings. @returns {Record<string, string | undefined>} */
  #environment() {
    return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WAITLESS_')));
  }

  /** Starts a gateway, worker and notifier, on the same port each time. */
  async up() {
    const environment = this.#environment();
    const settings = join(this.#folder, 'waitless.toml');
    if (existsSync(settings)) environment.WAITLESS_CONFIG = settings;
    const child = spawn(PROGRAM, ['up', '--listen', `127.0.0.1:${this.#port}`], { cwd: this.#folder, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    let said = '';
    let log = '';
    child.stderr.on('data', (chunk) => (log += chunk));
    await new Promise((ready, fail) => {
      const timer = setTimeout(() => fail(new Error(`it does not start: ${log}`)), DEADLINE);
      child.on('exit', (code) => fail(new Error(`it ended with ${code}: ${log}`)));
      child.on('error', fail);
      child.stdout.on('data', (chunk) => {
        said += chunk;
        if (!said.includes('Ctrl-C')) return;
        clearTimeout(timer);
        ready(null);
      });
    });
    this.url = /http:\/\/[\d.]+:\d+/.exec(said)?.[0] ?? '';
    this.link = /http:\S+#once=\S+/.exec(said)?.[0] ?? '';
    this.#port = Number(new URL(this.url).port);
  }

  /**
   * Changes a report of the catalogue, and waits until the service has read it.
   * @param {string} name
   * @param {(text: string) => string} change
   */
  async rewrite(name, change) {
    const file = join(this.#folder, 'catalogue', `${name}.toml`);
    const { version } = await this.call(`/v1/reports/${name}`);
    writeFileSync(file, change(readFileSync(file, 'utf8')));
    while ((await this.call(`/v1/reports/${name}`)).version === version) await new Promise((resolve) => setTimeout(resolve, 100));
  }

  /** Waits for the end of a job; its stream ends with it. @param {string} id */
  async finished(id) {
    await (await fetch(`${this.url}/v1/jobs/${id}/events`, { headers: { authorization: `Bearer ${this.key}` } })).text();
    return this.call(`/v1/jobs/${id}`);
  }

  /**
   * Makes a key for somebody, of another tenant for example.
   * @param {string} tenant
   * @param {string[]} [more] Further arguments of the command.
   */
  makeKey(tenant, more = []) {
    const environment = { ...this.#environment(), WAITLESS_CONFIG: join(this.#folder, 'waitless.toml') };
    return execFileSync(PROGRAM, ['keys', 'create', '--tenant', tenant, ...more], { cwd: this.#folder, env: environment, encoding: 'utf8', stdio: 'pipe' }).trim();
  }

  /**
   * A backend of another application: knows who is signed in, and has tokens minted for them.
   * @param {object} bounds What the tokens are bound to.
   */
  backend(bounds) {
    const key = this.makeKey('default', ['--principal', 'shop', '--scope', 'mint', '--scope', 'read', '--scope', 'write']);
    const minted = /** @type {any[]} */ ([]);
    /** @param {import('node:http').ServerResponse} response */
    const mint = async (response) => {
      minted.push(await this.call('/v1/tokens', { principal: 'customer-7', ...bounds }, key));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(minted.at(-1)));
    };
    return { key, minted, mint };
  }

  /** The mails that were sent, as they travel, oldest first. */
  mails() {
    const folder = join(this.#folder, 'data/mail');
    return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.eml')).sort().map((name) => readFileSync(join(folder, name), 'utf8')) : [];
  }

  get key() {
    return readFileSync(join(this.#folder, 'data/api-key'), 'utf8').trim();
  }

  /** Ends it as a crash does. */
  async kill() {
    const child = this.#process;
    if (!child || child.pid === undefined || child.exitCode !== null) return;
    child.removeAllListeners('exit');
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    this.#process = null;
  }

  /**
   * Calls the API with a key.
   * @param {string} path
   * @param {object} [body]
   * @param {string} [key]
   */
  async call(path, body, key = this.key) {
    const answer = await fetch(this.url + path, {
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    return answer.status === 204 ? null : answer.json();
  }

  async close() {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/**
 * A real identity provider (the package oidc-provider) where anybody may sign in under any name.
 * @param {object} settings Those of `serve.mjs`.
 */
export async function identityProvider(settings) {
  const installed = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'waitless/identity-provider');
  if (!existsSync(join(installed, 'installed.json'))) throw new Error('The identity provider is not installed: run scripts/install-identity-provider');
  const script = resolve(HERE, '../../shared/testing/identity-provider/serve.mjs');
  const child = spawn('node', [script, installed, '0', JSON.stringify(settings)], { stdio: ['pipe', 'pipe', 'ignore'] });
  const port = await new Promise((ready, fail) => {
    child.stdout.once('data', (chunk) => ready(String(chunk).trim()));
    child.on('exit', (code) => fail(new Error(`the identity provider ended with ${code}`)));
  });
  child.removeAllListeners('exit');
  return { issuer: `http://127.0.0.1:${port}`, close: () => child.stdin.end() };
}

/** The system's browser. */
export function openBrowser() {
  const known = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable'];
  const executablePath = known.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('Chromium is not installed; install it, or name it with CHROMIUM=…');
  // As root, and in containers, its own sandbox cannot be set up; all it shows here is ours.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/**
 * A browser of somebody new. Whatever goes wrong in a page's scripts fails the test at its end.
 * @param {import('playwright-core').Browser} browser
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function someone(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true, ...options });
  context.setDefaultTimeout(DEADLINE);
  /** @type {string[]} */
  const faults = [];
  context.on('weberror', (fault) => faults.push(String(fault.error().stack)));
  return { context, faults };
}

/**
 * Signs in with the key, without a page.
 * @param {import('playwright-core').BrowserContext} context
 * @param {Fixture} fixture
 */
export async function signIn(context, fixture) {
  const answer = await context.request.post(`${fixture.url}/v1/session`, { data: { key: fixture.key }, headers: { origin: fixture.url } });
  if (!answer.ok()) throw new Error(`signing in: ${await answer.text()}`);
}

/** Waits until a page shows what it is for, and nothing in it moves that comes to an end. @param {import('playwright-core').Page} page */
export async function settle(page) {
  await page.waitForFunction(() => document.querySelector('h1, .empty h2') !== null && document.querySelector('.loading') === null);
  await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity).map((one) => one.finished)));
}

/**
 * Fetches what a link downloads.
 * @param {import('playwright-core').Page} page
 * @param {import('playwright-core').Locator} link
 */
export async function download(page, link) {
  const [file] = await Promise.all([page.waitForEvent('download'), link.click()]);
  return { name: file.suggestedFilename(), text: readFileSync(await file.path(), 'utf8') };
}

/** @typedef {(response: import('node:http').ServerResponse) => unknown} Backend Answers what a page posts to its own origin. */

/**
 * Serves one page from an origin of its own.
 * @param {(url: string) => string} html
 * @param {() => Record<string, string>} [headers]
 * @param {Backend} [backend]
 */
export async function serve(html, headers = () => ({}), backend = undefined) {
  const server = createServer(({ method }, response) => {
    if (method === 'POST' && backend) backend(response);
    else response.writeHead(200, { 'content-type': 'text/html', ...headers() }).end(html(url));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(null)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const url = `http://127.0.0.1:${port}`;
  return { url, server, close: () => server.close() };
}

/** What a browser must know of a file. */
const KINDS = { '.html': 'text/html', '.js': 'text/javascript' };

/**
 * Serves a folder from an origin of its own.
 * @param {URL} folder
 * @param {Backend} [backend]
 */
export async function serveFolder(folder, backend) {
  const server = createServer((request, response) => {
    if (request.method === 'POST' && backend) return backend(response);
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const kind = KINDS[/** @type {keyof typeof KINDS} */ (extname(pathname))];
    const file = fileURLToPath(new URL(`.${pathname}`, folder));
    if (kind && existsSync(file)) response.writeHead(200, { 'content-type': kind }).end(readFileSync(file));
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(null)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}
