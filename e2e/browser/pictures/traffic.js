/** @import { Fixture } from '../fixture.js' */

/** More rows than anybody waits for. */
export const ENDLESS = 1_000_000_000;

const OVERFLOW = 'select abs(-9223372036854775807 - 1) as too_much';

/** Reports that end, or do not, as a picture needs it. */
export const REPORTS = {
  cut: `title = "Cut short"
description = "A report that a limit ends before its last row."
source = "numbers"
formats = ["csv"]
max_rows = 5
on_limit = "truncate"
sql = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 9) select i as number from n"
`,
  inside: `title = "Salaries by department"
description = "A report whose files are for people who are signed in."
source = "numbers"
formats = ["csv"]
links = "tenant"
sql = "select 'Sales' as department, 5 as people"
`,
  unreachable: `title = "Warehouse stock"
description = "A report of a database that does not answer."
source = "nowhere"
formats = ["csv", "xlsx"]
sql = "select 1 as one"
`,
  again: `title = "Stock movements"
source = "numbers"
formats = ["csv"]
retention = "1s"
sql = "select 1 as one"
`,
  'again-fails': `title = "Supplier balances"
source = "numbers"
formats = ["csv"]
max_attempts = 1
retention = "1s"
sql = "select 1 as one"
`,
};

/** Two at once, so that the third waits; and what fails for a while is not tried again before the picture is taken. */
export const SETTINGS = `
[worker]
concurrency = 2
[broker]
retry_delays = ["1h"]
[sources.nowhere]
url = "postgres://nobody@127.0.0.1:9/none"
[tenants.acme]
brand = "Acme Logistics"
color = "#0f766e"
time_zone = "Europe/Berlin"
[quotas]
jobs_per_day = 100
rows_per_day = 60000000
bytes_per_day = "20GiB"
links_per_day = 400
principal_jobs_per_day = 90
principal_links_per_day = 300
`;

const LANGUAGES = ['en', 'de', 'fr', 'es', 'zh'];

/**
 * Makes jobs that are in every state there is, and what belongs to them.
 * @param {Fixture} fixture
 */
export async function makeTraffic(fixture) {
  const submit = (/** @type {object} */ body, key = fixture.key) => fixture.call('/v1/jobs', body, key);
  const mail = (/** @type {string} */ to, language = 'en') => ({ channel: 'email', to, language, time_zone: 'Europe/Berlin' });
  const end = async (/** @type {object} */ body) => fixture.finished((await submit(body)).id);
  const counting = (/** @type {object} */ params, more = {}) => ({ report: 'counting', params, ...more });

  const done = await end({ report: 'top-customers', formats: ['xlsx', 'pdf', 'csv'], notify: [mail('ana@example.com')] });
  const warm = await end({ report: 'top-customers', formats: ['xlsx', 'pdf', 'csv'] });
  const cut = await end({ report: 'cut', notify: [mail('finance@example.com')] });
  const inside = await end({ report: 'inside' });
  await end({ report: 'revenue-by-nation', params: { regions: ['ASIA', 'EUROPE'] }, formats: ['xlsx'], notify: LANGUAGES.map((language) => mail(`${language}@example.com`, language)) });
  const failed = await end({ report: 'broken', notify: [mail('ana@example.com'), mail('de@example.com', 'de')] });
  for (let more = 0; more < 2; more++) await end({ report: 'broken' });
  // What an arrival is learned from.
  for (let rows = 20_000; rows < 30_000; rows += 1000) await end(counting({ rows, note: `Run of ${rows}` }));
  for (let rows = 1; rows < 16; rows++) await end(counting({ rows, colour: 'blue' }));
  const other = fixture.makeKey('acme');
  await submit({ report: 'pricing-summary', formats: ['xlsx', 'pdf'], notify: [mail('berta@acme.example', 'de')] }, other);
  const schedules = await makeSchedules(fixture);
  const revoked = await end(counting({ rows: 3 }));
  await fixture.call(`/v1/jobs/${revoked.id}/artifacts/csv/revoke-link`, {});
  for (let opened = 0; opened < 3; opened++) await (await fetch(done.artifacts[0].link)).arrayBuffer();
  const expired = await end({ report: 'fleeting' });
  const making = await madeAgain(fixture, 'again', (text) => text.replace('select 1 as one', `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${ENDLESS}) select i as number from n`));
  const stuck = await madeAgain(fixture, 'again-fails', (text) => text.replace('select 1 as one', OVERFLOW));

  const retrying = await submit({ report: 'unreachable' });
  const cancelled = await submit(counting({ rows: ENDLESS }));
  await fixture.call(`/v1/jobs/${cancelled.id}/cancel`, {});
  const endless = counting({ rows: ENDLESS, note: 'A long list' }, { reuse: { max_age: 60 } });
  const running = await submit(endless);
  const joined = await submit(endless);
  for (let ahead = 0; ahead < 3; ahead++) await submit({ report: 'pricing-summary', params: { shipped_before: `1997-0${ahead + 1}-01` } });
  const waiting = await submit(counting({ rows: 25_000 }));
  return { schedules, done, warm, cut, inside, failed, expired, revoked, retrying, cancelled, running, joined, waiting, making, stuck };
}

/**
 * Makes schedules that are in every state there is.
 * @param {Fixture} fixture
 */
async function makeSchedules(fixture) {
  const make = (/** @type {object} */ body) => fixture.call('/v1/schedules', { zone: 'Europe/Berlin', ...body });
  const mail = (/** @type {string} */ to) => ({ channel: 'email', to, language: 'en' });
  const daily = await make({ title: 'Morning numbers', report: 'order-intake', when: 'every weekday at 07:30', params: { placed_from: { relative: 'yesterday' }, placed_until: { relative: 'today' } }, notify: [mail('ana@example.com'), mail('finance@example.com')], alarm_after: '26h' });
  const monthly = await make({ title: 'Prices of last month', report: 'pricing-summary', when: 'last working day of the month at 18:00', params: { shipped_before: { relative: 'start_of_month', minus: '29 years' } }, formats: ['xlsx', 'pdf'], notify: [mail('ana@example.com')], within: '15m', on_empty: 'tell', starts_at: '2026-01-01T00:00:00+01:00' });
  const often = await make({ report: 'counting', when: 'every 15 minutes between 08:00 and 18:00', params: { rows: 12 } });
  const failing = await make({ title: 'Balance of the warehouse', report: 'broken', when: '0 6 * * 1', alert: [mail('ops@example.com')], pause_after: 1 });
  const asked = await make({ title: 'When the load is done', report: 'top-customers', formats: ['xlsx', 'pdf', 'csv'] });
  const fire = async (/** @type {string} */ id, data_version = '') => fixture.finished((await fixture.call(`/v1/schedules/${id}/fire`, data_version ? { data_version } : {})).job);
  for (const load of ['load-2026-11-28', 'load-2026-11-29', 'load-2026-11-30']) await fire(asked.id, load);
  for (const { id } of [monthly, monthly, often]) await fire(id);
  await fire(failing.id);
  while ((await fixture.call(`/v1/schedules/${failing.id}`)).state === 'active') await new Promise((resolve) => setTimeout(resolve, 100));
  const ben = fixture.makeKey('default', ['--principal', 'ben', '--scope', 'read', '--scope', 'write']);
  await fixture.call('/v1/schedules', { title: 'Slow movers', report: 'revenue-by-nation', when: 'every monday at 08:00', zone: 'America/New_York' }, ben);
  return { daily, monthly, often, failing, asked };
}

/**
 * Opens a link whose file has gone, and presses its button.
 * @param {Fixture} fixture
 * @param {keyof typeof REPORTS} report
 * @param {(text: string) => string} change What the report becomes in between.
 */
async function madeAgain(fixture, report, change) {
  const { id } = await fixture.call('/v1/jobs', { report });
  const { artifacts: [{ link }] } = await fixture.finished(id);
  while ((await fetch(link)).status !== 410) await new Promise((resolve) => setTimeout(resolve, 100));
  await fixture.rewrite(report, change);
  const pressed = await fetch(`${link}/again`, { method: 'POST', headers: { origin: fixture.url }, redirect: 'manual' });
  if (pressed.status >= 400) throw new Error(`${link}/again answers ${pressed.status}: ${await pressed.text()}`);
  return link;
}
