/**
 * @import { Page } from 'playwright-core'
 * @import { Fixture } from '../fixture.js'
 */
import { readMail } from './mails.js';
import { ENDLESS } from './traffic.js';

/**
 * One picture: a page, and what is done on it before it is taken.
 * @typedef {object} Picture
 * @property {string} name
 * @property {string} [path] On the gateway, or a whole address. Nothing: what is there already.
 * @property {(page: Page) => Promise<unknown>} [act]
 * @property {(page: Page) => Promise<unknown>} [after] Puts right what `act` did to the browser.
 * @property {string} [html] Shown in place of a page.
 * @property {boolean} [outside] Before signing in.
 * @property {boolean} [screen] Only what fits the screen, with what is fixed to its edges.
 */

const button = (/** @type {string} */ name) => (/** @type {Page} */ page) => page.getByRole('button', { name, exact: true }).click();

/** The timeline comes by a stream of its own. @param {Page} page */
const happened = (page) => page.locator('.timeline li').first().waitFor();

/** The head follows whoever scrolls, also into a picture. @param {Page} page */
const top = (page) => page.evaluate(() => scrollTo(0, 0));

/** What became of the newest firing of each comes after the list. @param {Page} page */
const lastTold = (page) => page.waitForFunction(() => document.querySelector('table') !== null && ![...document.querySelectorAll('td')].some((cell) => cell.textContent === '…'));

/** An outage takes longer than a picture: times that came during one are shown before those that came. @param {Page} page */
async function missSome(page) {
  const path = new URL(page.url()).pathname;
  await page.route(`**/v1${path}`, async (route) => {
    const answer = await route.fetch();
    const told = await answer.json();
    const firing = (/** @type {string} */ nominal, /** @type {object} */ more) => ({ id: crypto.randomUUID(), nominal, data_version: null, due_at: `${nominal}Z`, at: `${nominal}Z`, job: null, ended: null, ...more });
    const others = [
      firing('2026-10-30T18:00:00', { outcome: 'missed', detail: 'later than the catch-up window allows' }),
      firing('2026-09-30T18:00:00', { outcome: 'skipped', detail: 'the job of the one before has not ended' }),
      firing('2026-08-31T18:00:00', { outcome: 'refused', detail: '/params/shipped_before must be a date' }),
    ];
    await route.fulfill({ response: answer, json: { ...told, firings: [...told.firings, ...others] } });
  });
  await page.reload();
  await page.getByText('later than the catch-up').waitFor();
  await page.getByRole('link', { name: /^Download/ }).first().waitFor();
}

const DELIVERIES = '**/v1/admin/deliveries?*';

/** Mails of the pictures stay in a folder, which refuses nobody: every other one is shown as refused. @param {Page} page */
async function refuseMails(page) {
  await page.route(DELIVERIES, async (route) => {
    const answer = await route.fetch();
    const { deliveries } = await answer.json();
    const told = deliveries.map((/** @type {object} */ one, /** @type {number} */ at) => (at % 2 ? one : { ...one, state: 'failed', sent_at: null, attempt: 3, error: '550 5.2.2 The mailbox is full' }));
    await route.fulfill({ json: { deliveries: told } });
  });
  await page.reload();
  await page.getByText(/mails? failed\./).waitFor();
}

/** Nobody signs in there: the buttons are for being looked at. @param {Page} page */
async function offerProviders(page) {
  const providers = [{ name: 'staff', title: 'your Acme account' }, { name: 'partners', title: 'the partner portal' }];
  await page.route('**/v1/session', (route) => route.fulfill({ json: { signed_in: false, providers } }));
  await page.reload();
  await page.getByRole('link', { name: 'Sign in with your Acme account' }).waitFor();
}

/** What somebody sees who has never been here. @type {Picture[]} */
export const NEWCOMER = [
  { name: 'sign-in', path: '/login', outside: true },
  { name: 'sign-in-wrong', path: '/login', outside: true, act: async (page) => {
    await page.getByLabel('API key').fill('wl_nonsense');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('does not open anything').waitFor();
  } },
  { name: 'sign-in-providers', path: '/login?failed=refused', outside: true, act: offerProviders, after: (page) => page.unrouteAll() },
  { name: 'newcomer', path: '/' },
  { name: 'newcomer-jobs', path: '/jobs' },
  { name: 'newcomer-usage', path: '/usage' },
  { name: 'newcomer-schedules', path: '/schedules' },
  { name: 'status', path: '/status' },
  { name: 'newcomer-dead-letters', path: '/operations/dead-letters' },
  { name: 'newcomer-deliveries', path: '/operations/deliveries' },
];

/**
 * What there is to see once much has happened.
 * @param {Fixture} fixture
 * @param {Awaited<ReturnType<typeof import('./traffic.js').makeTraffic>>} jobs
 * @returns {Picture[]}
 */
export function pagesOf(fixture, jobs) {
  const linkOf = (/** @type {import('../../../api/web/sdk/shapes.js').Job} */ job) => job.artifacts[0].link;
  return [
    { name: 'link-sign-in', path: linkOf(jobs.inside), outside: true },
    { name: 'link-ready', path: linkOf(jobs.done), outside: true, act: (page) => page.getByText('Receipt').click() },
    { name: 'link-cut', path: linkOf(jobs.cut), outside: true },
    { name: 'link-expired', path: linkOf(jobs.expired), outside: true },
    { name: 'link-revoked', path: linkOf(jobs.revoked), outside: true },
    { name: 'link-making-again', path: jobs.making, outside: true, act: (page) => page.getByText('so far').waitFor() },
    { name: 'link-failed-again', path: jobs.stuck, outside: true },
    { name: 'link-none', path: '/d/none', outside: true },

    { name: 'catalogue', path: '/' },
    { name: 'catalogue-found', path: '/?q=revenue' },
    { name: 'catalogue-nothing-found', path: '/?q=unicorns' },
    { name: 'form', path: '/reports/line-item-export' },
    { name: 'form-of-times', path: '/reports/order-intake' },
    { name: 'form-wrong', path: '/reports/counting', act: async (page) => {
      await page.getByLabel('Rows').fill('0');
      await page.getByLabel('Day').fill('2025-12-31');
      await page.getByRole('checkbox', { name: 'CSV' }).uncheck({ force: true });
      await page.getByLabel('Mail me the link').fill('nobody');
      await page.getByRole('button', { name: 'Make the report' }).click();
      await page.getByText('Please correct what is marked.').waitFor();
    } },
    { name: 'no-report', path: '/reports/none' },
    { name: 'no-page', path: '/nothing' },
    { name: 'jobs', path: '/jobs' },
    { name: 'jobs-failed', path: '/jobs?state=failed' },
    { name: 'jobs-none', path: '/jobs?state=failed&report=order-intake' },
    { name: 'job-waiting', path: `/jobs/${jobs.waiting.id}`, act: happened },
    { name: 'job-running', path: `/jobs/${jobs.running.id}`, act: (page) => page.getByRole('region', { name: 'Table of the first rows' }).waitFor() },
    { name: 'job-joined', path: `/jobs/${jobs.joined.id}`, act: happened },
    { name: 'job-done', path: `/jobs/${jobs.done.id}`, act: async (page) => {
      await page.getByText('Receipt').first().click();
      await page.getByText('Data as of').waitFor();
    } },
    { name: 'job-warm', path: `/jobs/${jobs.warm.id}`, act: happened },
    { name: 'job-cut', path: `/jobs/${jobs.cut.id}`, act: happened },
    { name: 'job-expired', path: `/jobs/${jobs.expired.id}`, act: happened },
    { name: 'job-retrying', path: `/jobs/${jobs.retrying.id}`, act: happened },
    { name: 'job-failed', path: `/jobs/${jobs.failed.id}`, act: happened },
    { name: 'job-cancelled', path: `/jobs/${jobs.cancelled.id}`, act: happened },
    { name: 'no-job', path: '/jobs/0' },
    { name: 'question', path: `/jobs/${jobs.running.id}`, act: button('Cancel'), screen: true },
    { name: 'notice', path: `/jobs/${jobs.done.id}`, screen: true, act: (page) => page.getByRole('button', { name: 'Copy link' }).first().click() },
    { name: 'focus', path: '/', screen: true, act: async (page) => {
      for (let steps = 0; steps < 9; steps++) await page.keyboard.press('Tab');
    } },
    { name: 'offline', path: '/jobs', screen: true, act: async (page) => {
      await page.context().setOffline(true);
      await page.getByText('You are offline').waitFor();
    }, after: (page) => page.context().setOffline(false) },
    { name: 'schedules', path: '/schedules', act: lastTold },
    { name: 'schedules-of-all', path: '/schedules?of=tenant', act: lastTold },
    { name: 'schedules-week', path: '/schedules?view=week&of=tenant&day=2026-12-09' },
    { name: 'schedules-month', path: '/schedules?view=month&of=tenant&day=2026-12-09' },
    { name: 'schedule', path: `/schedules/${jobs.schedules.monthly.id}`, act: missSome, after: (page) => page.unrouteAll() },
    { name: 'schedule-asked', path: `/schedules/${jobs.schedules.asked.id}`, act: (page) => page.getByRole('link', { name: /^Download/ }).first().waitFor() },
    { name: 'schedule-paused', path: `/schedules/${jobs.schedules.failing.id}` },
    { name: 'schedule-new', path: '/schedules/new?report=order-intake', act: (page) => page.getByRole('button', { name: 'every weekday at 07:30' }).click().then(() => page.locator('.meaning li').first().waitFor()).then(() => top(page)) },
    { name: 'schedule-edit', path: `/schedules/${jobs.schedules.monthly.id}/edit`, act: (page) => page.getByText('Further settings').click().then(() => top(page)) },
    { name: 'schedule-wrong', path: '/schedules/new?report=counting', act: async (page) => {
      await page.getByLabel('Words or cron').fill('every blue moon');
      await page.getByLabel('Mail the report to').fill('nobody');
      await page.getByRole('button', { name: 'Make the schedule' }).click();
      await page.getByText('Please correct what is marked.').waitFor();
      await top(page);
    } },
    { name: 'schedule-hand-over', path: `/schedules/${jobs.schedules.monthly.id}`, screen: true, act: button('Hand over') },
    { name: 'schedule-delete', path: `/schedules/${jobs.schedules.monthly.id}`, screen: true, act: button('Delete') },
    { name: 'usage', path: '/usage', act: (page) => page.locator('.bars').first().waitFor() },
    { name: 'queues', path: '/operations' },
    { name: 'workers', path: '/operations/workers' },
    { name: 'dead-letters', path: '/operations/dead-letters', act: (page) => page.locator('summary').first().click() },
    { name: 'deliveries', path: '/operations/deliveries' },
    { name: 'deliveries-failed', path: '/operations/deliveries', act: refuseMails, after: (page) => page.unroute(DELIVERIES) },
    { name: 'deliveries-question', path: '/operations/deliveries', screen: true, act: async (page) => {
      await refuseMails(page);
      await page.getByRole('button', { name: /^Send \d+ again$/ }).click();
    }, after: (page) => page.unroute(DELIVERIES) },
    { name: 'job-mails-failed', path: `/jobs/${jobs.done.id}`, act: (page) => refuseMails(page).then(() => happened(page)), after: (page) => page.unroute(DELIVERIES) },
    ...fixture.mails().map(readMail).map(({ to, subject, html }, at) => ({ name: `mail-${to.split('@')[0]}-${at}`, html: html.replace('<body', `<body data-subject="${subject.replaceAll('"', '')}"`) })),
  ];
}

/**
 * What stands on pages of other applications.
 * @param {string} app Origin of a page with widgets.
 * @param {string} files Origin of the examples.
 * @param {Fixture} fixture
 * @returns {Picture[]}
 */
export function pagesElsewhere(app, files, fixture) {
  const example = (/** @type {string} */ name) => `${files}/examples/${name}.html?${new URLSearchParams({ gateway: fixture.url, key: fixture.key })}`;
  const exported = async (/** @type {Page} */ page, /** @type {number} */ rows) => {
    await page.getByLabel('Rows').fill(String(rows));
    await page.getByRole('button', { name: 'Export' }).click();
  };
  return [
    { name: 'widget', path: app, act: (page) => page.getByText('Export orders').waitFor() },
    { name: 'widget-used', path: app, act: async (page) => {
      for (const name of ['Export orders', 'Export everything', 'Export stock']) await page.getByRole('button', { name }).click();
      await page.getByRole('link', { name: /Download/ }).waitFor();
      await page.getByText(/overflow/).waitFor();
    } },
    ...['plain', 'react'].flatMap((name) => [
      { name: `example-${name}`, path: example(name), act: (/** @type {Page} */ page) => page.getByLabel('Rows').waitFor() },
      { name: `example-${name}-done`, path: example(name), act: async (/** @type {Page} */ page) => {
        await exported(page, 7);
        await page.getByRole('link', { name: /counting/ }).waitFor();
      } },
      { name: `example-${name}-wrong`, path: example(name), act: async (/** @type {Page} */ page) => {
        await exported(page, 2 * ENDLESS);
        await page.getByRole('alert').filter({ hasText: 'rows' }).waitFor();
      } },
    ]),
  ];
}

/** A page with widgets. @param {string} gateway @param {string} key */
export const widgetPage = (gateway, key) => `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Shop</title>
  <style>:root { color-scheme: light dark; } body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; } section { padding: 1rem 0; border-top: 1px solid #8886; }</style>
  <h1>Shop</h1>
  <section><h2>Orders</h2><waitless-report report="counting" params='{"rows": 4}' formats="csv">Export orders</waitless-report></section>
  <section><h2>Everything</h2><waitless-report report="counting" params='{"rows": ${ENDLESS}}'>Export everything</waitless-report></section>
  <section><h2>Stock</h2><waitless-report report="broken">Export stock</waitless-report></section>
  <script type="module" src="${gateway}/widget.js"></script>
  <script type="module">await customElements.whenDefined('waitless-report'); customElements.get('waitless-report').token = async () => '${key}';</script>`;
