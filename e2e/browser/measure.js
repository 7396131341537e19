// Measures what whoever waits sees, and prints it as `bench <name> <value> <unit>`. Not a test: nothing here can fail for being slow.
import { Fixture, openBrowser, settle, signIn, someone } from './fixture.js';

const ROUNDS = 7;

/** @param {number[]} values @param {number} share */
const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

/** @param {string} name @param {number} value @param {string} unit */
const tell = (name, value, unit) => console.log(`bench ${name} ${Math.round(value * 10) / 10} ${unit}`);

const fixture = new Fixture();
const browser = await openBrowser();
try {
  await fixture.up();
  await measurePages();
  await measureClicks();
  await measureProgress();
} finally {
  await browser.close();
  await fixture.close();
}

/** Opens a page in a browser that knows nothing yet but who it is. @param {string} path */
async function open(path) {
  const { context } = await someone(browser);
  await signIn(context, fixture);
  const page = await context.newPage();
  await page.goto(fixture.url + path);
  await settle(page);
  return { context, page };
}

async function measurePages() {
  const paints = [];
  let size = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { context, page } = await open('/');
    const seen = await page.evaluate(() => {
      const resources = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType('resource')).filter((one) => one.name.includes('/assets/'));
      const [html] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType('navigation'));
      return { paint: performance.getEntriesByName('first-contentful-paint')[0].startTime, size: resources.reduce((sum, one) => sum + one.decodedBodySize, html.decodedBodySize) };
    });
    paints.push(seen.paint);
    size = seen.size;
    await context.close();
  }
  tell('first_paint_ms', quantile(paints, 0.5), 'ms');
  tell('first_paint_worst_ms', Math.max(...paints), 'ms');
  tell('assets_kb', size / 1000, 'kB');
  tell('widget_kb', (await (await fetch(`${fixture.url}/widget.js`)).arrayBuffer()).byteLength / 1000, 'kB');
}

/** From the click to the frame that shows that it was heard. */
async function measureClicks() {
  const { context, page } = await open('/');
  const button = page.getByRole('button', { name: 'Make Counting', exact: true });
  const waits = [];
  for (let round = 0; round < ROUNDS; round++) {
    await page.goto(fixture.url);
    await settle(page);
    const shown = page.evaluate(() => new Promise((resolve) => {
      addEventListener('click', (click) => {
        const changes = new MutationObserver(() => {
          changes.disconnect();
          requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - click.timeStamp)));
        });
        changes.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
      }, { capture: true, once: true });
    }));
    await button.click();
    waits.push(/** @type {number} */ (await shown));
  }
  tell('click_feedback_ms', quantile(waits, 0.5), 'ms');
  tell('click_feedback_worst_ms', Math.max(...waits), 'ms');
  await context.close();
}

/** How old a number of rows gets on the page before the next one takes its place, and how soon one comes after an interruption. */
async function measureProgress() {
  const { id } = await fixture.call('/v1/jobs', { report: 'counting', params: { rows: 1_000_000_000 }, formats: ['csv'] });
  const { context, page } = await open(`/jobs/${id}`);
  await page.locator('.rows').filter({ hasText: /\d rows/ }).waitFor();
  const ages = /** @type {number[]} */ (await page.evaluate(() => new Promise((resolve) => {
    /** @type {number[]} */
    const gaps = [];
    let last = performance.now();
    const changes = new MutationObserver(() => {
      gaps.push(performance.now() - last);
      last = performance.now();
      if (gaps.length > 40) resolve(gaps.slice(1));
    });
    changes.observe(/** @type {Node} */ (document.querySelector('.rows')), { subtree: true, childList: true, characterData: true });
  })));
  tell('progress_age_p50_ms', quantile(ages, 0.5), 'ms');
  tell('progress_age_p95_ms', quantile(ages, 0.95), 'ms');
  const returns = [];
  for (let round = 0; round < ROUNDS; round++) {
    await context.setOffline(true);
    await page.waitForFunction(() => !navigator.onLine);
    const back = page.evaluate(() => new Promise((resolve) => {
      addEventListener('online', (event) => {
        const changes = new MutationObserver(() => {
          changes.disconnect();
          resolve(performance.now() - event.timeStamp);
        });
        changes.observe(/** @type {Node} */ (document.querySelector('.rows')), { subtree: true, childList: true, characterData: true });
      }, { once: true });
    }));
    await context.setOffline(false);
    returns.push(/** @type {number} */ (await back));
  }
  tell('catch_up_ms', quantile(returns, 0.5), 'ms');
  tell('catch_up_worst_ms', Math.max(...returns), 'ms');
  await fixture.call(`/v1/jobs/${id}/cancel`, {});
  await context.close();
}
