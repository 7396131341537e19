/**
 * @import { Context } from '../app.js'
 * @import { Job, Report } from '../../sdk/shapes.js'
 * @import { Field } from '../form.js'
 */
import { Problem, newKey } from '../../sdk/index.js';
import { fill, h, icon } from '../dom.js';
import { FIELD_WORDS, choicesField, kept, paramField, placeErrors, wrap } from '../form.js';
import { JobList } from '../job_line.js';
import { explain, failure, loading, nothing } from '../notice.js';
import { usageLanguage, usageWords } from '../usage_words.js';
import { paramsOf, period } from '../words.js';

/**
 * The form of one report, made from the schema of its parameters. `?from=<job>` fills it in as it was then.
 * @param {Context} context
 */
export function report(context) {
  const [name] = context.path;
  const known = context.reports.get(name);
  context.title(known?.title ?? 'Report');
  const place = h('div', null, loading());
  const load = async () => {
    try {
      const from = context.query.get('from');
      const [report, job] = await Promise.all([context.client.report(name), from ? context.client.job(from).catch(() => null) : null]);
      context.title(report.title);
      fill(place, page(report, job, context));
    } catch (error) {
      if (error instanceof Problem && error.status === 404) {
        fill(place, nothing('There is no such report', 'It may have been renamed, or taken out of the catalogue. Its past jobs are still among the jobs.', h('a.button.primary', { href: '/' }, 'All reports')));
      } else fill(place, failure(error, load));
    }
  };
  load();
  return place;
}

/**
 * @param {Report} report
 * @param {Job | null} job
 * @param {Context} context
 */
function page(report, job, context) {
  const facts = [
    ['Files', kept(report.retention)],
    ['Time', `At most ${period(report.timeout)} an attempt`],
    ['Queue', report.lane === 'bulk' ? 'For large reports' : 'For quick reports'],
    ['Version', h('code', { title: report.version }, report.version.replace('sha256:', '').slice(0, 12))],
  ];
  return h('div', null,
    h('nav.crumbs', { 'aria-label': 'Where you are' }, h('a', { href: '/' }, 'Reports'), h('span', { 'aria-hidden': 'true' }, '/'), h('span', { 'aria-current': 'page' }, report.title)),
    h('div.head', null, h('div', null, h('h1', null, report.title), h('p.lead', null, report.description.trim()))),
    h('div.columns', null, form(report, job, context),
      h('aside', null, h('section.panel', null, h('h2', null, 'About'), h('dl.facts', null, facts.map(([term, fact]) => h('div', null, h('dt', null, term), h('dd', null, fact))))),
        past(report, context))));
}

/** @param {Report} report @param {Context} context */
function past(report, context) {
  const list = new JobList(context.reports, 'Latest jobs of this report');
  const section = h('section.panel.past', { hidden: true }, h('div.head.small', null, h('h2', null, 'Latest'), h('a', { href: `/jobs?report=${encodeURIComponent(report.name)}` }, 'All')), list.element);
  context.client.jobs({ report: report.name, limit: 3 }).then(({ jobs }) => {
    list.set(jobs);
    section.hidden = jobs.length === 0;
  }, () => {});
  context.live.onJob((job) => list.has(job.id) && list.add([job]), context.signal);
  return section;
}

/**
 * @param {Report} report
 * @param {Job | null} job
 * @param {Context} context
 */
function form(report, job, context) {
  /** @type {Map<string, Field>} */
  const params = new Map();
  for (const [name, schema] of paramsOf(report)) {
    const value = job && name in job.params && !schema.writeOnly ? job.params[name] : schema.default;
    params.set(name, paramField(name, schema, report.params.required.includes(name), value));
  }
  const chosen = job?.formats.filter((format) => report.formats.includes(format)) ?? [];
  const formats = choicesField('formats', {
    label: 'File',
    hint: report.formats.length > 1 ? 'Several are made from one run. One that cannot hold the rows is left out, and the job says why.' : undefined,
    choices: report.formats,
    chosen: chosen.length > 0 ? chosen : report.formats.slice(0, 1),
    caption: (format) => NAMES[format] ?? format.toUpperCase(),
  });
  const address = h('input', { type: 'email', autocomplete: 'email', placeholder: 'you@example.com' });
  const email = wrap('email', { label: 'Mail me the link', optional: FIELD_WORDS.optional, control: address });
  const wrong = h('div', { role: 'alert' });
  const button = h('button.button.primary.large', null, icon('spark'), 'Make the report');
  const schedule = () => {
    context.drafts.set(report.name, read(report.name, params, formats, address));
    context.go(`/schedules/new?report=${encodeURIComponent(report.name)}`);
  };
  const element = h('form.panel.form', { novalidate: true, 'aria-label': report.title },
    params.size > 0 ? [...params.values()].map((field) => field.element) : h('p.quiet', null, 'This report has no parameters.'),
    formats.element, email.element, wrong, h('div.buttons', null, button, context.session.scopes?.includes('write') && h('button.button.large', { type: 'button', onclick: schedule }, icon('clock'), usageWords(usageLanguage()).schedule)));

  // The same wish is the same job, also when the button is pressed again after the network broke off.
  let key = newKey();
  element.addEventListener('input', () => (key = newKey()));
  element.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    button.setAttribute('aria-busy', 'true');
    fill(wrong);
    try {
      const job = await context.client.submit(read(report.name, params, formats, address), { idempotencyKey: key, signal: context.signal });
      context.live.put(job);
      context.go(`/jobs/${job.id}`);
    } catch (error) {
      if (context.signal.aborted) return;
      fill(wrong, h('div.alert', null, icon('alert'), tell(error, params, formats, email)));
    } finally {
      button.disabled = false;
      button.removeAttribute('aria-busy');
    }
  });
  return element;
}

/** @type {Record<string, string>} */
const NAMES = { csv: 'CSV', jsonl: 'JSON Lines', xlsx: 'Excel', parquet: 'Parquet', pdf: 'PDF', arrow: 'Arrow' };

/**
 * @param {string} report
 * @param {Map<string, Field>} fields
 * @param {Field} formats
 * @param {HTMLInputElement} address
 */
function read(report, fields, formats, address) {
  /** @type {Record<string, unknown>} */
  const params = {};
  for (const [name, field] of fields) {
    const value = field.read();
    if (value !== undefined) params[name] = value;
  }
  const to = address.value.trim();
  const chosen = /** @type {string[]} */ (formats.read());
  return { report, params, formats: chosen, ...(chosen.length > 1 && { on_refusal: /** @type {const} */ ('keep_others') }), ...(to && { notify: [{ channel: 'email', to, ...zone() }] }) };
}

/** The mail tells times by this clock. Some browsers keep theirs to themselves. */
function zone() {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return /^[A-Z][a-z]+\/(?!Unknown)/.test(timeZone ?? '') ? { time_zone: timeZone } : {};
}

/**
 * Shows what is wrong where it is wrong, and says the rest.
 * @param {unknown} error
 * @param {Map<string, Field>} params
 * @param {Field} formats
 * @param {Omit<Field, 'read'>} email
 */
function tell(error, params, formats, email) {
  if (!(error instanceof Problem) || error.errors.length === 0) {
    const { title, text } = explain(error);
    return h('div', null, h('strong', null, title), h('p', null, text));
  }
  const left = placeErrors(error.errors, ([first, second]) => {
    if (first === 'params') return params.get(second);
    if (first === 'formats') return formats;
    return first === 'notify' ? /** @type {Field} */ (email) : undefined;
  });
  return h('div', null, h('strong', null, 'Please correct what is marked.'), left.map((line) => h('p', null, line)));
}
