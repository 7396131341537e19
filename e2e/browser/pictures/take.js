/**
 * Takes a picture of everything that people see, in both themes and two widths, into `target/screenshots`: made for being looked
 * at. `node pictures/take.js [part of a name]…` takes some only; `--files` shows what stands in api/web now, without building it.
 *
 * @import { Browser, BrowserContext, Page } from 'playwright-core'
 * @import { Picture } from './pages.js'
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fixture, openBrowser, serve, serveFolder, settle, signIn, someone } from '../fixture.js';
import { NEWCOMER, pagesElsewhere, pagesOf, widgetPage } from './pages.js';
import { REPORTS, SETTINGS, makeTraffic } from './traffic.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const FOLDER = resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target', 'screenshots');
const FROM_FILES = process.argv.includes('--files');
const WANTED = process.argv.slice(2).filter((word) => !word.startsWith('--'));

const THEMES = /** @type {const} */ (['light', 'dark']);
const WIDTHS = [1440, 390];

/** @param {Picture} picture */
const wanted = ({ name }) => WANTED.length === 0 || WANTED.some((word) => name.includes(word));

/**
 * Takes pictures in every theme and width.
 * @param {Browser} browser
 * @param {Fixture} fixture
 * @param {Picture[]} pictures
 * @param {() => Promise<unknown>} [before] Before each theme and width.
 */
async function takeAll(browser, fixture, pictures, before = async () => {}) {
  for (const colorScheme of THEMES) {
    for (const width of WIDTHS) {
      await before();
      const { context, faults } = await someone(browser, { colorScheme, viewport: { width, height: width < 500 ? 844 : 900 } });
      context.setDefaultTimeout(20_000);
      if (FROM_FILES) await showFiles(context, fixture);
      const page = await context.newPage();
      for (const outside of [true, false]) {
        if (!outside) await signIn(context, fixture);
        for (const picture of pictures.filter((one) => (one.outside ?? false) === outside).filter(wanted)) await take(page, fixture, picture, `${colorScheme}-${width}`);
      }
      await context.close();
      if (faults.length > 0) throw new Error(faults.join('\n'));
    }
  }
}

/** @param {Page} page @param {Fixture} fixture @param {Picture} picture @param {string} look */
async function take(page, fixture, picture, look) {
  const { name, path, html, act, after, screen } = picture;
  try {
    // An empty page first: the policy of the last one would forbid a mail's styles.
    if (html) {
      await page.goto('about:blank');
      await page.setContent(html);
    }
    if (path) await page.goto(new URL(path, fixture.url).href);
    if (path?.startsWith('/')) await settle(page);
    await act?.(page);
    if (path?.startsWith('/')) await settle(page);
    await page.screenshot({ path: join(FOLDER, `${name}-${look}.png`), fullPage: !screen });
    await after?.(page);
  } catch (error) {
    throw new Error(`${name}, ${look}: ${error}`, { cause: error });
  }
}

/** Answers the console's files from the folder they are written in. @param {BrowserContext} context @param {Fixture} fixture */
async function showFiles(context, fixture) {
  await context.route(`${fixture.url}/assets/**`, (route) => {
    const path = new URL(route.request().url()).pathname.split('/').slice(3).join('/');
    return route.fulfill({ path: join(ROOT, 'api/web', path) });
  });
}

/** One page that shows all pictures, by what is on them. */
function writeIndex() {
  const names = [...new Set(readdirSync(FOLDER).filter((file) => file.endsWith('.png')).map((file) => file.replace(/-(light|dark)-\d+\.png$/, '')))];
  const pictures = (/** @type {string} */ name) =>
    WIDTHS.flatMap((width) => THEMES.map((theme) => `<a href="${name}-${theme}-${width}.png"><img src="${name}-${theme}-${width}.png" alt="${theme}, ${width} pixels" loading="lazy"></a>`)).join('\n');
  writeFileSync(join(FOLDER, 'index.html'), `<!doctype html><html lang="en"><meta charset="utf-8"><title>Screenshots</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; background: #888; margin: 2rem; } div { display: flex; gap: 1rem; align-items: start; } img { width: 100%; } a { flex: 390; } a:nth-child(-n+2) { flex: 1440; }</style>
${names.map((name) => `<h2 id="${name}">${name}</h2><div>${pictures(name)}</div>`).join('\n')}\n`);
}

/** Ends what runs or waits. @param {Fixture} fixture */
async function cancelAll(fixture) {
  const { jobs } = await fixture.call('/v1/jobs?limit=200');
  for (const { id, state } of jobs) if (['pending', 'processing', 'retrying'].includes(state)) await fixture.call(`/v1/jobs/${id}/cancel`, {});
}

if (WANTED.length === 0) rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
const fixture = new Fixture({ demo: true });
const browser = await openBrowser();
const app = await serve(() => widgetPage(fixture.url, fixture.key));
const files = await serveFolder(new URL('../../..', import.meta.url));
try {
  await fixture.up();
  await takeAll(browser, fixture, NEWCOMER);
  await fixture.kill();
  fixture.addReports(REPORTS, `${SETTINGS}[http]\ncors_origins = ["${app.url}", "${files.url}"]\n`);
  await fixture.up();
  const jobs = await makeTraffic(fixture);
  await takeAll(browser, fixture, pagesOf(fixture, jobs));
  await takeAll(browser, fixture, pagesElsewhere(app.url, files.url, fixture), () => cancelAll(fixture));
  writeIndex();
  console.log(`${readdirSync(FOLDER).length - 1} pictures: ${join(FOLDER, 'index.html')}`);
} finally {
  app.close();
  files.close();
  await browser.close();
  await fixture.close();
}
