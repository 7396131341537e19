import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Stage, openBrowser, settle, signIn, someone } from './stage.js';

const stage = new Stage();
/** @type {import('playwright-core').Browser} */
let browser;
/** Addresses of every page, by what is on it. @type {Record<string, string>} */
let pages = {};

before(async () => {
  browser = await openBrowser();
  await stage.up();
  const submit = (/** @type {object} */ body) => stage.call('/v1/jobs', body);
  const done = await submit({ report: 'counting', formats: ['csv', 'jsonl'], notify: [{ channel: 'email', to: 'ana@example.com' }] });
  const failed = await submit({ report: 'broken' });
  const running = await submit({ report: 'counting', params: { rows: 1_000_000_000 } });
  const cancelled = await submit({ report: 'counting', params: { rows: 1_000_000_000 } });
  await stage.call(`/v1/jobs/${cancelled.id}/cancel`, {});
  const revoked = await stage.finished((await submit({ report: 'counting' })).id);
  await stage.call(`/v1/jobs/${revoked.id}/artifacts/csv/revoke-link`, {});
  const gone = await stage.finished((await submit({ report: 'fleeting' })).id);
  await stage.finished(failed.id);
  const { artifacts } = await stage.finished(done.id);
  pages = {
    catalogue: '/', form: '/reports/counting', jobs: '/jobs', done: `/jobs/${done.id}`, failed: `/jobs/${failed.id}`,
    running: `/jobs/${running.id}`, cancelled: `/jobs/${cancelled.id}`, 'no job': '/jobs/0', 'no report': '/reports/none', queues: '/operations',
    workers: '/operations/workers', 'dead letters': '/operations/dead-letters', deliveries: '/operations/deliveries',
    'revoked link, of one job': `/jobs/${revoked.id}`, 'file that is gone': `/jobs/${gone.id}`, 'nothing found': '/?q=unicorns', 'no page': '/nothing',
    link: new URL(artifacts[0].link).pathname, 'dead link': '/d/none', 'revoked link': new URL(revoked.artifacts[0].link).pathname,
    'expired link': new URL(gone.artifacts[0].link).pathname,
  };
});
after(async () => {
  await browser?.close();
  await stage.close();
});

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  for (const width of [1280, 360]) {
    test(`every page is accessible and fits, ${colorScheme}, ${width} pixels wide`, async () => {
      const { context, faults } = await someone(browser, { colorScheme, viewport: { width, height: 800 }, bypassCSP: true });
      const page = await context.newPage();
      await page.goto(`${stage.url}/login`);
      await check(page, 'sign in');
      await signIn(context, stage);
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(stage.url + path);
        await check(page, name);
      }
      await page.goto(`${stage.url}/reports/counting`);
      await page.getByLabel('Rows').fill('0');
      await page.getByRole('button', { name: 'Make the report' }).click();
      await page.getByText('Please correct what is marked.').waitFor();
      await check(page, 'form that says what is wrong');
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
  await signIn(context, stage);
  const page = await context.newPage();
  await page.goto(stage.url);
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
  await context.close();
});
