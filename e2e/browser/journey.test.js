import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, download, openBrowser, someone } from './fixture.js';

const fixture = new Fixture({ demo: true });
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

test('a newcomer opens the printed link and has a report with one click', async () => {
  const { context, faults } = await someone(browser);
  const page = await context.newPage();
  await page.goto(fixture.link);
  await page.getByRole('heading', { level: 1, name: 'Reports' }).waitFor();
  assert.equal(new URL(page.url()).hash, '');
  await page.getByText('press Make').waitFor();
  await page.getByRole('button', { name: 'Make Pricing summary', exact: true }).click();
  const card = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'Pricing summary' }) });
  const file = await download(page, card.getByRole('link', { name: /^Download CSV: pricing-summary/ }));
  assert.match(file.name, /^pricing-summary.*\.csv$/);
  assert.match(file.text, /^return_flag,line_status,/);
  assert.equal(file.text.trim().split('\n').length, 5);

  const other = await (await someone(browser)).context.newPage();
  await other.goto(fixture.link);
  await other.getByText('This link was used before').waitFor();
  await other.getByLabel('API key').fill('wl_nonsense');
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.getByText('does not open anything').waitFor();
  await other.getByLabel('API key').fill(fixture.key);
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.getByRole('heading', { level: 1, name: 'Reports' }).waitFor();
  await other.context().close();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a report is found, chosen, watched, checked against its receipt, shared and made again', async () => {
  const { context, faults } = await someone(browser);
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: fixture.url });
  const page = await context.newPage();
  await page.goto(`${fixture.url}/jobs`);
  await page.getByLabel('API key').fill(fixture.key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  // Signing in leads to where somebody wanted to go.
  await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();
  await page.getByRole('link', { name: 'Reports', exact: true }).click();
  await page.getByRole('searchbox').fill('shipped placed before');
  await page.getByText('1 report found').waitFor();
  await page.getByRole('link', { name: 'Shipping priority', exact: true }).click();
  await page.getByLabel('Market segment').selectOption('MACHINERY');
  await page.getByLabel('Ordered before and shipped after').fill('1995-03-20');
  await page.getByLabel('At most this many orders').fill('7');
  await page.getByLabel('JSON Lines').check({ force: true });
  await page.getByLabel('Mail me the link').fill('ana@example.com');
  await page.getByRole('button', { name: 'Make the report' }).click();

  await page.getByRole('heading', { name: /shipping-priority.*\.jsonl/ }).waitFor();
  const csv = await download(page, page.getByRole('link', { name: /^Download .*\.csv/ }));
  assert.equal(csv.text.trim().split('\n').length, 8);
  const jsonl = await download(page, page.getByRole('link', { name: /^Download .*\.jsonl/ }));
  assert.equal(jsonl.text.trim().split('\n').length, 7);
  const files = page.getByRole('region', { name: 'Files' }).getByRole('article');
  await files.first().getByText('Receipt').click();
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(csv.text));
  await files.first().getByText(Buffer.from(digest).toString('hex')).waitFor();
  await page.getByText('20 Mar 1995').waitFor();
  for (const said of ['Submitted', 'A worker started', 'Ready']) await page.locator('.timeline').getByText(said, { exact: true }).waitFor();

  await files.first().getByRole('button', { name: 'Copy link' }).click();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const reader = (await someone(browser)).context;
  const open = await reader.newPage();
  await open.goto(link);
  await open.getByText('7 rows').first().waitFor();
  assert.equal((await download(open, open.getByRole('link', { name: 'Download' }))).text, csv.text);
  await page.reload();
  await files.first().getByText('Link used: 1 download').click();
  await files.first().getByText('Downloaded in a browser').waitFor();
  await files.nth(1).getByText('Link not used yet').waitFor();
  await files.first().getByRole('button', { name: 'Revoke the link' }).click();
  await page.getByRole('button', { name: 'Revoke it' }).click();
  await page.getByText('The link is revoked.').waitFor();
  await page.reload();
  await files.first().getByText('The link is revoked.').waitFor();
  assert.equal(await files.first().getByRole('button', { name: 'Copy link' }).count(), 0);
  await open.reload();
  await open.getByText('The sender has revoked this link').waitFor();
  await reader.close();

  const first = page.url();
  await page.getByRole('button', { name: 'Make again' }).click();
  await page.waitForURL((url) => /\/jobs\/./.test(url.pathname) && url.href !== first);
  await page.getByRole('heading', { name: /shipping-priority.*\.csv/ }).waitFor();
  await page.getByRole('link', { name: 'Operations' }).click();
  await page.getByText('Interactive reports').waitFor();
  await page.getByRole('link', { name: 'Deliveries' }).click();
  await page.getByText('ana@example.com').first().waitFor();

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('API key').waitFor();
  await page.goto(`${fixture.url}/jobs`);
  await page.getByLabel('API key').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a further format is made from the Parquet file that a job kept', async () => {
  const { context, faults } = await someone(browser);
  const page = await context.newPage();
  await page.goto(`${fixture.url}/reports/pricing-summary`);
  await page.getByLabel('API key').fill(fixture.key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('checkbox', { name: 'CSV' }).uncheck({ force: true });
  await page.getByRole('checkbox', { name: 'Parquet' }).check({ force: true });
  await page.getByRole('button', { name: 'Make the report' }).click();
  await page.getByRole('heading', { name: /pricing-summary.*\.parquet/ }).waitFor();
  const first = page.url();
  await page.getByText('Also as').waitFor();
  await page.getByRole('button', { name: 'CSV', exact: true }).click();
  const csv = await download(page, page.getByRole('link', { name: /^Download .*\.csv/ }));
  assert.match(csv.text, /^return_flag,line_status,/);
  assert.equal(csv.text.trim().split('\n').length, 5);
  await page.getByRole('link', { name: 'the Parquet file of an earlier job' }).click();
  await page.waitForURL(first);
  await page.getByRole('heading', { name: /pricing-summary.*\.parquet/ }).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});
