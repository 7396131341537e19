import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, download, openBrowser, serveFolder, someone } from './fixture.js';

/** @type {Fixture} */
let fixture;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof serveFolder>>} */
let files;
/** @type {ReturnType<Fixture['backend']>} */
let shop;

before(async () => {
  files = await serveFolder(new URL('../..', import.meta.url), (response) => shop.mint(response));
  fixture = new Fixture({ settings: `[http]\ncors_origins = ["${files.url}"]\n` });
  browser = await openBrowser();
  await fixture.up();
  shop = fixture.backend({ reports: ['counting'] });
});
after(async () => {
  await browser?.close();
  await fixture?.close();
  files?.close();
});

for (const name of ['plain', 'react']) {
  const address = () => `${files.url}/examples/${name}.html?${new URLSearchParams({ gateway: fixture.url })}`;

  test(`the example in ${name} makes a report, and shows it again after a reload`, async () => {
    const { context, faults } = await someone(browser);
    const page = await context.newPage();
    await page.goto(address());
    await page.getByLabel('Rows').fill('7');
    await page.getByRole('button', { name: 'Export' }).click();
    const link = page.getByRole('link', { name: /counting.*csv/ });
    await link.waitFor();
    await page.getByText('7 rows').waitFor();
    const file = await download(page, link);
    assert.equal(file.text.trim().split('\n').length, 8);
    await page.reload();
    await link.waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test(`the example in ${name} shows progress and cancels, and says what is wrong`, async () => {
    const { context, faults } = await someone(browser);
    const page = await context.newPage();
    await page.goto(address());
    await page.getByLabel('Rows').fill('1000000000');
    await page.getByRole('button', { name: 'Export' }).click();
    await page.getByRole('progressbar', { name: 'Progress' }).waitFor();
    await page.getByText(/[1-9]\d* rows read/).waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText(/^cancelled$/i).waitFor();
    await page.getByLabel('Rows').fill('2000000000');
    await page.getByRole('button', { name: 'Export' }).click();
    await page.getByRole('alert').filter({ hasText: 'rows' }).waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });
}
