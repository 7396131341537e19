import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, REPORTS, openBrowser, serve, signIn, someone } from './fixture.js';

/** @import { BrowserContext, Page } from 'playwright-core' */

/** More than a browser opens connections to one host over HTTP/1.1, which is six. */
const TWELVE = Array.from({ length: 12 }, (_, index) => index);

/** @type {Fixture} */
let fixture;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof serve>>} */
let app;

/** What the page of another application says, and whose key it has. */
let elements = '';
let key = () => fixture.key;

before(async () => {
  app = await serve(() => `<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1>${elements}
    <script type="module" src="${fixture.url}/widget.js"></script>
    <script type="module">
      await customElements.whenDefined('waitless-report');
      customElements.get('waitless-report').token = async () => '${key()}';
    </script>`);
  // Identical jobs join one run, so that many widgets are no load.
  const reports = { joined: `reuse = "1h"\n${REPORTS.counting}` };
  fixture = new Fixture({ reports, settings: `[http]\ncors_origins = ["${app.url}"]\n` });
  browser = await openBrowser();
  await fixture.up();
});
after(async () => {
  await browser?.close();
  await fixture?.close();
  app?.close();
});

/** @param {(context: BrowserContext) => Promise<void>} use */
async function inOneBrowser(use) {
  const { context, faults } = await someone(browser);
  await use(context);
  assert.deepEqual(faults, []);
  await context.close();
}

/** Keeps count of the streams that the pages of a browser hold open. @param {BrowserContext} context */
function openStreams(context) {
  const open = /** @type {Map<import('playwright-core').Request, Page>} */ (new Map());
  context.on('request', (request) => /\/events$/.test(new URL(request.url()).pathname) && open.set(request, request.frame().page()));
  for (const end of /** @type {const} */ (['requestfinished', 'requestfailed'])) context.on(/** @type {'requestfinished'} */ (end), (request) => open.delete(request));
  context.on('page', (page) => page.on('close', () => open.forEach((owner, request) => owner === page && open.delete(request))));
  return open;
}

/** @param {Page} page @param {() => boolean} reached */
async function until(page, reached) {
  while (!reached()) await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
}

/** Waits until every one of some texts has another number in it. @param {Page} page @param {string} selector */
async function grows(page, selector) {
  const said = () => page.evaluate((selector) => [...document.querySelectorAll('waitless-report')].map((one) => one.shadowRoot?.querySelector(selector)?.textContent ?? '')
    .concat([...document.querySelectorAll(selector)].map((one) => one.textContent ?? '')), selector);
  const numbered = (/** @type {string[]} */ all) => all.length > 0 && all.every((text) => /[1-9][\d,.]* rows/.test(text) || /Reading [\d,]*[1-9]/.test(text));
  let first = await said();
  while (!numbered(first)) first = await said();
  for (let now = first; !now.every((text, index) => text !== first[index]); now = await said()) await page.evaluate(() => new Promise(requestAnimationFrame));
}

async function endlessJob() {
  const job = await fixture.call('/v1/jobs', { report: 'counting', params: { rows: 1_000_000_000 } });
  return { path: `/jobs/${job.id}`, end: () => fixture.call(`/v1/jobs/${job.id}/cancel`, {}) };
}

test('twelve tabs of the console share one stream, and go on when the tab that reads it is closed, is frozen or hangs', () =>
  inOneBrowser(async (context) => {
    const streams = openStreams(context);
    await signIn(context, fixture);
    const job = await endlessJob();
    const pages = [];
    for (const _ of TWELVE) {
      const page = await context.newPage();
      await page.goto(fixture.url + job.path);
      pages.push(page);
    }
    await Promise.all(pages.map((page) => grows(page, '.rows')));
    await until(pages[0], () => streams.size === 1);

    for (const end of ['closed', 'frozen', 'hanging']) {
      const leader = /** @type {Page} */ ([...streams.values()][0]);
      pages.splice(pages.indexOf(leader), 1);
      if (end === 'closed') await leader.close();
      else if (end === 'frozen') await leader.evaluate(() => document.dispatchEvent(new Event('freeze')));
      else leader.evaluate(() => {
        for (const until = Date.now() + 20_000; Date.now() < until; );
      });
      await until(pages[0], () => [...streams.values()].some((page) => page !== leader));
      await Promise.all(pages.map((page) => grows(page, '.rows')));
      // What comes to itself again gives way.
      if (end === 'frozen') await leader.evaluate(() => document.dispatchEvent(new Event('resume')));
      if (end !== 'closed') await grows(leader, '.rows');
      await until(pages[0], () => streams.size === 1);
    }
    await job.end();
    await Promise.all(pages.map((page) => page.getByText('Nothing was kept').waitFor()));
  }));

test('twelve widgets of a page and those of twelve more pages share one stream', () =>
  inOneBrowser(async (context) => {
    const streams = openStreams(context);
    const widget = (/** @type {string} */ name) => `<waitless-report report="joined" params='{"rows": 1000000000}' name="${name}"></waitless-report>`;
    elements = TWELVE.map((index) => widget(`w${index}`)).join('');
    const page = await context.newPage();
    await page.goto(app.url);
    for (const index of TWELVE) await page.getByRole('button', { name: 'Make the report' }).first().click().catch((error) => assert.fail(`${index}: ${error}`));
    await grows(page, 'p');
    // Each of them shows the job of the first widget, which is remembered.
    elements = widget('w0');
    const others = [];
    for (const _ of TWELVE) {
      const other = await context.newPage();
      await other.goto(app.url);
      others.push(other);
    }
    await Promise.all(others.map((other) => grows(other, 'p')));
    await until(page, () => streams.size === 1);
    await page.close();
    await Promise.all(others.map((other) => grows(other, 'p')));
    await until(others[0], () => streams.size === 1);
    for (const { id } of (await fixture.call('/v1/jobs?state=processing')).jobs) await fixture.call(`/v1/jobs/${id}/cancel`, {});
    await Promise.all(others.map((other) => other.getByText('Cancelled').waitFor()));
  }));

test('nobody hears what was read with the key of another tenant', () =>
  inOneBrowser(async (context) => {
    const streams = openStreams(context);
    const stranger = fixture.makeKey('other');
    elements = '<waitless-report report="counting" params=\'{"rows": 1000000000}\' name="mine"></waitless-report>';
    const mine = await context.newPage();
    await mine.goto(app.url);
    await mine.getByRole('button', { name: 'Make the report' }).click();
    await grows(mine, 'p');
    key = () => stranger;
    elements = '<waitless-report report="counting" params=\'{"rows": 999999999}\' name="theirs"></waitless-report>';
    const theirs = await context.newPage();
    await theirs.goto(app.url);
    const heard = await theirs.evaluateHandle(() => {
      const all = /** @type {string[]} */ ([]);
      addEventListener('waitless-progress', (event) => all.push(/** @type {CustomEvent} */ (event).detail.id));
      return all;
    });
    await theirs.getByRole('button', { name: 'Make the report' }).click();
    await grows(theirs, 'p');
    await grows(mine, 'p');
    assert.equal(streams.size, 2);
    assert.equal(new Set(await heard.jsonValue()).size, 1);
    await mine.close();
    await grows(theirs, 'p');
    key = () => fixture.key;
    for (const who of [fixture.key, stranger]) {
      for (const { id } of (await fixture.call('/v1/jobs?state=processing', undefined, who)).jobs) await fixture.call(`/v1/jobs/${id}/cancel`, {}, who);
    }
  }));
