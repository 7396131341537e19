import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Stage, openBrowser, signIn, someone } from './stage.js';

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
  for (const { id } of [done, failed]) {
    // The stream ends with the job.
    await (await fetch(`${stage.url}/v1/jobs/${id}/events`, { headers: { authorization: `Bearer ${stage.key}` } })).text();
  }
  const { artifacts } = await stage.call(`/v1/jobs/${done.id}`);
  pages = {
    catalogue: '/', form: '/reports/counting', jobs: '/jobs', done: `/jobs/${done.id}`, failed: `/jobs/${failed.id}`,
    running: `/jobs/${running.id}`, cancelled: `/jobs/${cancelled.id}`, 'no job': '/jobs/0', 'no report': '/reports/none', queues: '/operations',
    workers: '/operations/workers', 'dead letters': '/operations/dead-letters', deliveries: '/operations/deliveries',
    link: new URL(artifacts[0].link).pathname, 'dead link': '/d/none',
  };
});
after(async () => {
  await browser?.close();
  await stage.close();
});

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Waits until a page shows what it is for. @param {import('playwright-core').Page} page */
async function settle(page) {
  await page.waitForFunction(() => document.querySelector('h1, .empty h2') !== null && document.querySelector('.loading') === null);
  await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity).map((one) => one.finished)));
}

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
