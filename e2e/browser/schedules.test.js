import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, download, openBrowser, settle, signIn, someone } from './fixture.js';

const SECRET = `title = "Confidential"
source = "numbers"
formats = ["csv"]
sql = "select :rows as number, length(:password) as length"
[params.rows]
type = "integer"
label = "Rows"
default = 3
[params.password]
type = "text"
label = "Password"
sensitive = true
`;

const fixture = new Fixture({ reports: { confidential: SECRET } });
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

/** @param {import('playwright-core').BrowserContextOptions} [options] */
async function newPage(options) {
  const { context, faults } = await someone(browser, { timezoneId: 'Asia/Tokyo', ...options });
  await signIn(context, fixture);
  return { page: await context.newPage(), context, faults };
}

/** @param {import('playwright-core').Page} page */
const idOf = (page) => /** @type {string} */ (/\/schedules\/([0-9a-f-]{36})$/.exec(new URL(page.url()).pathname)?.[1]);

/** @param {string} id */
const remove = (id) => fetch(`${fixture.url}/v1/schedules/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${fixture.key}` } });

/** @param {object} body @returns {Promise<import('../../api/web/sdk/shapes.js').ScheduleDetails>} */
const make = (body) => fixture.call('/v1/schedules', { report: 'counting', when: 'every day at 07:30', zone: 'UTC', ...body });

test('a schedule is made from the form of a report, listed, changed, run, paused, resumed and deleted', async () => {
  const { page, context, faults } = await newPage();
  await page.goto(`${fixture.url}/reports/counting`);
  await page.getByLabel('Rows').fill('4');
  await page.getByLabel('Colour').selectOption('blue');
  await page.getByLabel('JSON Lines').check({ force: true });
  await page.getByLabel('Mail me the link').fill('ana@example.com');
  await page.getByRole('button', { name: 'Schedule this' }).click();

  // What was filled in came along, and the browser's zone is there.
  await page.getByRole('heading', { level: 1, name: 'Schedule Counting' }).waitFor();
  assert.equal(await page.getByLabel('Rows', { exact: true }).inputValue(), '4');
  assert.equal(await page.getByLabel('Colour', { exact: true }).inputValue(), 'blue');
  assert(await page.getByLabel('JSON Lines').isChecked());
  assert.equal(await page.getByLabel('Mail the report to').inputValue(), 'ana@example.com');
  assert.equal(await page.getByLabel('Time zone').inputValue(), 'Asia/Tokyo');

  // What "when" means is said while it is typed, in the words of the API.
  await page.getByLabel('Words or cron').fill('every blue moon');
  await page.locator('#field-schedule-when-wrong').filter({ hasText: /./ }).waitFor();
  await page.getByRole('button', { name: 'every weekday at 07:30' }).click();
  await page.locator('.sentence').filter({ hasText: 'every weekday at 07:30' }).waitFor();
  assert.equal(await page.locator('.meaning .upcoming li').count(), 10);
  assert.match((await page.locator('.meaning .upcoming li').first().textContent()) ?? '', /07:30/);
  assert.equal(await page.locator('#field-schedule-when-wrong').textContent(), '');

  await page.getByLabel('Name', { exact: true }).fill('Morning numbers');
  await page.getByLabel('Day: Value').selectOption('start_of_month');
  await page.getByLabel('Day: Moved by').selectOption('plus');
  await page.getByLabel('Day: Number', { exact: true }).fill('9');
  await page.getByLabel('Day: Unit').selectOption('year');
  await page.getByText('Further settings').click();
  await page.getByLabel('When there are no rows').selectOption('tell');
  await page.getByLabel('Caught up for').fill('soon');
  await page.getByRole('button', { name: 'Make the schedule' }).click();
  await page.getByText('Please correct what is marked.').waitFor();
  assert.match((await page.locator('#field-schedule-catch_up-wrong').textContent()) ?? '', /duration/);
  await page.getByLabel('Caught up for').fill('2h');
  await page.getByRole('button', { name: 'Make the schedule' }).click();
  await page.getByRole('heading', { level: 1, name: 'Morning numbers', exact: true }).waitFor();
  const id = idOf(page);
  const made = await fixture.call(`/v1/schedules/${id}`);
  assert.deepEqual([made.when, made.zone, made.on_empty, made.catch_up, made.formats], ['every weekday at 07:30', 'Asia/Tokyo', 'tell', '2h', ['csv', 'jsonl']]);
  assert.deepEqual(made.params, { rows: 4, day: { relative: 'start_of_month', plus: '9 years' }, colour: 'blue', note: null });
  assert.deepEqual([made.notify[0].to, made.notify[0].time_zone], ['ana@example.com', 'Asia/Tokyo']);
  // The next times, with what the relative date is then.
  assert.equal(await page.locator('.upcoming li').count(), 10);
  const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' }).format(new Date(made.upcoming[0].params.day));
  assert.match((await page.locator('.upcoming li').first().textContent()) ?? '', new RegExp(day));
  await page.locator('.then').filter({ hasText: day }).waitFor();

  // It is listed, and changed.
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Schedules' }).click();
  const row = page.getByRole('row').filter({ hasText: 'Morning numbers' });
  await row.getByText('every weekday at 07:30').waitFor();
  await row.getByText('Not yet').waitFor();
  await row.getByRole('link', { name: 'Morning numbers' }).click();
  await page.getByRole('link', { name: 'Edit' }).click();
  await page.getByRole('heading', { level: 1, name: 'Edit Morning numbers' }).waitFor();
  assert.equal(await page.getByLabel('Day: Value').inputValue(), 'start_of_month');
  assert.equal(await page.getByLabel('Day: Number', { exact: true }).inputValue(), '9');
  await page.getByLabel('Words or cron').fill('30 18 * * 5');
  await page.locator('.sentence').filter({ hasText: /friday/i }).waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { level: 1, name: 'Morning numbers', exact: true }).waitFor();
  const changed = await fixture.call(`/v1/schedules/${id}`);
  assert.deepEqual([changed.when, changed.params, changed.catch_up, changed.notify], ['30 18 * * 5', made.params, '2h', made.notify]);

  // It runs now: its firing, its job and its files.
  await page.getByRole('button', { name: 'Run now' }).click();
  await page.getByText('Asked for').waitFor();
  const link = page.getByRole('link', { name: /^Download CSV/ });
  await link.first().waitFor();
  const { text } = await download(page, page.locator('table').getByRole('link', { name: /^Download CSV/ }));
  assert.equal(text.trim().split('\n').length, 5);
  await page.locator('table').getByText('Ready').waitFor();

  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByText('Somebody paused it.').waitFor();
  assert(await page.getByRole('button', { name: 'Resume' }).evaluate((button) => document.activeElement === button), 'the focus stays');
  assert.equal((await fixture.call(`/v1/schedules/${id}`)).state, 'paused');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  assert.equal((await fixture.call(`/v1/schedules/${id}`)).state, 'active');

  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Keep it' }).click();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('heading', { name: 'No schedules yet' }).waitFor();
  assert.deepEqual((await fixture.call('/v1/schedules')).schedules, []);
  assert.deepEqual(faults, []);
  await context.close();
});

test('what comes of schedules stands in a week and in a month', async () => {
  const { page, context, faults } = await newPage({ timezoneId: 'Europe/Berlin' });
  const { id } = await make({ title: 'Hourly', when: '0 8-10 * * *', zone: 'Europe/Berlin' });
  const monthly = await make({ title: 'Of the month', when: '0 7 1 * *', zone: 'Europe/Berlin' });
  await page.goto(`${fixture.url}/schedules?view=month&day=2099-06-10`);
  await page.getByRole('heading', { name: 'June 2099' }).waitFor();
  const day = page.locator('.calendar > ol > li').filter({ has: page.locator('time[datetime="2099-06-01"]') });
  assert.deepEqual(await day.locator('.clock').allTextContents(), ['07:00', '08:00 – 10:00']);
  assert.equal(await page.locator('.entry').filter({ hasText: 'Of the month' }).count(), 2, 'the first days of June and July');
  await page.getByRole('link', { name: 'After' }).click();
  await page.getByRole('heading', { name: 'July 2099' }).waitFor();
  await page.getByRole('link', { name: 'Week', exact: true }).click();
  await page.getByRole('heading', { name: /July 2099/ }).waitFor();
  assert.equal(await page.locator('.calendar > ol > li').count(), 7);
  assert.equal(await page.locator('.entry').filter({ hasText: 'Hourly' }).count(), 7);
  await page.locator('.entry').filter({ hasText: 'Hourly' }).first().click();
  await page.getByRole('heading', { level: 1, name: 'Hourly' }).waitFor();
  assert.equal(idOf(page), id);
  for (const one of [id, monthly.id]) await remove(one);
  assert.deepEqual(faults, []);
  await context.close();
});

test('operators see the schedules of others, why they missed, and hand them over', async () => {
  const ben = fixture.makeKey('default', ['--principal', 'ben', '--scope', 'read', '--scope', 'write']);
  const { id } = await fixture.call('/v1/schedules', { report: 'counting', title: 'Of Ben', when: 'every day at 07:30', zone: 'UTC' }, ben);
  const { page, context, faults } = await newPage();
  await page.goto(`${fixture.url}/schedules`);
  await page.getByRole('heading', { name: 'No schedules yet' }).waitFor();
  await page.getByLabel('Whose').selectOption('tenant');
  await page.getByRole('row').filter({ hasText: 'Of Ben' }).getByText('ben', { exact: true }).waitFor();
  // An outage takes longer than a test.
  const missed = { id: '0197f2d2-0000-7000-8000-000000000000', nominal: '2026-03-02T07:30:00', data_version: null, due_at: '2026-03-02T07:30:00Z', outcome: 'missed', job: null, detail: 'later than the catch-up window allows', at: '2026-03-02T12:00:00Z', ended: null };
  await page.route(`**/v1/schedules/${id}`, async (route) => {
    const answer = await route.fetch();
    await route.fulfill(route.request().method() === 'GET' ? { response: answer, json: { ...(await answer.json()), firings: [missed] } } : { response: answer });
  });
  await page.getByRole('link', { name: 'Of Ben' }).click();
  const firing = page.getByRole('row').filter({ hasText: 'Missed' });
  await firing.getByText('later than the catch-up window allows').waitFor();

  await page.getByRole('button', { name: 'Hand over' }).click();
  await page.getByLabel('New owner').fill('nobody here');
  await page.getByRole('dialog').getByRole('button', { name: 'Hand over' }).click();
  await page.getByRole('alert').filter({ hasText: 'must name a person' }).waitFor();
  const { principal } = await fixture.call('/v1/session');
  await page.getByLabel('New owner').fill(principal);
  await page.getByRole('dialog').getByRole('button', { name: 'Hand over' }).click();
  await page.getByText('Handed over').waitFor();
  assert.equal((await fixture.call(`/v1/schedules/${id}`)).owner, principal);
  await remove(id);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a value that is never shown is kept, and asked for when others change', async () => {
  const { page, context, faults } = await newPage();
  const { id } = await fixture.call('/v1/schedules', { report: 'confidential', params: { rows: 2, password: 'hunter2' }, when: 'every day at 07:30', zone: 'UTC' });
  await page.goto(`${fixture.url}/schedules/${id}/edit`);
  await page.getByLabel('Name', { exact: true }).fill('Renamed');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { level: 1, name: 'Renamed', exact: true }).waitFor();
  assert.equal((await fixture.call(`/v1/schedules/${id}`)).params.password, '(hidden)');
  await page.getByRole('link', { name: 'Edit' }).click();
  await page.getByLabel('Rows', { exact: true }).fill('5');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Give it anew').waitFor();
  await page.getByLabel('Password').fill('hunter3');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { level: 1, name: 'Renamed', exact: true }).waitFor();
  assert.deepEqual((await fixture.call(`/v1/schedules/${id}`)).params, { rows: 5, password: '(hidden)' });
  await remove(id);
  assert.deepEqual(faults, []);
  await context.close();
});

test('start and end are those of the clock of the zone', async () => {
  const { page, context, faults } = await newPage();
  await page.goto(`${fixture.url}/schedules/new?report=counting`);
  await page.getByLabel('Words or cron').fill('every day at 07:30');
  await page.getByLabel('Time zone').fill('Europe/Berlin');
  await page.getByText('Further settings').click();
  await page.getByLabel('Not before').fill('2099-07-01T00:00');
  await page.getByLabel('Not after').fill('2099-07-02T07:30');
  await page.waitForFunction(() => document.querySelectorAll('.meaning .upcoming li').length === 2);
  await page.getByRole('button', { name: 'Make the schedule' }).click();
  await page.getByRole('heading', { level: 1, name: 'Counting', exact: true }).waitFor();
  const made = await fixture.call(`/v1/schedules/${idOf(page)}`);
  // In Berlin it is two hours later than in Greenwich, in summer.
  assert.deepEqual([made.starts_at, made.ends_at], ['2099-06-30T22:00:00Z', '2099-07-02T05:30:00Z']);
  await remove(made.id);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a schedule is made and paused with the keyboard alone', async () => {
  const { page, context, faults } = await newPage();
  await page.goto(`${fixture.url}/reports/counting`);
  await settle(page);
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.getAttribute('name') ?? document.activeElement?.textContent?.trim() ?? '');
  const tabTo = async (/** @type {RegExp} */ name) => {
    for (let steps = 0; steps < 60; steps++) {
      await page.keyboard.press('Tab');
      if (name.test(await focused())) return;
    }
    assert.fail(`the keyboard does not reach ${name}`);
  };
  await tabTo(/^Schedule this$/);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Schedule Counting' }).waitFor();
  await tabTo(/^Day: Value$/);
  await page.keyboard.type('Start of the y');
  await tabTo(/^schedule-when$/);
  await page.keyboard.type('every monday at 08:00');
  await page.locator('.sentence').filter({ hasText: /monday/i }).waitFor();
  await tabTo(/^Further settings$/);
  await page.keyboard.press('Enter');
  await tabTo(/^schedule-overlap$/);
  await page.keyboard.press('ArrowDown');
  await tabTo(/^Make the schedule$/);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Counting', exact: true }).waitFor();
  const made = await fixture.call(`/v1/schedules/${idOf(page)}`);
  assert.deepEqual([made.params.day, made.when, made.overlap], [{ relative: 'start_of_year' }, 'every monday at 08:00', 'queue_one']);
  await tabTo(/^Pause$/);
  await page.keyboard.press('Enter');
  await page.getByText('Somebody paused it.').waitFor();
  assert.equal(await focused(), 'Resume');
  await tabTo(/^Delete$/);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  assert.equal(await focused(), 'Keep it');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal(await focused(), 'Delete');
  await remove(made.id);
  assert.deepEqual(faults, []);
  await context.close();
});

/** What leads to the pages, and what they say, in each language. @type {[string, string, string, string, string][]} */
const LANGUAGES = [
  ['de-AT', 'Zeitpläne', 'Dies planen', 'Counting planen', 'Was das heißt'],
  ['fr-FR', 'Planifications', 'Planifier ceci', 'Planifier Counting', 'Ce que cela signifie'],
  ['es-ES', 'Programaciones', 'Programar esto', 'Programar Counting', 'Qué significa'],
  ['zh-CN', '定时', '设为定时', '定时：Counting', '含义'],
  ['pt-PT', 'Schedules', 'Schedule this', 'Schedule Counting', 'What it means'],
];

test('the pages about schedules speak the language of whoever reads them, and only that one is loaded', async () => {
  for (const [locale, title, button, heading, meaning] of LANGUAGES) {
    const { page, context, faults } = await newPage({ locale });
    await page.goto(`${fixture.url}/reports/counting`);
    await settle(page);
    const loaded = () => page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.includes('/schedules/')));
    assert.deepEqual(await loaded(), [], 'nothing of it is loaded before');
    await page.getByRole('button', { name: button }).click();
    await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    await page.getByRole('heading', { name: meaning }).waitFor();
    assert.equal((await loaded()).filter((name) => name.includes('/words/')).length, 1);
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: title }).click();
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  }
});
