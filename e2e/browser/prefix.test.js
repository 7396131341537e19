import assert from 'node:assert/strict';
import { createServer, request as ask } from 'node:http';
import { after, before, test } from 'node:test';
import { Fixture, download, openBrowser, someone } from './fixture.js';

/** What the proxy puts before every path, and takes off again. */
const PREFIX = '/tools/reports';

/** @type {Fixture} */
let fixture;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {import('node:http').Server} */
let proxy;
let url = '';
/** Paths that were asked for beside the prefix. */
const strays = /** @type {string[]} */ ([]);

before(async () => {
  proxy = createServer((request, response) => {
    const path = request.url ?? '/';
    if (path !== PREFIX && !path.startsWith(`${PREFIX}/`)) {
      // The browser asks for this by itself.
      if (path !== '/favicon.ico') strays.push(path);
      response.writeHead(404).end('another application');
      return;
    }
    const inner = new URL(fixture.url);
    const onward = ask({ host: inner.hostname, port: inner.port, method: request.method, path: path.slice(PREFIX.length) || '/', headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', () => resolve(null)));
  url = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (proxy.address()).port}${PREFIX}`;
  fixture = new Fixture({ settings: `[service]\npublic_url = "${url}/"\n` });
  browser = await openBrowser();
  await fixture.up();
});
after(async () => {
  await browser?.close();
  await fixture?.close();
  proxy?.closeAllConnections();
  proxy?.close();
});

test('the whole journey works under a prefix: sign in, make, watch, download, open and make again what a mail leads to', async () => {
  const { context, faults } = await someone(browser);
  const page = await context.newPage();
  await page.goto(`${url}/login${new URL(fixture.link).hash}`);
  await page.getByRole('heading', { name: 'Reports', exact: true }).waitFor();
  const cookies = await context.cookies();
  assert.deepEqual(cookies.map(({ path }) => path), [PREFIX]);

  await page.getByRole('link', { name: 'Counting' }).first().click();
  await page.getByLabel('Rows').fill('12');
  await page.getByRole('button', { name: 'Make the report' }).click();
  const link = page.getByRole('link', { name: /^Download/ });
  await link.waitFor();
  assert.match(page.url(), new RegExp(`^${url}/jobs/[0-9a-f-]+$`));
  assert.equal((await download(page, link)).text.trim().split('\n').length, 13);
  await page.reload();
  await link.waitFor();
  await page.getByRole('link', { name: 'Jobs', exact: true }).first().click();
  await page.getByRole('heading', { name: 'Jobs' }).waitFor();
  assert.equal(page.url(), `${url}/jobs`);
  await page.getByRole('link', { name: 'Operations' }).click();
  await page.getByRole('link', { name: 'Deliveries' }).click();
  assert.equal(page.url(), `${url}/operations/deliveries`);
  await page.goto(`${url}/nowhere/at/all`);
  await page.getByRole('link', { name: 'All reports' }).click();
  await page.getByRole('heading', { name: 'Reports', exact: true }).waitFor();
  assert.equal(page.url(), `${url}/`);

  // What the API hands out leads through the proxy too.
  const made = await fetch(`${url}/v1/jobs`, { method: 'POST', body: JSON.stringify({ report: 'fleeting', notify: [{ channel: 'email', to: 'ana@example.com' }] }),
    headers: { authorization: `Bearer ${fixture.key}`, 'content-type': 'application/json' } });
  const job = await made.json();
  assert.equal(made.headers.get('location'), `${url}/v1/jobs/${job.id}`);
  assert.equal(job.links.events, `${url}/v1/jobs/${job.id}/events`);
  const { artifacts: [file] } = await fixture.finished(job.id);
  assert(file.link.startsWith(`${url}/d/`) && file.file.startsWith(`${url}/v1/`) && file.receipt.startsWith(`${url}/v1/`));
  const { servers } = await (await fetch(`${url}/openapi.json`)).json();
  assert.deepEqual(servers, [{ url }]);
  const more = await fetch(`${url}/v1/jobs?limit=1`, { headers: { authorization: `Bearer ${fixture.key}` } });
  assert(more.headers.get('link')?.startsWith(`<${url}/v1/jobs?`));

  while (fixture.mails().length === 0) await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
  const mail = fixture.mails().join('\n').replaceAll('=\r\n', '').replaceAll('=3D', '=');
  assert(mail.includes(`${url}/d/`), mail);

  await page.goto(file.link);
  const again = page.getByRole('button', { name: 'Make it again' });
  while ((await again.count()) === 0) await page.reload();
  await fixture.rewrite('fleeting', (text) => text.replace('"1s"', '"1h"'));
  await again.click();
  const anew = page.getByRole('link', { name: 'Download' });
  await anew.waitFor();
  assert.equal(page.url(), file.link);
  assert.match((await download(page, anew)).text, /^one\s+1\s*$/);
  await page.locator('time').first().waitFor();

  await page.goto(`${url}/`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('API key').waitFor();
  assert.equal(page.url(), `${url}/login`);
  assert.deepEqual(await context.cookies(), []);
  assert.deepEqual([strays, faults], [[], []]);
  await context.close();
});

test('a widget that was loaded through the proxy talks through it', async () => {
  const { context, faults } = await someone(browser);
  const page = await context.newPage();
  await page.route('**/shop', (route) => route.fulfill({ contentType: 'text/html', body: `<!doctype html><title>Shop</title>
    <waitless-report report="counting" params='{"rows": 7}'>Export</waitless-report><script src="${url}/widget.js"></script>
    <script>customElements.get('waitless-report').token = '${fixture.key}';</script>` }));
  await page.goto(`${new URL(url).origin}/shop`);
  await page.getByRole('button', { name: 'Export' }).click();
  await page.getByRole('link', { name: 'Download CSV' }).waitFor();
  assert.deepEqual([strays, faults], [[], []]);
  await context.close();
});

test('the pages about schedules are found under a prefix', async () => {
  const { context, faults } = await someone(browser);
  const answer = await context.request.post(`${url}/v1/session`, { data: { key: fixture.key }, headers: { origin: new URL(url).origin } });
  assert(answer.ok());
  const page = await context.newPage();
  await page.goto(`${url}/schedules/new?report=counting`);
  await page.getByLabel('Words or cron').fill('every day at 07:30');
  await page.locator('.sentence').filter({ hasText: 'every day at 07:30' }).waitFor();
  await page.getByRole('button', { name: 'Make the schedule' }).click();
  await page.getByRole('heading', { level: 1, name: 'Counting', exact: true }).waitFor();
  assert.match(page.url(), new RegExp(`^${url}/schedules/[0-9a-f-]+$`));
  await page.reload();
  await page.getByRole('link', { name: 'Edit' }).click();
  await page.getByRole('heading', { level: 1, name: 'Edit Counting' }).waitFor();
  assert.deepEqual(strays, []);
  assert.deepEqual(faults, []);
  await context.close();
});
