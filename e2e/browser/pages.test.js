import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Fixture, openBrowser, settle, signIn, someone } from './fixture.js';

const fixture = new Fixture();
/** @type {import('playwright-core').Browser} */
let browser;
/** Addresses of the pages that show a job that runs, by what is on them. @type {Record<string, string>} */
const WHILE_ONE_RUNS = { jobs: '/jobs', queues: '/operations', workers: '/operations/workers' };
/** Addresses of every other page, by what is on it. @type {Record<string, string>} */
let pages = {};

before(async () => {
  browser = await openBrowser();
  await fixture.up();
  const done = await submit({ report: 'counting', formats: ['csv', 'jsonl'], notify: [{ channel: 'email', to: 'ana@example.com' }] });
  const failed = await submit({ report: 'broken' });
  const cancelled = await submit({ report: 'counting', params: { rows: 1_000_000_000 } });
  await fixture.call(`/v1/jobs/${cancelled.id}/cancel`, {});
  const revoked = await fixture.finished((await submit({ report: 'counting' })).id);
  await fixture.call(`/v1/jobs/${revoked.id}/artifacts/csv/revoke-link`, {});
  const gone = await fixture.finished((await submit({ report: 'fleeting' })).id);
  const schedules = await makeSchedules();
  await fixture.finished(failed.id);
  const { artifacts } = await fixture.finished(done.id);
  pages = {
    catalogue: '/', form: '/reports/counting', done: `/jobs/${done.id}`, failed: `/jobs/${failed.id}`,
    cancelled: `/jobs/${cancelled.id}`, 'no job': '/jobs/0', 'no report': '/reports/none',
    'dead letters': '/operations/dead-letters', usage: '/usage', deliveries: '/operations/deliveries',
    'revoked link, of one job': `/jobs/${revoked.id}`, 'file that is gone': `/jobs/${gone.id}`, 'nothing found': '/?q=unicorns', 'no page': '/nothing',
    link: new URL(artifacts[0].link).pathname, 'dead link': '/d/none', 'revoked link': new URL(revoked.artifacts[0].link).pathname,
    'expired link': new URL(gone.artifacts[0].link).pathname, ...schedules,
  };
});
after(async () => {
  await browser?.close();
  await fixture.close();
});

/** One that fires, with a firing, and one that is paused. @returns {Promise<Record<string, string>>} Their pages. */
async function makeSchedules() {
  const make = (/** @type {object} */ body) => fixture.call('/v1/schedules', { report: 'counting', zone: 'Europe/Berlin', ...body });
  const often = await make({ title: 'Through the day', when: 'every 15 minutes between 08:00 and 18:00', params: { day: { relative: 'end_of_month', plus: '2 years' } }, notify: [{ channel: 'email', to: 'ana@example.com' }] });
  const { job } = await fixture.call(`/v1/schedules/${often.id}/fire`, {});
  await fixture.finished(job);
  const asked = await make({ title: 'When the load is done' });
  await fetch(`${fixture.url}/v1/schedules/${asked.id}`, { method: 'PATCH', headers: { authorization: `Bearer ${fixture.key}`, 'content-type': 'application/json' }, body: '{"paused": true}' });
  return {
    schedules: '/schedules', 'schedules of all': '/schedules?of=tenant', week: '/schedules?view=week', month: '/schedules?view=month', 'week without any': '/schedules?view=week&day=2001-01-01',
    schedule: `/schedules/${often.id}`, 'paused schedule': `/schedules/${asked.id}`, 'change of a schedule': `/schedules/${often.id}/edit`,
    'new schedule': '/schedules/new?report=counting', 'no schedule': '/schedules/0', 'schedule of no report': '/schedules/new?report=none',
  };
}

/** @param {object} body */
const submit = (body) => fixture.call('/v1/jobs', body);

/**
 * Has a job that runs until it is cancelled: it takes a processor for itself, and is not left running beside everything else.
 * @param {(id: string) => Promise<void>} use
 */
async function whileOneRuns(use) {
  const { id } = await submit({ report: 'counting', params: { rows: 1_000_000_000 } });
  while ((await fixture.call(`/v1/jobs/${id}`)).state !== 'processing') await new Promise((resolve) => setTimeout(resolve, 20));
  await use(id);
  await fixture.call(`/v1/jobs/${id}/cancel`, {});
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  for (const width of [1280, 360]) {
    test(`every page is accessible and fits, ${colorScheme}, ${width} pixels wide`, async () => {
      const { context, faults } = await someone(browser, { colorScheme, viewport: { width, height: 800 }, bypassCSP: true });
      const page = await context.newPage();
      await page.goto(`${fixture.url}/login`);
      await check(page, 'sign in');
      await signIn(context, fixture);
      const checkAll = async (/** @type {Record<string, string>} */ pages) => {
        for (const [name, path] of Object.entries(pages)) {
          await page.goto(fixture.url + path);
          await check(page, name);
        }
      };
      await whileOneRuns((id) => checkAll({ ...WHILE_ONE_RUNS, running: `/jobs/${id}` }));
      await checkAll(pages);
      await page.goto(`${fixture.url}/reports/counting`);
      await page.getByLabel('Rows').fill('0');
      await page.getByRole('button', { name: 'Make the report' }).click();
      await page.getByText('Please correct what is marked.').waitFor();
      await check(page, 'form that says what is wrong');
      await page.goto(`${fixture.url}/schedules/new?report=counting`);
      await page.getByLabel('Words or cron').fill('now and then');
      await page.getByLabel('Day: Value').selectOption('start_of_year');
      await page.getByLabel('Day: Moved by').selectOption('minus');
      await page.getByText('Further settings').click();
      await page.getByLabel('Pause after').fill('often');
      await page.getByRole('button', { name: 'Make the schedule' }).click();
      await page.getByText('Please correct what is marked.').waitFor();
      await check(page, 'schedule that says what is wrong');
      assert.deepEqual(faults, []);
      await context.close();
    });
  }
}

/** @param {import('playwright-core').Page} page @param {string} name */
async function check(page, name) {
  await settle(page);
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wider, 0, `${name} is wider than the screen`);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => /** @type {any} */ (window).axe.run(document, { resultTypes: ['violations'] }));
  const told = violations
    .filter((/** @type {any} */ one) => ['serious', 'critical'].includes(one.impact))
    .map((/** @type {any} */ one) => `${one.id}: ${one.nodes.map((/** @type {any} */ node) => `${node.target} ${node.failureSummary}`).join('\n')}`);
  assert.deepEqual(told, [], name);
}

test('the console is small, and paints soon', async () => {
  const { context } = await someone(browser);
  await signIn(context, fixture);
  const page = await context.newPage();
  await page.goto(fixture.url);
  await settle(page);
  const { paint, size } = await page.evaluate(() => {
    const resources = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType('resource')).filter((one) => one.name.includes('/assets/'));
    const [html] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType('navigation'));
    return {
      paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
      size: resources.reduce((sum, one) => sum + one.decodedBodySize, html.decodedBodySize),
    };
  });
  console.log(`first paint after ${Math.round(paint)} ms, ${size} bytes of assets`);
  assert(size > 50_000 && size <= 150_000, `${size} bytes`);
  await page.goto(`${fixture.url}/schedules`);
  await settle(page);
  const more = await page.evaluate(() => {
    const resources = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType('resource')).filter((one) => /\/assets\/.*(\/schedules\/|schedules\.js)/.test(one.name));
    return resources.reduce((sum, one) => sum + one.decodedBodySize, 0);
  });
  console.log(`${more} bytes of assets with the pages about schedules`);
  assert(more > 10_000 && more <= 65_000, `${more} bytes`);
  await context.close();
});
