import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fixture, identityProvider, openBrowser, someone } from './fixture.js';

/** @type {Fixture} */
let fixture;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof identityProvider>>} */
let provider;
/** The service by another name than the provider's, so that each is another site to the browser. */
let url = '';

before(async () => {
  const people = { ana: { groups: ['/staff'], organisation: 'acme' }, bob: { groups: ['/guests'], organisation: 'acme' } };
  const clients = [{ client_id: 'console', client_secret: 'a secret of the console', redirect_uris: ['http://127.0.0.1/'] }];
  provider = await identityProvider({ clients, people });
  fixture = new Fixture({ settings: `
    [oidc.staff]
    issuer = "${provider.issuer}"
    title = "your Acme account"
    audience = ["waitless"]
    tenant_claim = "organisation"
    tenants = ["acme"]
    groups_claim = "groups"
    group_scopes = ["/staff = read write"]
    client_id = "console"
    client_secret = "a secret of the console"
    [oidc.away]
    issuer = "http://127.0.0.1:1"
    title = "what is away"
    audience = ["waitless"]
    tenant = "acme"
    scopes = ["read"]
    client_id = "console"
  ` });
  browser = await openBrowser();
  await fixture.up();
  url = fixture.url.replace('127.0.0.1', 'localhost');
});
after(async () => {
  await browser?.close();
  await fixture?.close();
  provider?.close();
});

/** A browser of somebody, that reaches nothing but what runs here: pages of the provider ask for fonts. */
async function person() {
  const { context, faults } = await someone(browser);
  await context.route((address) => !['127.0.0.1', 'localhost'].includes(address.hostname), (route) => route.abort());
  return { context, faults, page: await context.newPage() };
}

/** @param {import('playwright-core').Page} page @param {string} name */
async function signInAtProvider(page, name) {
  await page.getByRole('link', { name: 'Sign in with your Acme account' }).click();
  await page.locator('input[name=login]').fill(name);
  await page.locator('input[name=password]').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
}

test('somebody signs in at their provider, sees their jobs, and signs out', async () => {
  const { context, page, faults } = await person();
  await page.goto(`${url}/jobs?state=done`);
  await page.getByRole('link', { name: 'Sign in with what is away' }).waitFor();
  await signInAtProvider(page, 'ana');
  // Where they wanted to go, signed in.
  await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();
  assert.equal(page.url(), `${url}/jobs?state=done`);
  await page.getByText('staff.ana').waitFor();

  await page.goto(`${url}/reports/counting`);
  await page.getByRole('button', { name: 'Make the report' }).click();
  await page.getByRole('link', { name: /^Download .*\.csv/ }).waitFor();
  const job = new URL(page.url()).pathname;
  await page.goto(`${url}/jobs`);
  await page.locator(`a[href$="${job}"]`).first().waitFor();
  // What the operator's key made is not theirs.
  const foreign = await fixture.call('/v1/jobs', { report: 'counting' });
  await fixture.finished(foreign.id);
  await page.reload();
  await page.locator(`a[href$="${job}"]`).first().waitFor();
  assert.equal(await page.locator(`a[href$="${foreign.id}"]`).count(), 0);

  const cookies = await context.cookies(url);
  const [cookie] = cookies.filter(({ sameSite }) => sameSite === 'Strict');
  assert.ok(cookie.httpOnly);
  assert.ok(!cookies.some(({ name }) => name.startsWith(`${cookie.name}_`)), 'nothing is left of the sign-in');
  assert.ok(!(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]))).includes('eyJ'));
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('link', { name: 'Sign in with your Acme account' }).waitFor();
  // The session is over for whoever kept the cookie, too.
  const answer = await fetch(`${fixture.url}/v1/jobs`, { headers: { cookie: `${cookie.name}=${cookie.value}` } });
  assert.equal(answer.status, 401);
  assert.deepEqual(faults, []);
  await context.close();
});

test('somebody without rights is told so, and a provider that is away too', async () => {
  const { context, page, faults } = await person();
  await page.goto(`${url}/`);
  await signInAtProvider(page, 'bob');
  await page.getByText('Your account is good, and may not use this service.').waitFor();
  await page.getByRole('link', { name: 'Sign in with what is away' }).click();
  await page.getByText('The sign-in does not answer at the moment.').waitFor();
  // Keys go on beside it.
  await page.getByLabel('API key').fill(fixture.key);
  await page.getByRole('button', { name: 'Sign in with the key' }).click();
  await page.getByRole('heading', { level: 1, name: 'Reports' }).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('somebody who says no at the provider is back where they were', async () => {
  const { context, page, faults } = await person();
  await page.goto(`${url}/`);
  await page.getByRole('link', { name: 'Sign in with your Acme account' }).click();
  await page.getByRole('link', { name: /cancel/i }).click();
  await page.getByText('You were not signed in').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});
