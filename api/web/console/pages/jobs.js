/**
 * @import { Context } from '../app.js'
 * @import { JobState } from '../../sdk/shapes.js'
 */
import { fill, h } from '../dom.js';
import { JobList } from '../job_line.js';
import { complain, failure, loading, nothing } from '../notice.js';
import { STATES } from '../words.js';

const PAGE = 25;

/**
 * The caller's jobs, newest first, as they happen.
 * @param {Context} context
 */
export function jobs(context) {
  context.title('Jobs');
  const state = /** @type {JobState | ''} */ (Object.keys(STATES).find((one) => one === context.query.get('state')) ?? '');
  const report = context.query.get('report') ?? '';
  const list = new JobList(context.reports, 'Jobs');
  const place = h('div', null, loading());
  const end = h('div.more');
  /** @type {string | null} */
  let next = null;
  const matches = (/** @type {import('../../sdk/shapes.js').Job} */ job) => (!state || job.state === state) && (!report || job.report === report);

  const show = () => {
    if (list.size === 0) fill(place, empty(state, report));
    else if (list.element.parentElement !== place) fill(place, list.element);
    fill(end, next && h('button.button', { type: 'button', onclick: more }, 'Show older'));
  };
  const read = async (/** @type {string | undefined} */ cursor) => {
    const page = await context.client.jobs({ state: state || undefined, report: report || undefined, limit: PAGE, cursor });
    next = page.next;
    for (const job of page.jobs) context.live.put(job);
    return page.jobs;
  };
  const load = async () => {
    try {
      list.set(await read(undefined));
      show();
    } catch (error) {
      if (list.size === 0) fill(place, failure(error, load));
    }
  };
  const more = async () => {
    try {
      list.add(await read(next ?? undefined));
      show();
    } catch (error) {
      complain(error);
    }
  };
  context.live.onJob((job, event) => {
    if (list.has(job.id) && !matches(job)) list.remove(job.id);
    else if (list.has(job.id) || (event && matches(job))) list.add([job]);
    else return;
    show();
  }, context.signal);
  context.live.onResync(load, context.signal);
  load();

  const address = (/** @type {string} */ toState, /** @type {string} */ toReport) => {
    const query = new URLSearchParams({ ...(toState && { state: toState }), ...(toReport && { report: toReport }) }).toString();
    return query ? `/jobs?${query}` : '/jobs';
  };
  const choose = h('select', { 'aria-label': 'Report' }, h('option', { value: '' }, 'All reports'),
    [...context.reports.values()].map((one) => h('option', { value: one.name }, one.title)));
  choose.value = report;
  choose.addEventListener('change', () => context.go(address(state, choose.value)));
  const tabs = [['', 'All'], ...Object.entries(STATES)].map(([name, text]) =>
    h('a', { href: address(name, report), 'aria-current': name === state ? 'true' : null }, name === 'retrying' ? 'Retrying' : text));
  return h('div', null, h('div.head', null, h('h1', null, 'Jobs'), choose), h('nav.tabs', { 'aria-label': 'State' }, tabs), place, end);
}

/** @param {string} state @param {string} report */
function empty(state, report) {
  if (state || report) return nothing('No such jobs', 'Nothing matches what you chose.', h('a.button', { href: '/jobs' }, 'Show all jobs'));
  return nothing('No jobs yet', 'Every report you ask for is a job. It goes on when you close this page, and it stands here until you need it.', h('a.button.primary', { href: '/' }, 'See the reports'));
}
