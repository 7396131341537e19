import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, download, openBrowser, signIn, someone } from './fixture.js';

const fixture = new Fixture();
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
  browser = await openBrowser();
  await fixture.up();
});
after(async () => {
  await browser?.close();
  await fixture.close();
});

/** More rows than anybody waits for: such a job runs until it is cancelled. */
const ENDLESS = { rows: 1_000_000_000 };

/** @param {(page: import('playwright-core').Page, context: import('playwright-core').BrowserContext) => Promise<void>} use */
async function signedIn(use) {
  const { context, faults } = await someone(browser);
  await signIn(context, fixture);
  await use(await context.newPage(), context);
  assert.deepEqual(faults, []);
  await context.close();
}

/** @param {object} params */
async function running(params = ENDLESS) {
  const job = await fixture.call('/v1/jobs', { report: 'counting', params });
  return { id: /** @type {string} */ (job.id), address: `${fixture.url}/jobs/${job.id}`, cancel: () => fixture.call(`/v1/jobs/${job.id}/cancel`, {}) };
}

/** Waits until the number of rows on a page has grown. @param {import('playwright-core').Page} page */
async function rowsGrow(page) {
  const rows = page.locator('.rows');
  await page.locator('.rows', { hasText: /Reading [\d,]*[1-9]|^[\d,]+ rows/ }).waitFor();
  const before = await rows.textContent();
  await page.waitForFunction((before) => {
    const now = document.querySelector('.rows')?.textContent;
    return now && now !== before;
  }, before);
}

test('a reload in the middle of a job shows the same job going on', () =>
  signedIn(async (page) => {
    const job = await running();
    await page.goto(job.address);
    await rowsGrow(page);
    await page.reload();
    await rowsGrow(page);
    await job.cancel();
    await page.getByText('Nothing was kept').waitFor();
  }));

test('a page that was offline catches up by itself', () =>
  signedIn(async (page, context) => {
    const job = await running();
    await page.goto(job.address);
    await rowsGrow(page);
    await context.setOffline(true);
    await page.getByText('You are offline').waitFor();
    await job.cancel();
    await context.setOffline(false);
    await page.getByText('Nothing was kept').waitFor();
    await page.getByText('You are offline').waitFor({ state: 'detached' });
    await page.locator('.timeline').getByText('Cancelled').waitFor();
  }));

test('a page outlives the service being killed and started again', () =>
  signedIn(async (page) => {
    const job = await running();
    await page.goto(job.address);
    await rowsGrow(page);
    await fixture.kill();
    await page.getByText('The service does not answer').waitFor();
    await fixture.up();
    await page.getByText('The service does not answer').waitFor({ state: 'detached' });
    await page.getByText('A worker started · attempt 2').waitFor();
    await rowsGrow(page);
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
    await page.getByRole('button', { name: 'Cancel the job' }).click();
    await page.getByText('Nothing was kept').waitFor();
    assert.equal((await fixture.call(`/v1/jobs/${job.id}`)).state, 'cancelled');
  }));

test('two tabs show the same, and a job of one appears in the other', () =>
  signedIn(async (page, context) => {
    const other = await context.newPage();
    await Promise.all([page.goto(`${fixture.url}/jobs`), other.goto(`${fixture.url}/reports/counting`)]);
    await page.getByRole('heading', { name: 'Jobs' }).waitFor();
    await other.getByLabel('Rows').fill('12');
    await other.getByRole('button', { name: 'Make the report' }).click();
    await other.getByRole('link', { name: /^Download/ }).waitFor();
    const id = other.url().split('/').pop();
    const line = page.locator(`.job:has(a[href="/jobs/${id}"])`);
    await line.getByText('12 rows').waitFor();
    await line.getByRole('link', { name: /^Download/ }).waitFor();
  }));

test('a failed report says why, can be tried again, and lies with the dead letters', () =>
  signedIn(async (page) => {
    await page.goto(`${fixture.url}/`);
    await page.getByRole('button', { name: 'Make Broken' }).click();
    await page.getByRole('link', { name: 'See why' }).click();
    await page.getByRole('heading', { name: /query/i }).waitFor();
    await page.getByText(/integer overflow/).first().waitFor();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.locator('.timeline').getByText('Run again').waitFor();
    await page.getByRole('button', { name: 'Try again' }).waitFor();

    await page.getByRole('link', { name: 'Operations' }).click();
    await page.getByRole('link', { name: 'Dead letters' }).click();
    await page.getByRole('heading', { name: /Broken/ }).waitFor();
    await page.getByRole('button', { name: 'Try the newest' }).click();
    await page.getByText('1 job run again').waitFor();
  }));

test('the page of a link speaks the language of whoever opens it, also without scripts', async () => {
  const { id } = await fixture.call('/v1/jobs', { report: 'fleeting' });
  let [file] = (await fixture.call(`/v1/jobs/${id}`)).artifacts;
  while (!file) [file] = (await fixture.call(`/v1/jobs/${id}`)).artifacts;
  const { context } = await someone(browser, { locale: 'fr-FR', javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(file.link);
  const again = page.getByRole('button', { name: 'Refaire le rapport' });
  while ((await again.count()) === 0) await page.reload();
  await page.getByRole('heading', { name: 'Ce fichier n’est plus conservé' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'fr');
  await page.goto(`${fixture.url}/d/none`);
  await page.getByText('Ce lien ne mène nulle part.').waitFor();
  await context.close();
});

test('the page of a link tells times by the clock of whoever opens it', async () => {
  const { id } = await fixture.call('/v1/jobs', { report: 'counting', params: { rows: 1234 } });
  let [file] = (await fixture.call(`/v1/jobs/${id}`)).artifacts;
  while (!file) [file] = (await fixture.call(`/v1/jobs/${id}`)).artifacts;
  const { context, faults } = await someone(browser, { locale: 'de-DE', timezoneId: 'Asia/Kolkata' });
  const page = await context.newPage();
  await page.goto(file.link);
  await page.getByText('1.234 Zeilen').waitFor();
  await page.locator('time', { hasText: 'GMT+5:30' }).first().waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'de');
  const saved = await download(page, page.getByRole('link', { name: 'Herunterladen' }));
  assert.match(saved.text, /^number,day/);
  assert.deepEqual(faults, []);
  await context.close();
});

test('an expired link makes its report again with one click, tells when it is ready, and leads to the new file', () =>
  signedIn(async (page) => {
    const { id } = await fixture.call('/v1/jobs', { report: 'fleeting' });
    await page.goto(`${fixture.url}/jobs/${id}`);
    await page.getByRole('heading', { name: /fleeting.*csv/ }).waitFor();
    const { artifacts } = await fixture.call(`/v1/jobs/${id}`);
    await page.goto(artifacts[0].link);
    const again = page.getByRole('button', { name: 'Make it again' });
    while ((await again.count()) === 0) await page.reload();
    await fixture.rewrite('fleeting', (text) => text.replace('"1s"', '"1h"'));
    await again.click();
    const link = page.getByRole('link', { name: 'Download' });
    await link.waitFor();
    assert.equal(page.url(), artifacts[0].link);
    assert.match((await download(page, link)).text, /^one\s+1\s*$/);
  }));

test('the first rows are shown while a report is being made', () =>
  signedIn(async (page) => {
    const job = await running({ ...ENDLESS, note: 'hello' });
    await page.goto(job.address);
    const rows = page.getByRole('region', { name: 'Table of the first rows' });
    await rows.getByRole('columnheader', { name: 'number' }).waitFor();
    await rows.getByRole('cell', { name: 'hello' }).first().waitFor();
    await job.cancel();
    await rows.waitFor({ state: 'hidden' });
  }));

test('a session that has ended asks to sign in again and comes back to the page', () =>
  signedIn(async (page, context) => {
    await page.goto(`${fixture.url}/jobs`);
    await page.getByRole('heading', { name: 'Jobs' }).waitFor();
    await context.clearCookies();
    await page.reload();
    await page.getByLabel('API key').fill(fixture.key);
    await page.getByLabel('API key').press('Enter');
    await page.getByRole('heading', { name: 'Jobs' }).waitFor();
  }));
