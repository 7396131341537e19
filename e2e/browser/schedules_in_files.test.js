import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, openBrowser, settle, signIn, someone } from './fixture.js';

/** @param {Date} date */
const dayOf = (date) => date.toISOString().slice(0, 10);
const [TOMORROW, NEXT] = [1, 2].map((days) => dayOf(new Date(Date.now() + days * 86_400_000)));

const PLANNED = `title = "Planned"
source = "numbers"
sql = "select 1 as one"

[[schedules]]
name = "daily"
tenant = "default"
owner = "owner"
title = "Kept in a file"
when = "every day at 07:30"
calendar = "de"
on_holiday = "skip"
`;

const fixture = new Fixture({ reports: { planned: PLANNED }, settings: `[calendars.de]\ndates = ["${TOMORROW}", "${NEXT}"]\n` });
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

/** Waits for the schedule of the file. @returns {Promise<string>} */
async function idOfKept() {
  for (;;) {
    const { schedules } = await fixture.call('/v1/schedules');
    if (schedules.length > 0) return schedules[0].id;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('a schedule of a file is paused and run in the console, and changed in its file', async () => {
  const id = await idOfKept();
  const { context, faults } = await someone(browser, { timezoneId: 'UTC' });
  await signIn(context, fixture);
  const page = await context.newPage();
  await page.goto(`${fixture.url}/schedules/${id}`);
  await page.getByRole('heading', { level: 1, name: 'Kept in a file' }).waitFor();
  await settle(page);
  const buttons = async () => (await page.locator('.head .buttons > *').allTextContents()).join(', ');
  assert.equal(await buttons(), 'Run now, Pause');
  const settings = page.locator('section.panel').filter({ has: page.getByRole('heading', { name: 'Settings' }) });
  assert.match((await settings.textContent()) ?? '', /In the cataloguedaily.*Calendarde.*On a holidayLeave it out/);
  for (const day of [TOMORROW, NEXT]) assert.equal(await page.locator(`.upcoming time[datetime^="${day}"]`).count(), 0, day);
  assert.equal(await page.locator('.upcoming time').count(), 10);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByText('Somebody paused it.').waitFor();
  assert.equal(await buttons(), 'Run now, Resume');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('what a calendar leaves out is seen while it is typed, and one that there is not is refused at its field', async () => {
  const { context, faults } = await someone(browser, { timezoneId: 'UTC' });
  await signIn(context, fixture);
  const page = await context.newPage();
  await page.goto(`${fixture.url}/schedules/new?report=planned`);
  await page.getByLabel('Words or cron').fill('every day at 07:30');
  await page.getByText('Further settings').click();
  await page.getByLabel('Calendar').fill('fr');
  await page.locator('#field-schedule-calendar-wrong').filter({ hasText: 'de' }).waitFor();
  await page.getByLabel('Calendar').fill('de');
  await page.getByLabel('On a holiday').selectOption('skip');
  await page.locator('.meaning .upcoming').filter({ hasNot: page.locator(`time[datetime^="${TOMORROW}"], time[datetime^="${NEXT}"]`) }).locator('li:nth-child(10)').waitFor();
  await page.getByRole('button', { name: 'Make the schedule' }).click();
  await page.waitForURL(/\/schedules\/[0-9a-f-]{36}$/);
  await page.getByRole('button', { name: 'Delete' }).waitFor();
  const { calendar, on_holiday: onHoliday } = await fixture.call(new URL(page.url()).pathname.replace('/schedules', '/v1/schedules'));
  assert.deepEqual([calendar, onHoliday], ['de', 'skip']);
  assert.deepEqual(faults, []);
  await context.close();
});
