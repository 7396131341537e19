/**
 * @import { Recipient, Report, Schedule, ScheduleBody } from '../../sdk/shapes.js'
 * @import { Field } from '../form.js'
 * @import { Place } from './pages.js'
 */
import { Problem } from '../../sdk/index.js';
import { fill, h, icon } from '../dom.js';
import { choicesField, placeErrors, wrap } from '../form.js';
import { explain, nothing, notify } from '../notice.js';
import { paramsOf } from '../words.js';
import { scheduledField } from './relative.js';
import { whenFields } from './when.js';
import { ownZone } from './writer.js';

/**
 * A new schedule of a report: what its form was filled in with goes on here.
 * @param {Place} place
 */
export async function newPage(place) {
  const { context, writer: { words } } = place;
  const name = context.query.get('report') ?? '';
  const report = await context.client.report(name).catch((error) => {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  });
  if (!report) return h('div', null, nothing(words.noReport, words.noneText, h('a.button.primary', { href: '/' }, words.reports)));
  const draft = context.drafts.get(name);
  return page(place, { report, title: words.scheduleOf(report.title), back: `/reports/${encodeURIComponent(name)}`, button: words.create }, { report: name, ...draft }, async (body) => {
    const { id } = await place.schedules.create({ ...body, ...((body.formats?.length ?? 0) > 1 && { on_refusal: 'keep_others' }) });
    context.drafts.delete(name);
    return { id, said: words.created };
  });
}

/**
 * A schedule that is there: only what was changed is sent.
 * @param {Place} place
 * @param {string} id
 */
export async function editPage(place, id) {
  const { context, schedules, writer } = place;
  const { schedule, version } = await schedules.read(id);
  // One that has left the catalogue has no form; everything else can be changed.
  const report = await context.client.report(schedule.report).catch(() => null);
  const name = writer.nameOf(schedule, context.reports);
  return page(place, { report, schedule, title: writer.words.editOf(name), back: `/schedules/${id}`, button: writer.words.save }, schedule, async (body, before) => {
    const changed = Object.fromEntries(Object.entries(body).filter(([field, value]) => JSON.stringify(value) !== JSON.stringify(/** @type {any} */ (before)[field])));
    if (Object.keys(changed).length > 0) await schedules.change(id, changed, version);
    return { id, said: writer.words.saved };
  });
}

/**
 * @param {Place} place
 * @param {{report: Report | null, schedule?: Schedule, title: string, back: string, button: string}} about
 * @param {Partial<ScheduleBody> & {report: string}} given
 * @param {(body: ScheduleBody, before: ScheduleBody) => Promise<{id: string, said: string}>} send
 */
function page(place, { report, schedule, title, back, button }, given, send) {
  const { context, writer: { words } } = place;
  context.title(title);
  const params = paramFields(place, report, given, schedule !== undefined);
  const fields = otherFields(place, report, given);
  const when = whenFields(place, given);
  const all = { ...fields, ...when.fields };
  const wrong = h('div', { role: 'alert' });
  const save = h('button.button.primary.large', null, button);
  const further = h('details.further', null, h('summary', null, words.further), h('div.form', null, when.bounds, fields.on_empty.element, fields.overlap.element,
    h('div.pair', null, when.fields.calendar.element, when.fields.on_holiday.element), h('div.pair', null, fields.catch_up.element, fields.within.element), h('div.pair', null, fields.alarm_after.element, fields.pause_after.element), fields.alert.element));
  const form = h('form.form', { novalidate: true, 'aria-label': title },
    h('section.panel.form', null, h('h2', null, words.what), fields.title.element, [...params.values()].map((field) => field.element), fields.formats?.element, fields.notify.element),
    h('section.panel.form', null, h('h2', null, words.when), when.element),
    h('section.panel', null, further), wrong, h('div.buttons', null, save, h('a.button', { href: back }, words.cancel)));
  const read = () => readAll(given, params, all);
  const before = read();
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (save.disabled) return;
    fill(wrong);
    const body = read();
    if (schedule && hidden(place, report, before, body, params)) return fill(wrong, alert(h('strong', null, words.correct)));
    save.disabled = true;
    save.setAttribute('aria-busy', 'true');
    try {
      const { id, said } = await send(body, before);
      notify({ title: said, tone: 'good' });
      context.go(`/schedules/${id}`);
    } catch (error) {
      if (!context.signal.aborted) fill(wrong, alert(tell(place, error, body, params, all, further)));
    } finally {
      save.disabled = false;
      save.removeAttribute('aria-busy');
    }
  });
  return h('div', null, h('nav.crumbs', { 'aria-label': words.title }, h('a', { href: '/schedules' }, words.title), h('span', { 'aria-hidden': 'true' }, '/'), h('span', { 'aria-current': 'page' }, title)),
    h('div.head', null, h('h1', null, title)), form);
}

/** @param {HTMLElement} content */
const alert = (content) => h('div.alert', null, icon('alert'), content);

/**
 * @param {Place} place
 * @param {Report | null} report
 * @param {Partial<ScheduleBody>} given
 * @param {boolean} editing
 */
function paramFields({ writer }, report, given, editing) {
  /** @type {Map<string, Field>} */
  const fields = new Map();
  for (const [name, schema] of report ? paramsOf(report) : []) {
    const known = given.params && name in given.params;
    // What is sensitive is never shown; a form that was filled in a moment ago has it still.
    const value = known && !(editing && schema.writeOnly) ? given.params?.[name] : editing && schema.writeOnly ? undefined : schema.default;
    const described = editing && schema.writeOnly ? { ...schema, description: [schema.description, writer.words.kept].filter(Boolean).join(' ') } : schema;
    fields.set(name, scheduledField(writer, name, described, report?.params.required.includes(name) ?? false, value));
  }
  return fields;
}

/**
 * @param {Place} place
 * @param {Report | null} report
 * @param {Partial<ScheduleBody>} given
 */
function otherFields({ writer: { words, language } }, report, given) {
  const text = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ hint, /** @type {unknown} */ value, attributes = {}) => {
    const control = h('input', { type: 'text', autocomplete: 'off', ...attributes });
    control.value = value === null || value === undefined ? '' : String(value);
    return { ...wrap(`schedule-${name}`, { label, hint, control }), read: () => control.value.trim() || null };
  };
  const choice = (/** @type {string} */ name, /** @type {string} */ label, /** @type {Record<string, string>} */ choices, /** @type {string} */ value) => {
    const control = h('select', null, Object.entries(choices).map(([one, said]) => h('option', { value: one }, said)));
    control.value = value;
    return { ...wrap(`schedule-${name}`, { label, control }), read: () => control.value };
  };
  const people = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ hint, /** @type {Recipient[]} */ some) => {
    const control = h('textarea', { rows: 2, spellcheck: 'false', autocomplete: 'off' });
    control.value = some.filter(({ channel }) => channel === 'email').map(({ to }) => to).join('\n');
    // Whoever stays keeps their language and zone, and whoever is told otherwise than by mail.
    const read = () => [...some.filter(({ channel }) => channel !== 'email'), ...control.value.split(/[\n,;]/).map((line) => line.trim()).filter(Boolean).map((to) =>
      some.find((one) => one.channel === 'email' && one.to === to) ?? { channel: 'email', to, language, ...(ownZone() && { time_zone: ownZone() }) })];
    return { ...wrap(`schedule-${name}`, { label, hint, control }), read };
  };
  const alerts = people('alert', words.alerts, words.alertsHint, given.alert ?? []);
  const pause = text('pause_after', words.pauseAfter, words.pauseAfterHint, given.pause_after ?? 5, { inputmode: 'numeric' });
  return {
    title: text('title', words.label, words.labelHint, given.title, { maxlength: 200 }),
    formats: report && choicesField('formats', { words: words.fields, label: words.formats, choices: report.formats, chosen: given.formats ?? report.formats.slice(0, 1), caption: (format) => NAMES[format] ?? format.toUpperCase() }),
    notify: people('notify', words.mails, words.mailsHint, given.notify ?? []),
    alert: { ...alerts, read: () => (alerts.read().length > 0 ? alerts.read() : null) },
    on_empty: choice('on_empty', words.empty, words.emptyOf, given.on_empty ?? 'send'),
    overlap: choice('overlap', words.overlap, words.overlapOf, given.overlap ?? 'skip'),
    catch_up: text('catch_up', words.catchUp, words.catchUpHint, given.catch_up ?? '1h'),
    within: text('within', words.within, words.withinHint, /^0/.test(given.within ?? '0') ? '' : given.within),
    alarm_after: text('alarm_after', words.alarm, words.alarmHint, given.alarm_after),
    // What is no number goes as it is: the gateway says so better.
    pause_after: { ...pause, read: () => (/^\d{1,9}$/.test(pause.read() ?? '') ? Number(pause.read()) : pause.read()) },
  };
}

/** @type {Record<string, string>} */
const NAMES = { csv: 'CSV', jsonl: 'JSON Lines', xlsx: 'Excel', parquet: 'Parquet', pdf: 'PDF', arrow: 'Arrow' };

/**
 * @param {{report: string}} given
 * @param {Map<string, Field>} params
 * @param {Record<string, Field | null>} fields
 * @returns {ScheduleBody}
 */
function readAll(given, params, fields) {
  const values = [...params].map(([name, field]) => [name, field.read()]).filter(([, value]) => value !== undefined);
  const others = Object.entries(fields).flatMap(([name, field]) => (field ? [[name, field.read()]] : []));
  return { report: given.report, ...(params.size > 0 && { params: Object.fromEntries(values) }), ...Object.fromEntries(others) };
}

/**
 * Values that are hidden go with all others: whoever changes one gives them anew. Says whether that is still to be done.
 * @param {Place} place
 * @param {Report | null} report
 * @param {ScheduleBody} before
 * @param {ScheduleBody} body
 * @param {Map<string, Field>} params
 */
function hidden({ writer: { words } }, report, before, body, params) {
  if (!report || JSON.stringify(before.params) === JSON.stringify(body.params)) return false;
  const empty = paramsOf(report).filter(([name, schema]) => schema.writeOnly && (body.params?.[name] ?? '') === '').map(([name]) => params.get(name));
  for (const field of empty) field?.complain(words.again);
  empty[0]?.focus();
  return empty.length > 0;
}

/**
 * Shows what is wrong where it is wrong, and says the rest.
 * @param {Place} place
 * @param {unknown} error
 * @param {ScheduleBody} body
 * @param {Map<string, Field>} params
 * @param {Record<string, Field | null>} fields
 * @param {HTMLDetailsElement} further
 */
function tell({ writer: { words } }, error, body, params, fields, further) {
  if (!(error instanceof Problem) || error.errors.length === 0) {
    const { title, text } = explain(error);
    return h('div', { lang: 'en' }, h('strong', null, title), h('p', null, text));
  }
  // Of several addresses in one field, which one it is.
  const named = error.errors.map(({ pointer, detail }) => {
    const [, list, at] = /^\/(notify|alert)\/(\d+)/.exec(pointer) ?? [];
    const one = list && /** @type {any} */ (body)[list]?.[Number(at)];
    return { pointer, detail: one ? `“${one.to}” ${detail}` : detail };
  });
  further.open ||= named.some(({ pointer }) => further.querySelector(`[name="schedule-${pointer.split('/')[1]}"]`));
  const left = placeErrors(named, ([first, second]) => (first === 'params' ? params.get(second) : fields[first] ?? undefined));
  return h('div', null, h('strong', null, words.correct), left.map((line) => h('p', { lang: 'en' }, line)));
}
