/**
 * @import { Context } from '../app.js'
 * @import { Job, Report } from '../../sdk/shapes.js'
 */
import { BASE } from '../base.js';
import { isFinal } from '../../sdk/index.js';
import { fill, h, icon } from '../dom.js';
import { JobList, downloads, setBar } from '../job_line.js';
import { complain, failure, loading, nothing } from '../notice.js';
import { doing, plural } from '../words.js';

/** Jobs shown above the catalogue. */
const LATEST = 3;

/**
 * All reports, and the latest jobs.
 * @param {Context} context
 */
export function catalogue(context) {
  context.title('');
  const search = h('input', { type: 'search', placeholder: 'Search reports', 'aria-label': 'Search reports', autocomplete: 'off', 'aria-keyshortcuts': '/' });
  search.value = context.query.get('q') ?? '';
  const found = h('p.offscreen', { role: 'status' });
  const latest = h('div');
  const cards = h('div');
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = [...context.reports.values()].sort((a, b) => effort(a) - effort(b));
    const matching = all.filter((report) => words.every((word) => textOf(report).includes(word)));
    found.textContent = words.length > 0 ? `${plural(matching.length, 'report')} found` : '';
    if (all.length === 0) fill(cards, nothing('The catalogue is empty', 'A report is one TOML file in the catalogue folder; it appears here within seconds.'));
    else if (matching.length === 0) fill(cards, nothing('No report matches', `Nothing in the catalogue has “${search.value}” in its name or description.`));
    else fill(cards, h('ul.cards', null, matching.map((report) => card(report, context))));
  };
  search.addEventListener('input', () => {
    history.replaceState(null, '', `${BASE}/${search.value && `?q=${encodeURIComponent(search.value)}`}`);
    show();
  });
  const load = async () => {
    try {
      const reports = await context.client.reports();
      const known = [...context.reports.values()].map((report) => report.version).join();
      if (known === reports.map((report) => report.version).join() && cards.childElementCount > 0 && !cards.querySelector('.loading, [role=alert]')) return;
      context.reports.clear();
      for (const report of reports) context.reports.set(report.name, report);
      if (!context.signal.aborted) show();
    } catch (error) {
      if (context.reports.size === 0) fill(cards, failure(error, load));
    }
  };
  if (context.reports.size > 0) show();
  else fill(cards, loading(6));
  load();
  showLatest(context, latest);
  return h('div', null,
    h('div.head', null, h('h1', null, 'Reports'), h('label.search', null, icon('search'), search, h('kbd', { 'aria-hidden': 'true' }, '/'))),
    latest, found, cards);
}

/**
 * Reports that are there with one click come first, small ones before large ones.
 * @param {Report} report
 */
const effort = (report) => Number(report.params.required.length > 0) + 2 * Number(report.lane === 'bulk');

/** @param {Report} report */
const textOf = (report) => `${report.name} ${report.title} ${report.description}`.toLowerCase();

/** @param {Context} context @param {HTMLElement} place */
async function showLatest(context, place) {
  const list = new JobList(context.reports, 'Latest jobs');
  const show = () =>
    list.size > 0
      ? fill(place, h('section.latest', { 'aria-label': 'Latest jobs' }, h('div.head.small', null, h('h2', null, 'Latest'), h('a', { href: '/jobs' }, 'All jobs')), list.element))
      : fill(place, h('p.lead.first', null, icon('spark'), 'Pick a report and press Make. You can leave this page at once: the file will be there when you come back.'));
  const load = async () => {
    const { jobs } = await context.client.jobs({ limit: LATEST });
    list.set(jobs);
    for (const job of jobs) context.live.put(job);
    show();
  };
  context.live.onJob((job) => {
    if (!list.has(job.id) && job.id < (list.oldest ?? '')) return;
    list.add([job]);
    for (const old of list.jobs.sort((a, b) => (a.id < b.id ? 1 : -1)).slice(LATEST)) list.remove(old.id);
    if (!list.element.isConnected) show();
  }, context.signal);
  context.live.onResync(() => load().catch(() => {}), context.signal);
  // Without it the page is as useful; what is wrong with the service is told elsewhere.
  await load().catch(() => {});
}

/**
 * @param {Report} report
 * @param {Context} context
 */
function card(report, context) {
  const address = `/reports/${encodeURIComponent(report.name)}`;
  const oneClick = report.params.required.length === 0 && context.session.scopes?.includes('write');
  const end = h('div.end');
  const start = () => {
    const make = h('button.button.primary', { type: 'button', 'aria-label': `Make ${report.title}`, onclick: () => makeNow(report, context, end, start) }, icon('spark'), 'Make');
    fill(end, oneClick ? make : null, h('a.button', { href: address, 'aria-label': `${oneClick ? 'Options' : 'Choose…'}: ${report.title}` }, oneClick ? 'Options' : 'Choose…'));
  };
  start();
  return h('li.card', null,
    h('h2', null, h('a', { href: address }, report.title)), h('p.text', null, report.description.trim()),
    h('p.tags', null, report.formats.map((format) => h('span.tag', null, format)), report.lane === 'bulk' && h('span.tag.plain', { title: 'Has a queue of its own, so that it does not keep small reports waiting' }, 'large')), end);
}

/**
 * One click: with the defaults, in the first format. The card itself shows how it goes.
 * @param {Report} report
 * @param {Context} context
 * @param {HTMLElement} place
 * @param {() => void} start
 */
async function makeNow(report, context, place, start) {
  const text = h('p.quiet', { role: 'status' }, 'Submitting');
  const progress = h('progress', { max: 100, 'aria-label': report.title });
  fill(place, h('div.making', null, text, progress));
  /** @type {string | null} */
  let id = null;
  const show = (/** @type {Job} */ job) => {
    if (job.id !== id) return;
    if (!isFinal(job)) {
      const said = doing(job);
      if (text.textContent !== said) text.textContent = said;
      return setBar(progress, job);
    }
    const again = h('button.button', { type: 'button', 'aria-label': `Make ${report.title} again`, onclick: () => makeNow(report, context, place, start) }, icon('repeat'));
    const more = h('a.button', { href: `/jobs/${job.id}` }, job.state === 'done' ? 'Show' : 'See why');
    const said = job.state === 'done' ? plural(job.artifacts[0]?.rows ?? 0, 'row') : doing(job);
    fill(place, job.state === 'done' && downloads(job), more, again, h('span.quiet', { role: 'status' }, said));
    if (!place.contains(document.activeElement) && document.activeElement === document.body) place.querySelector('a')?.focus({ preventScroll: true });
  };
  context.live.onJob(show, context.signal);
  try {
    const job = await context.client.submit({ report: report.name, formats: report.formats.slice(0, 1) });
    id = job.id;
    context.live.put(job);
    // The event may have come before the answer.
    context.live.refresh(job.id);
  } catch (error) {
    start();
    complain(error);
  }
}
