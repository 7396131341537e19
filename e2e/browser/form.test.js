import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, TWICE, openBrowser, signIn, someone } from './fixture.js';

const fixture = new Fixture({ reports: { twice: TWICE } });
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

async function newPage() {
  const { context, faults } = await someone(browser);
  await signIn(context, fixture);
  return { page: await context.newPage(), context, faults };
}

test('what is wrong is said at its field, and the first one has the focus', async () => {
  const { page, context, faults } = await newPage();
  await page.goto(`${fixture.url}/reports/counting`);
  await page.getByLabel('Rows').fill('0');
  await page.getByLabel('Day').fill('2025-12-31');
  await page.getByRole('checkbox', { name: 'CSV' }).uncheck({ force: true });
  await page.getByLabel('Mail me the link').fill('nobody');
  await page.getByRole('button', { name: 'Make the report' }).click();
  await page.getByText('Please correct what is marked.').waitFor();
  const rows = page.getByLabel('Rows');
  assert.equal(await rows.getAttribute('aria-invalid'), 'true');
  assert(await rows.evaluate((field) => document.activeElement === field));
  const described = await rows.evaluate((field) => (field.getAttribute('aria-describedby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent).join(' '));
  assert.match(described, /1/);
  for (const name of ['rows', 'day', 'formats', 'email']) assert.notEqual(await page.locator(`#field-${name}-wrong`).textContent(), '', name);
  assert.equal((await fixture.call('/v1/jobs')).jobs.length, 0);

  await rows.fill('5');
  assert.equal(await rows.getAttribute('aria-invalid'), null);
  await page.getByLabel('Day').fill('2026-02-01');
  await page.getByLabel('JSON Lines').check({ force: true });
  await page.getByLabel('Mail me the link').fill('');
  await page.getByRole('button', { name: 'Make the report' }).click();
  await page.getByRole('link', { name: /^Download .*jsonl/ }).waitFor();
  await page.getByRole('link', { name: 'Change and make' }).click();
  // The form is filled in as it was.
  assert.equal(await page.getByLabel('Rows').inputValue(), '5');
  assert.equal(await page.getByLabel('Day').inputValue(), '2026-02-01');
  assert(await page.getByLabel('JSON Lines').isChecked());
  assert.deepEqual(faults, []);
  await context.close();
});

test('a report is made and cancelled with the keyboard alone', async () => {
  const { page, context, faults } = await newPage();
  await page.goto(fixture.url);
  await page.getByRole('heading', { name: 'Reports' }).waitFor();
  await page.getByRole('link', { name: 'Options: Counting' }).waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim() ?? '');
  const tabTo = async (/** @type {RegExp} */ name) => {
    for (let steps = 0; steps < 60; steps++) {
      await page.keyboard.press('Tab');
      if (name.test(await focused())) return;
    }
    assert.fail(`the keyboard does not reach ${name}`);
  };
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to content');
  await page.keyboard.press('/');
  await page.keyboard.type('count');
  await tabTo(/^Options: Counting$/);
  await page.keyboard.press('Enter');
  await page.getByLabel('Rows').waitFor();
  await page.getByLabel('Rows').focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('1000000000');
  await tabTo(/^Make the report$/);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Cancel', exact: true }).waitFor();
  await tabTo(/^Cancel$/);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.match(await focused(), /^Cancel$/);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  assert.match(await focused(), /^Let it go on$/);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing was kept').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('of several formats one that cannot be made is left out and the page says why', async () => {
  const { page, context, faults } = await newPage();
  await page.goto(`${fixture.url}/reports/twice`);
  await page.getByLabel('JSON Lines').check({ force: true });
  await page.getByRole('button', { name: 'Make the report' }).click();
  await page.getByRole('heading', { name: /twice.*\.csv/ }).waitFor();
  await page.getByRole('heading', { name: 'There is no JSONL file' }).waitFor();
  await page.getByText(/`a`/).first().waitFor();
  const [job] = (await fixture.call('/v1/jobs')).jobs;
  assert.deepEqual([job.state, job.on_refusal, job.refused[0].format], ['done', 'keep_others', 'jsonl']);
  assert.deepEqual(faults, []);
  await context.close();
});
