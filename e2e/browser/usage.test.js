import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, openBrowser, settle, signIn, someone } from './fixture.js';

const settings = '[tenants.default.quotas]\njobs_per_day = 3\nprincipal_rows_per_day = 1000\n';
const fixture = new Fixture({ settings });
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
  browser = await openBrowser();
  await fixture.up();
  for (let jobs = 0; jobs < 3; jobs++) {
    const { id } = await fixture.call('/v1/jobs', { report: 'counting', formats: ['csv', 'jsonl'] });
    await fixture.finished(id);
  }
});
after(async () => {
  await browser?.close();
  await fixture.close();
});

/** What the page says of jobs, in each language that it speaks. @type {[string, string, string, string][]} */
const LANGUAGES = [
  ['en-GB', 'Usage', 'Your tenant', '3 of 3'],
  ['de-AT', 'Verbrauch', 'Ihr Mandant', '3 von 3'],
  ['fr-FR', 'Consommation', 'Votre organisation', '3 sur 3'],
  ['es-ES', 'Consumo', 'Su organización', '3 de 3'],
  ['zh-CN', '用量', '您的租户', '3 / 3'],
  ['pt-PT', 'Usage', 'Your tenant', '3 of 3'],
];

test('usage is shown in the language of whoever reads it, and to operators that of the whole tenant', async () => {
  for (const [locale, title, tenant, used] of LANGUAGES) {
    const { context, faults } = await someone(browser, { locale });
    await signIn(context, fixture);
    const page = await context.newPage();
    await page.goto(`${fixture.url}/usage`);
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    await page.getByRole('heading', { level: 2, name: tenant }).waitFor();
    await settle(page);
    // The quota of the tenant is used up; of the caller's rows there are some left.
    assert.equal(await page.getByRole('meter', { name: used, exact: true }).count(), 1);
    assert.equal(await page.locator('.usage section').count(), 2);
    assert.equal(await page.locator('.bars').first().locator('span').count(), 30);
    assert.equal(await page.title(), `${title} – Waitless`);
    assert.deepEqual(faults, []);
    await context.close();
  }
});
