import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, TWICE, download, openBrowser, serve, someone } from './fixture.js';

/** @type {Fixture} */
let fixture;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof serve>>} */
let app;

/** What the page of another application says. @param {string} element */
let element = '';
/** What that page lets itself load. @type {Record<string, string>} */
let headers = {};

before(async () => {
  app = await serve(() => `<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1>${element}
    <script type="module" src="${fixture.url}/widget.js"></script>
    <script type="module">
      window.told = [];
      await customElements.whenDefined('waitless-report');
      customElements.get('waitless-report').token = async () => '${fixture.key}';
      for (const name of ['submitted', 'done', 'failed']) addEventListener('waitless-' + name, (event) => told.push(name));
    </script>`, () => headers);
  fixture = new Fixture({ settings: `[http]\ncors_origins = ["${app.url}"]\n`, reports: { twice: TWICE } });
  browser = await openBrowser();
  await fixture.up();
});
after(async () => {
  await browser?.close();
  await fixture?.close();
  app?.close();
});

const jobs = async () => (await fixture.call('/v1/jobs')).jobs;

test('on another origin a button becomes a download, and stays one after a reload', async () => {
  element = '<waitless-report report="counting" params=\'{"rows": 4}\' formats="csv">Export orders</waitless-report>';
  const { context, faults } = await someone(browser);
  const page = await context.newPage();
  await page.goto(app.url);
  await page.getByRole('button', { name: 'Export orders' }).click();
  const link = page.getByRole('link', { name: 'Download CSV' });
  await link.waitFor();
  await page.getByText('4 rows').waitFor();
  const file = await download(page, link);
  assert.match(file.name, /counting.*\.csv/);
  assert.equal(file.text.trim().split('\n').length, 5);
  await page.waitForFunction('told.join() === "submitted,done"');
  await page.reload();
  await link.waitFor();
  assert.equal((await jobs()).length, 1);
  await page.getByRole('button', { name: 'Make again' }).click();
  await page.waitForFunction('told.includes("done")');
  await link.waitFor();
  assert.equal((await jobs()).length, 2);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a format that cannot be made costs the others nothing and is told', async () => {
  element = '<waitless-report report="twice" formats="csv, jsonl" on-refusal="keep_others"></waitless-report>';
  const { context, faults } = await someone(browser);
  const page = await context.newPage();
  await page.goto(app.url);
  await page.getByRole('button', { name: 'Make the report' }).click();
  await page.getByRole('link', { name: 'Download CSV' }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Download JSONL' }).count(), 0);
  await page.getByText(/1 rows.*No JSONL: .*`a`/).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a wish for mail tells the time zone of the reader', async () => {
  element = '<waitless-report report="counting" params=\'{"rows": 5}\' formats="csv" email="ana@example.com"></waitless-report>';
  const { context, faults } = await someone(browser, { timezoneId: 'Europe/Berlin' });
  const page = await context.newPage();
  await page.goto(app.url);
  const submit = page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/v1/jobs'));
  await page.getByRole('button', { name: 'Make the report' }).click();
  assert.deepEqual((await submit).postDataJSON().notify, [{ channel: 'email', to: 'ana@example.com', time_zone: 'Europe/Berlin' }]);
  await page.getByRole('link', { name: 'Download CSV' }).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a reload in the middle goes on with the same job, which can be cancelled', async () => {
  element = '<waitless-report report="counting" params=\'{"rows": 1000000000}\'></waitless-report>';
  const before = (await jobs()).length;
  const { context, faults } = await someone(browser);
  const page = await context.newPage();
  await page.goto(app.url);
  await page.getByRole('button', { name: 'Make the report' }).click();
  const grows = async () => {
    const status = page.getByRole('status');
    await status.filter({ hasText: /[1-9][\d,.]* rows/ }).waitFor();
    const said = await status.textContent();
    while ((await status.textContent()) === said) await page.evaluate(() => new Promise(requestAnimationFrame));
  };
  await grows();
  await page.reload();
  await grows();
  assert.equal((await jobs()).length, before + 1);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('Cancelled').waitFor();
  await page.getByRole('button', { name: 'Make the report' }).waitFor();
  assert.equal((await jobs())[0].state, 'cancelled');
  assert.deepEqual(faults, []);
  await context.close();
});

test('what fails is said, and can be tried again', async () => {
  element = '<waitless-report report="broken"></waitless-report><waitless-report report="unknown">Other</waitless-report>';
  const { context } = await someone(browser);
  const page = await context.newPage();
  await page.goto(app.url);
  await page.getByRole('button', { name: 'Make the report' }).click();
  await page.getByText(/integer overflow/).waitFor();
  await page.getByRole('button', { name: 'Make the report' }).waitFor();
  await page.getByRole('button', { name: 'Other' }).click();
  await page.getByText(/no report of this name/).waitFor();
  await context.close();
});

test('an element has words, a name, a key and a gateway of its own, and is made by a call', async () => {
  const other = new Fixture({ settings: `[http]\ncors_origins = ["${app.url}"]\n` });
  try {
    await other.up();
    const wish = (/** @type {string} */ more) => `<waitless-report report="counting" params='{"rows": 6}' formats="csv" ${more}></waitless-report>`;
    element = wish('name="one"') + wish('name="two"') + wish(`name="three" gateway="${other.url}"`);
    const { context, faults } = await someone(browser);
    const page = await context.newPage();
    await page.goto(app.url);
    await page.getByRole('button', { name: 'Make the report' }).nth(2).waitFor();
    const before = (await jobs()).length;
    await page.evaluate((key) => {
      const [one, , three] = /** @type {any[]} */ ([...document.querySelectorAll('waitless-report')]);
      one.texts = { download: 'Herunterladen ({format})' };
      three.token = async () => key;
      one.make();
      three.make();
    }, other.key);
    await page.getByRole('link', { name: 'Herunterladen (CSV)' }).waitFor();
    await page.getByRole('link', { name: 'Download CSV' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Make the report' }).count(), 1, 'the second one is not the first one');
    assert.equal((await jobs()).length, before + 1);
    assert.equal((await other.call('/v1/jobs')).jobs.length, 1);
    assert.deepEqual(faults, []);
    await context.close();
  } finally {
    await other.close();
  }
});

test('where a policy of the page lets in the script alone, the job is asked for until it is done', async () => {
  element = '<waitless-report report="counting" params=\'{"rows": 300000}\' formats="csv"></waitless-report>';
  headers = { 'content-security-policy': `script-src 'unsafe-inline' ${fixture.url}/widget.js; connect-src ${fixture.url}` };
  const { context, faults } = await someone(browser);
  const page = await context.newPage();
  /** @type {string[]} */
  const refused = [];
  const asked = new Set();
  page.on('console', (message) => message.text().includes('Content Security Policy') && refused.push(message.text()));
  page.on('request', (request) => request.method() === 'GET' && request.url().includes('/v1/') && asked.add(new URL(request.url()).pathname));
  await page.goto(app.url);
  await page.getByRole('button', { name: 'Make the report' }).click();
  await page.getByRole('link', { name: 'Download CSV' }).waitFor();
  await page.waitForFunction('told.join() === "submitted,done"');
  headers = {};
  assert(refused.some((text) => text.includes('sdk/share.js')), `the policy was not met: ${refused}`);
  assert([...asked].every((path) => /^\/v1\/jobs\/[^/]+$/.test(path)), `by no stream: ${[...asked]}`);
  assert(asked.size > 0);
  assert.deepEqual(faults, []);
  await context.close();
});
