import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { Fixture, openBrowser, settle, signIn, someone } from './fixture.js';

/** A mail server that refuses everybody for good until it is told otherwise. */
class RefusingServer {
  refuses = true;
  #server = createServer((socket) => this.#talk(socket));

  /** @returns {Promise<number>} Its port. */
  listen() {
    return new Promise((listening) => this.#server.listen(0, '127.0.0.1', () => listening(/** @type {import('node:net').AddressInfo} */ (this.#server.address()).port)));
  }

  /** @param {import('node:net').Socket} socket */
  #talk(socket) {
    let text = '';
    let inBody = false;
    socket.on('error', () => {});
    socket.write('220 mail.example.com ESMTP\r\n');
    socket.on('data', (chunk) => {
      text += chunk;
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (inBody && line !== '.') continue;
        const answer = this.#answer(line);
        inBody = answer.startsWith('354');
        socket.write(`${answer}\r\n`);
      }
    });
  }

  /** @param {string} line */
  #answer(line) {
    if (/^rcpt/i.test(line) && this.refuses) return '550 5.2.2 The mailbox is full';
    if (/^data/i.test(line)) return '354 Go on';
    return /^quit/i.test(line) ? '221 Bye' : '250 Ok';
  }

  close() {
    this.#server.close();
  }
}

const server = new RefusingServer();
/** @type {Fixture} */
let fixture;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {string} */
let job;

before(async () => {
  const port = await server.listen();
  fixture = new Fixture({ settings: `[mail]\nurl = "smtp+plain://127.0.0.1:${port}"\nallow = ["@example.com"]\n` });
  browser = await openBrowser();
  await fixture.up();
  const notify = ['ana', 'bo', 'chris', 'dana'].map((name) => ({ channel: 'email', to: `${name}@example.com` }));
  ({ id: job } = await fixture.call('/v1/jobs', { report: 'counting', notify }));
  await fixture.finished(job);
  while ((await failed()) < 4) await new Promise((resolve) => setTimeout(resolve, 50));
});
after(async () => {
  await browser?.close();
  await fixture?.close();
  server.close();
});

const failed = async () => (await fixture.call('/v1/admin/deliveries?state=failed')).deliveries.length;

/** Finds how long it takes from a press until the page says so, as the page itself measures. @param {import('playwright-core').Page} page @param {string} name */
function measurePress(page, name) {
  return page.evaluate((name) => new Promise((told) => {
    addEventListener('click', ({ target }) => {
      const button = /** @type {Element} */ (target).closest('button');
      if (!button?.textContent?.includes(name)) return;
      const pressed = performance.now();
      requestAnimationFrame(() => requestAnimationFrame(() => told({ after: performance.now() - pressed, text: document.querySelector('[role=status][tabindex]')?.textContent })));
    }, true);
  }), name);
}

test('one mail that failed is sent again by the keyboard alone, from the page of its job', async () => {
  const { context, faults } = await someone(browser);
  await signIn(context, fixture);
  const page = await context.newPage();
  await page.goto(`${fixture.url}/jobs/${job}`);
  await page.getByRole('heading', { name: 'Who was told' }).waitFor();
  await page.getByText('4 mails failed.').waitFor();
  assert.equal(await page.getByText('The mailbox is full').count(), 4, await page.locator('table').innerText());
  server.refuses = false;
  const press = measurePress(page, 'Send again');
  const button = page.getByRole('button', { name: 'Send again to bo@example.com' });
  await button.focus();
  await page.keyboard.press('Enter');
  const { after, text } = /** @type {{after: number, text: string}} */ (await press);
  console.log(`told after ${Math.round(after)} ms`);
  assert.equal(text, 'Sending 1 mail again…');
  assert(after < 100, `${after} ms`);
  await page.getByText('1 mail on the way again').waitFor();
  await page.getByText('3 mails failed.').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('role')), 'status', 'the focus stays where the mails are');
  await page.getByRole('row', { name: /bo@example.com.*Sent/ }).waitFor();
  server.refuses = true;
  assert.deepEqual(faults, []);
  await context.close();
});

test('all that failed are sent again after a look at how many, and it is said what became of them', async () => {
  const { context, faults } = await someone(browser);
  await signIn(context, fixture);
  const page = await context.newPage();
  await page.goto(`${fixture.url}/operations/deliveries?state=failed`);
  await settle(page);
  await page.getByText('3 mails failed.').waitFor();
  const all = page.getByRole('button', { name: 'Send 3 again' });
  await all.click();
  const question = page.getByRole('dialog', { name: 'Send 3 mails again?' });
  assert.match(/** @type {string} */ (await question.textContent()), /To (ana|chris|dana)@example\.com, .*@example\.com, .*@example\.com\./);
  await question.getByRole('button', { name: 'Not now' }).click();
  assert.equal(await failed(), 3, 'nothing was sent without a yes');

  // They fail once more, and can be sent once more.
  await all.click();
  await question.getByRole('button', { name: 'Send 3 again' }).click();
  await page.getByText('3 mails on the way again').waitFor();
  await page.reload();
  while ((await failed()) < 3) await new Promise((resolve) => setTimeout(resolve, 50));
  await page.reload();
  server.refuses = false;
  await all.click();
  await question.getByRole('button', { name: 'Send 3 again' }).press('Enter');
  await page.getByText('3 mails on the way again').waitFor();
  while ((await failed()) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  await page.goto(`${fixture.url}/operations/deliveries`);
  await page.getByText('None of these failed.').waitFor();
  assert.equal(await page.getByRole('button', { name: /again/ }).count(), 0);
  assert.deepEqual(faults, []);
  await context.close();
});

test('whoever is no operator sees nothing of it', async () => {
  const key = fixture.makeKey('default');
  const { context, faults } = await someone(browser);
  const answer = await context.request.post(`${fixture.url}/v1/session`, { data: { key }, headers: { origin: fixture.url } });
  assert(answer.ok());
  const page = await context.newPage();
  await page.goto(`${fixture.url}/jobs`);
  await settle(page);
  const { id } = await fixture.call('/v1/jobs', { report: 'counting' }, key);
  await page.goto(`${fixture.url}/jobs/${id}`);
  await page.getByRole('link', { name: /^Download/ }).waitFor();
  assert.equal(await page.getByText('Who was told').count(), 0);
  assert.deepEqual(faults, []);
  await context.close();
});
