/**
 * @import { Context } from '../app.js'
 * @import { Delivery, Job } from '../../sdk/shapes.js'
 */
import { isFinal } from '../../sdk/index.js';
import { fill, h, icon, table } from '../dom.js';
import { ask, complain, notify } from '../notice.js';
import { count, exactly, fromSnake, plural, when } from '../words.js';

/** How often is looked how mails do that were sent again, in milliseconds, and how often at most. */
const EVERY = 1000;
const LOOKS = 60;

/** @type {Record<Delivery['state'], string>} */
const STATES = { pending: 'pending', sending: 'processing', sent: 'done', failed: 'failed' };

/** Mails, how they went, and buttons that send again what failed: each, or all of them after a look at how many and to whom. */
export class DeliveriesView {
  #context;
  #options;
  #shown = '';
  #looks = 0;
  #timer = 0;
  /** Has the focus once the button that was pressed has gone, and tells screen readers how many are left. */
  #said = h('p.quiet', { role: 'status', tabindex: -1 });
  #all = h('button.button', { type: 'button' });
  #rows = h('div');

  /**
   * @param {Context} context
   * @param {{label: string, ofJob?: boolean, read: () => Promise<Delivery[]>}} options `read` finds them anew.
   */
  constructor(context, options) {
    this.#context = context;
    this.#options = options;
    this.#all.addEventListener('click', () => this.#askForAll());
    this.element = h('div', null, h('div.head.small', null, this.#said, this.#all), this.#rows);
    context.signal.addEventListener('abort', () => clearTimeout(this.#timer));
  }

  /** @type {Delivery[]} */
  #failed = [];

  /** @param {Delivery[]} found */
  show(found) {
    const text = JSON.stringify(found);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#failed = found.filter(({ state }) => state === 'failed');
    const status = this.#failed.length === 0 ? 'None of these failed.' : `${plural(this.#failed.length, 'mail')} failed.`;
    if (this.#said.textContent !== status) this.#said.textContent = status;
    this.#all.hidden = this.#failed.length < 2;
    this.#all.disabled = false;
    fill(this.#all, icon('repeat'), `Send ${count(this.#failed.length)} again`);
    const about = (/** @type {Delivery} */ one) => h('a', { href: `/jobs/${one.job_id}` }, one.event === 'done' ? 'A report that is ready' : 'A report that failed');
    const { ofJob, label } = this.#options;
    // Beside the column of the job's page there is no room for one more.
    const said = (/** @type {Delivery} */ one) => one.error && h('p.quiet', null, one.error);
    const heads = ['To', ofJob ? '' : 'About', 'State', '#Attempts', 'When', ofJob ? '' : 'What the server said', this.#failed.length ? 'Again' : ''];
    const focused = this.#rows.contains(document.activeElement) ? document.activeElement?.getAttribute('data-delivery') : null;
    fill(this.#rows, table(label, heads.filter(Boolean), found.map((one) => [
      ofJob ? h('div', null, h('strong', null, one.to), said(one)) : h('strong', null, one.to), ofJob ? null : about(one),
      h('span.badge', { 'data-state': STATES[one.state] }, h('i', { 'aria-hidden': 'true' }), fromSnake(one.state)), count(one.attempt),
      h('time', { datetime: one.created_at, title: exactly(one.created_at) }, when(one.sent_at ?? one.created_at)), ofJob ? null : one.error ?? '',
      this.#failed.length ? this.#button(one) : null,
    ].filter((cell) => cell !== null))));
    if (focused) /** @type {HTMLElement} */ (this.#rows.querySelector(`[data-delivery="${focused}"]`) ?? this.#said).focus();
  }

  /** @param {Delivery} one */
  #button(one) {
    if (one.state !== 'failed') return '';
    const button = h('button.button', { type: 'button', 'aria-label': `Send again to ${one.to}`, 'data-delivery': one.id }, icon('repeat'), 'Send again');
    button.addEventListener('click', () => this.#send([one], button));
    return button;
  }

  async #askForAll() {
    const some = this.#failed;
    const names = [...new Set(some.map(({ to }) => to))];
    const whom = names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${plural(names.length - 3, 'other')}` : '');
    const text = `To ${whom}. They are tried at once, each as the mail that it was: most mail programs show nobody the same one twice.`;
    const sure = await ask({ title: `Send ${plural(some.length, 'mail')} again?`, text, yes: `Send ${count(some.length)} again`, no: 'Not now', calm: true });
    if (sure) await this.#send(some, this.#all);
  }

  /** @param {Delivery[]} some @param {HTMLButtonElement} button */
  async #send(some, button) {
    // Said before anything is asked: whoever pressed sees it at once.
    button.disabled = true;
    fill(button, icon('repeat'), 'Sending…');
    this.#said.focus();
    this.#said.textContent = `Sending ${plural(some.length, 'mail')} again…`;
    try {
      const { sent_again, not_failed } = await this.#context.client.admin.sendAgain(some.map(({ id }) => id));
      const text = not_failed.length > 0 ? `${plural(not_failed.length, 'mail')} had been sent again already.` : undefined;
      notify({ title: `${plural(sent_again, 'mail')} on the way again`, text, tone: 'good' });
    } catch (error) {
      complain(error);
    }
    this.#shown = '';
    await this.watch();
  }

  /** Reads anew, and goes on for a while as long as something is under way. */
  watch() {
    this.#looks = LOOKS;
    return this.#look();
  }

  async #look() {
    clearTimeout(this.#timer);
    try {
      const found = await this.#options.read();
      this.show(found);
      const moves = found.some(({ state }) => state === 'pending' || state === 'sending');
      if (!moves || this.#looks-- <= 0 || this.#context.signal.aborted) return;
    } catch (error) {
      if (!this.#context.signal.aborted) complain(error);
      return;
    }
    this.#timer = setTimeout(() => this.#look(), EVERY);
  }
}

/** For operators: who was mailed about a job, and how that went. Nothing where nobody was. */
export class ToldView {
  element = h('section.panel', { hidden: true, 'aria-label': 'Who was told' });
  #view = /** @type {DeliveriesView | null} */ (null);

  /** @param {string} id @param {Context} context */
  constructor(id, context) {
    this.id = id;
    this.context = context;
  }

  /** @param {Job} job */
  async show(job) {
    if (!isFinal(job) || !this.context.session.scopes?.includes('admin')) return;
    const read = () => this.context.client.admin.deliveries({ job: this.id });
    const found = await read().catch(() => []);
    if (found.length === 0) return;
    if (!this.#view) {
      this.#view = new DeliveriesView(this.context, { label: 'Who was told', ofJob: true, read });
      fill(this.element, h('h2', null, 'Who was told'), this.#view.element);
      this.element.hidden = false;
    }
    this.#view.show(found);
    this.#view.watch();
  }
}
