/**
 * @import { Context } from '../app.js'
 * @import { Job, Pause } from '../../sdk/shapes.js'
 */
import { Problem } from '../../sdk/index.js';
import { fill, h, icon, table } from '../dom.js';
import { wrap } from '../form.js';
import { complain, failure, loading, nothing, notify } from '../notice.js';
import { DeliveriesView } from './deliveries.js';
import { ago, count, exactly, fromSnake, plural, summary, when } from '../words.js';

/** How often numbers are read anew while somebody looks, in milliseconds. */
const EVERY = 2000;

/** @type {Record<string, [string, (context: Context, place: HTMLElement) => Promise<void>, boolean]>} */
const PARTS = {
  queues: ['Queues', queues, true],
  workers: ['Workers', workers, true],
  'dead-letters': ['Dead letters', deadLetters, false],
  deliveries: ['Deliveries', deliveries, false],
  pauses: ['Pauses', pauses, false],
};

/**
 * For operators: what waits, who works, what failed, who was told.
 * @param {Context} context
 */
export function operations(context) {
  const part = context.path[0] in PARTS ? context.path[0] : 'queues';
  const [title, load, moves] = PARTS[part];
  context.title(title);
  const place = h('div', null, loading());
  const read = async () => {
    try {
      await load(context, place);
    } catch (error) {
      if (!place.querySelector('table') && !context.signal.aborted) fill(place, failure(error, read));
    }
  };
  read();
  if (moves) {
    const timer = setInterval(() => document.visibilityState === 'visible' && read(), EVERY);
    context.signal.addEventListener('abort', () => clearInterval(timer));
  } else {
    context.live.onJob((_, event) => event && ['failed', 'done', 'replayed'].includes(event.name) && part === 'deliveries' && read(), context.signal);
  }
  const tabs = Object.entries(PARTS).map(([name, [text]]) => h('a', { href: `/operations/${name}`, 'aria-current': name === part ? 'page' : null }, text));
  return h('div', null, h('div.head', null, h('h1', null, 'Operations')), h('nav.tabs', { 'aria-label': 'Operations' }, tabs), place);
}

/** The style draws it, alike in all browsers. @param {number} value @param {number} max @param {string} label */
const meter = (value, max, label) => h('meter', { min: 0, max, value, 'aria-label': label, css: { '--part': `${(100 * value) / max}%` } });

/** Replaces what is shown, and keeps the focus where it was. @param {HTMLElement} place @param {HTMLElement} shown */
function refresh(place, shown) {
  const focused = place.contains(document.activeElement) && document.activeElement?.matches('.scroll');
  const left = place.querySelector('.scroll')?.scrollLeft ?? 0;
  fill(place, shown);
  const scroll = place.querySelector('.scroll');
  if (scroll instanceof HTMLElement) {
    scroll.scrollLeft = left;
    if (focused) scroll.focus({ preventScroll: true });
  }
}

/** @param {Context} context @param {HTMLElement} place */
async function queues(context, place) {
  const found = await context.client.admin.queues();
  const most = Math.max(10, ...found.map((queue) => queue.ready ?? 0));
  const unknown = (/** @type {number | null} */ value) => (value === null ? h('span.quiet', null, 'unknown') : count(value));
  refresh(place, table('Queues', ['Queue', 'Waiting', '#Messages', '#Consumers'], found.map((queue) => [
    h('strong', null, nameOf(queue.name)), meter(queue.ready ?? 0, most, `${nameOf(queue.name)}: ${queue.ready ?? 'unknown'}`),
    unknown(queue.ready), unknown(queue.consumers)])));
}

/** @param {string} queue */
function nameOf(queue) {
  const parts = queue.replace(/^waitless\./, '').replace(/\.v\d+$/, '').split('.');
  if (parts[0] === 'dead') return 'Dead letters';
  return `${fromSnake(parts[1] ?? '')} ${parts[0] === 'notify' ? 'notifications' : 'reports'}`;
}

/** @param {Context} context @param {HTMLElement} place */
async function workers(context, place) {
  const found = await context.client.admin.workers();
  if (found.length === 0) return fill(place, nothing('No worker is registered', 'Jobs are accepted and wait until one comes up.'));
  refresh(place, table('Workers', ['Worker', 'Lanes', 'Busy', '#Jobs', 'Up since', 'Last beat'], found.map((worker) => {
    const silent = Date.now() - Date.parse(worker.heartbeat_at) > 5000;
    return [
      h('span', null, h('strong', null, worker.host), h('span.quiet', null, ` ${worker.pid}`)), worker.lanes.join(', '),
      meter(worker.running, worker.concurrency, `${worker.running} of ${worker.concurrency} busy`), `${worker.running} of ${worker.concurrency}`,
      h('time', { datetime: worker.started_at, title: exactly(worker.started_at) }, when(worker.started_at)),
      h('span', { class: silent ? 'warning' : null }, silent ? ago(worker.heartbeat_at) : 'just now'),
    ];
  })));
}

/** What can be paused. */
const KINDS = ['report', 'lane', 'source', 'tenant'];

/** What is paused, and a form to pause more. @param {Context} context @param {HTMLElement} place */
async function pauses(context, place) {
  const found = await context.client.admin.pauses();
  const again = () => pauses(context, place).catch(complain);
  const rows = found.map((pause) => [
    fromSnake(pause.kind), h('strong', null, pause.name),
    h('time', { datetime: pause.since, title: exactly(pause.since) }, when(pause.since)),
    pause.everybody ? h('span.quiet', null, 'by the operator of the service') : pause.paused_by ?? '',
    pause.everybody ? '' : resumeButton(pause, context, again),
  ]);
  fill(place, pauseForm(context, again), found.length === 0
    ? nothing('Nothing is paused', 'Jobs of what is paused are accepted and wait until it is resumed.')
    : table('Pauses', ['Kind', 'Name', 'Since', 'By', ''], rows));
}

/** @param {Pause} pause @param {Context} context @param {() => Promise<void>} again */
function resumeButton(pause, context, again) {
  const button = h('button.button', { type: 'button', 'aria-label': `Resume ${pause.kind} ${pause.name}` }, 'Resume');
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      const { released } = await context.client.admin.resume(pause.kind, pause.name);
      notify({ title: `${pause.name} is resumed`, text: `${plural(released, 'job')} in line again`, tone: 'good' });
    } catch (error) {
      complain(error);
    }
    await again();
  });
  return button;
}

/** @param {Context} context @param {() => Promise<void>} again */
function pauseForm(context, again) {
  const kind = h('select', null, KINDS.map((name) => h('option', { value: name }, fromSnake(name))));
  const name = h('input', { required: true, maxlength: 200, autocomplete: 'off' });
  const [kindField, nameField] = [wrap('kind', { label: 'Pause a', control: kind }), wrap('name', { label: 'Name', control: name })];
  const form = h('form', null, kindField.element, nameField.element, h('div.buttons', null, h('button.button', { type: 'submit' }, 'Pause')));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      await context.client.admin.pause(kind.value, name.value.trim());
      notify({ title: `${name.value.trim()} is paused`, text: 'Its jobs are accepted and wait.', tone: 'good' });
      await again();
    } catch (error) {
      if (error instanceof Problem && error.errors.length > 0) nameField.complain(error.errors[0].detail);
      else complain(error);
    }
  });
  return h('section.panel', null, form);
}

/** At most this many are run again by one call. */
const BATCH = 100;

/** Failed jobs by their cause. @param {Context} context @param {HTMLElement} place */
async function deadLetters(context, place) {
  const { jobs, next } = await context.client.admin.deadLetters({ limit: BATCH });
  if (jobs.length === 0) return fill(place, nothing('No dead letters', 'Jobs that failed for good wait here, with the reason, to be looked at and run again.'));
  /** @type {Map<string, Job[]>} */
  const groups = new Map();
  for (const job of jobs) {
    const cause = `${job.report}\n${job.error?.title ?? 'Unknown'}`;
    groups.set(cause, [...(groups.get(cause) ?? []), job]);
  }
  const replay = async (/** @type {Job[]} */ some) => {
    try {
      const { replayed } = await context.client.admin.replay(some.map((job) => job.id));
      notify({ title: `${plural(replayed.length, 'job')} run again`, tone: 'good' });
    } catch (error) {
      complain(error);
    }
    await deadLetters(context, place).catch(complain);
  };
  const mails = h('p.quiet');
  context.client.admin.deliveries({ state: 'failed', limit: 1 }).then(({ length }) => length > 0 && fill(mails, 'Mails failed too: ', h('a', { href: '/operations/deliveries?state=failed' }, 'send them again'), '.'), () => {});
  fill(place, h('p.quiet', { role: 'status' }, `${plural(jobs.length, 'failed job')}${next ? ', and older ones' : ''}, by report and cause. Try one first.`), mails,
    [...groups.values()].map((group) => letters(group, context, replay)));
}

/**
 * @param {Job[]} group
 * @param {Context} context
 * @param {(jobs: Job[]) => Promise<void>} replay
 */
function letters(group, context, replay) {
  const [first] = group;
  const report = context.reports.get(first.report);
  const run = (/** @type {string} */ text, /** @type {Job[]} */ some) => {
    const button = h('button.button', { type: 'button' }, icon('repeat'), text);
    button.addEventListener('click', () => {
      button.disabled = true;
      replay(some);
    });
    return button;
  };
  return h('section.panel.letters', null,
    h('div.head.small', null, h('div', null, h('h2', null, report?.title ?? first.report, h('span.tag', null, group.length)), h('p.warning', null, icon('alert'), first.error?.title ?? 'Unknown')),
      h('div.buttons', null, run('Try the newest', [first]), group.length > 1 && run(`Run all ${group.length}`, group))),
    h('p', null, first.error?.detail),
    h('details', null, h('summary', null, plural(group.length, 'job')), h('ul.plain-list', null, group.map((job) =>
      h('li', null, h('time.quiet', { datetime: job.created_at, title: exactly(job.created_at) }, when(job.created_at)), h('a', { href: `/jobs/${job.id}` }, h('code', null, job.id)), h('span.quiet', null, summary(job, report)))))));
}

/** @param {Context} context @param {HTMLElement} place */
async function deliveries(context, place) {
  const state = context.query.get('state') ?? '';
  const found = await context.client.admin.deliveries({ state, limit: BATCH });
  const choose = h('select', { 'aria-label': 'State' }, [['', 'All states'], ['pending', 'Waiting'], ['sending', 'Being sent'], ['sent', 'Sent'], ['failed', 'Failed']].map(([value, text]) => h('option', { value }, text)));
  choose.value = state;
  choose.addEventListener('change', () => context.go(`/operations/deliveries${choose.value && `?state=${choose.value}`}`));
  const filter = h('div.filter', null, choose);
  if (found.length === 0) return fill(place, filter, nothing('No deliveries', state ? 'None is in this state.' : 'Mails about finished and failed jobs stand here once somebody asks to be told.'));
  const view = new DeliveriesView(context, { label: 'Deliveries', read: () => context.client.admin.deliveries({ state, limit: BATCH }) });
  view.show(found);
  fill(place, filter, view.element);
}
