import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, download, openBrowser, serve, someone } from './fixture.js';

/** A token works this long, in seconds: shorter than the report of the first test runs. */
const VALID_FOR = 5;

/** @type {Fixture} */
let fixture;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof serve>>} */
let app;
/** @type {ReturnType<Fixture['backend']>} */
let shop;

/** What the page of the shop says. */
let element = '';

before(async () => {
  app = await serve(() => `<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1>${element}
    <script type="module" src="${fixture.url}/widget.js"></script>
    <script type="module">
      await customElements.whenDefined('waitless-report');
      customElements.get('waitless-report').token = async () => (await fetch('/report-token', { method: 'POST' })).json();
    </script>`, () => ({}), (response) => shop.mint(response));
  fixture = new Fixture({ settings: `[http]\ncors_origins = ["${app.url}"]\n` });
  browser = await openBrowser();
  await fixture.up();
  shop = fixture.backend({ reports: ['counting'], valid_for: VALID_FOR });
});
after(async () => {
  await browser?.close();
  await fixture?.close();
  app?.close();
});

/** Notes everything a page and the network around it hold. @param {import('playwright-core').Page} page */
function watch(page) {
  const seen = /** @type {string[]} */ ([]);
  page.on('request', (request) => seen.push(request.url(), JSON.stringify(request.headers()), request.postData() ?? ''));
  return async () => {
    seen.push(await page.content(), JSON.stringify(await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }, document.cookie])));
    return seen.join('\n');
  };
}

test('a page goes on while its tokens end, and after a reload, and holds no key', async () => {
  element = '<waitless-report report="counting" params=\'{"rows": 1000000000}\' formats="csv">Export orders</waitless-report>';
  const { context, faults } = await someone(browser);
  const page = await context.newPage();
  const everything = watch(page);
  await page.goto(app.url);
  await page.getByRole('button', { name: 'Export orders' }).click();
  const rows = page.getByText(/[1-9][\d,. ]* rows/);
  await rows.waitFor();
  // The job outlives its first token, and the next one: what is shown goes on growing.
  const began = Date.now();
  while (Date.now() - began < 2.5 * VALID_FOR * 1000) {
    const shown = await rows.textContent();
    await page.waitForFunction((before) => !document.querySelector('waitless-report')?.shadowRoot?.textContent?.includes(String(before)), shown);
  }
  assert.ok(shop.minted.length >= 3, `${shop.minted.length} tokens`);
  await page.reload();
  await rows.waitFor();
  const { jobs } = await fixture.call('/v1/jobs', undefined, shop.minted.at(-1).token);
  assert.equal(jobs.length, 1);
  await page.getByRole('button', { name: /cancel/i }).click();
  await page.getByRole('button', { name: /export orders|again/i }).waitFor();
  const held = await everything();
  assert.ok(held.includes('Bearer wt_'));
  assert.ok(!held.includes('wl_') && !held.includes(shop.key));
  assert.deepEqual(faults, []);
  await context.close();
});

test('a page that was asleep while its token ended fetches the next one', async () => {
  element = '<waitless-report report="counting" params=\'{"rows": 4}\' formats="csv">Export orders</waitless-report>';
  const { context, faults } = await someone(browser);
  const page = await context.newPage();
  await page.goto(app.url);
  await page.getByRole('button', { name: 'Export orders' }).click();
  const link = page.getByRole('link', { name: 'Download CSV' });
  await link.waitFor();
  // As if it had ended: revoked before the client thinks that its time is over.
  await fixture.call('/v1/tokens/revoke', { principal: 'customer-7' }, shop.key);
  const before = shop.minted.length;
  await page.waitForFunction(async ({ url, token }) => (await fetch(`${url}/v1/jobs`, { headers: { authorization: `Bearer ${token}` } })).status === 401,
    { url: fixture.url, token: shop.minted.at(-1).token });
  await page.getByRole('button', { name: 'Make again' }).click();
  await link.waitFor();
  assert.ok(shop.minted.length > before);
  const file = await download(page, link);
  assert.equal(file.text.trim().split('\n').length, 5);
  assert.deepEqual(faults.filter((fault) => !fault.includes('401')), []);
  await context.close();
});

test('a report that a token may not run does not exist', async () => {
  element = '<waitless-report report="pricing-summary">Export prices</waitless-report>';
  const { context } = await someone(browser);
  const page = await context.newPage();
  await page.goto(app.url);
  await page.getByRole('button', { name: 'Export prices' }).click();
  await page.getByText(/no report of this name/).waitFor();
  await context.close();
});
