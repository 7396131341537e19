/** @import { Job, JobState, ParamSchema, Progress, Report } from '../sdk/shapes.js' */

const NUMBER = new Intl.NumberFormat('en-GB');
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const SHORT = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const LONG = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'long' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });

/** @type {Record<JobState, string>} */
export const STATES = {
  pending: 'Waiting',
  processing: 'Running',
  retrying: 'Will be tried again',
  done: 'Ready',
  failed: 'Failed',
  cancelled: 'Cancelled',
};

/** @type {Record<string, string>} */
export const EVENTS = {
  submitted: 'Submitted',
  started: 'A worker started',
  retrying: 'An attempt failed; it will be tried again',
  handed_back: 'Handed back by a worker that was stopped',
  worker_lost: 'The worker was lost; another one takes over',
  replayed: 'Run again',
  done: 'Ready',
  failed: 'Failed',
  cancelled: 'Cancelled',
};

/** @param {number} value */
export const count = (value) => NUMBER.format(value);

/** @param {number} value @param {string} one @param {string} [many] */
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** A size with three digits, as the mails write it. @param {number} value */
export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = 0;
  while (size >= (unit === 0 ? 1000 : 999.5) && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return unit === 0 ? plural(size, 'byte') : `${size.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0)} ${units[unit]}`;
}

/** @param {number} ms */
export function duration(ms) {
  const seconds = ms / 1000;
  if (seconds < 0.9995) return `${Math.max(0, Math.round(ms))} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/**
 * A length of time that somebody set: whole units only.
 * @param {number} seconds
 */
export function period(seconds) {
  for (const [unit, length] of /** @type {[string, number][]} */ ([['day', 86_400], ['hour', 3600], ['minute', 60]])) {
    if (seconds >= length && seconds % length === 0) return plural(seconds / length, unit);
  }
  return plural(seconds, 'second');
}

/** @param {string} time */
export function when(time) {
  const date = new Date(time);
  return (date.toDateString() === new Date().toDateString() ? CLOCK : SHORT).format(date);
}

/** @param {string} time */
export const exactly = (time) => LONG.format(new Date(time));

/**
 * How long ago, or how soon.
 * @param {string} time
 */
export function ago(time) {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  const size = Math.abs(seconds);
  const said =
    size < 60 ? plural(Math.max(1, Math.round(size)), 'second')
    : size < 3600 ? plural(Math.round(size / 60), 'minute')
    : size < 86_400 ? plural(Math.round(size / 3600), 'hour')
    : plural(Math.round(size / 86_400), 'day');
  return seconds < 0 ? `in ${said}` : `${said} ago`;
}

/** @param {Job} job */
export function took(job) {
  if (job.served === 'warm' || !job.started_at || !job.finished_at) return null;
  return duration(Date.parse(job.finished_at) - Date.parse(job.started_at));
}

/**
 * When a job will be ready, as far as anybody knows: its place in line, how long it takes, and when nine in ten are ready.
 * @param {Job} job
 */
export function arriving({ state, queue, eta, waiting_for }) {
  if (state !== 'pending' && state !== 'processing') return '';
  if (state === 'pending' && waiting_for?.reason === 'pause') return `waits: the ${waiting_for.paused} is paused`;
  if (waiting_for?.reason === 'limit') return `waits: as many of its ${waiting_for.limit} run as may`;
  const ahead = queue ? (queue.position === 1 ? 'next in line' : `${count(queue.position - 1)} ahead`) : '';
  const now = Date.now();
  // What was foretold is over: nobody knows any more.
  if (!eta || Date.parse(eta.p90) <= now) return ahead;
  const left = Date.parse(eta.p50) - now;
  const soon = left < 1000 ? 'any moment' : left < 60_000 ? `about ${Math.ceil(left / 1000)} s` : `about ${plural(Math.ceil(left / 60_000), 'minute')}`;
  return [ahead, `${soon} (until ${when(eta.p90)})`].filter(Boolean).join(' · ');
}

/** @param {Progress} progress */
export function rowsOf(progress) {
  if (progress.total_rows === null) return plural(progress.rows, 'row');
  const about = progress.total_is_estimate ? 'about ' : '';
  return `${count(progress.rows)} of ${about}${plural(progress.total_rows, 'row')}`;
}

/**
 * What a job does now, in a few words.
 * @param {Job} job
 */
export function doing(job) {
  if (job.state === 'retrying' && job.next_attempt_at) return `Next attempt ${Date.parse(job.next_attempt_at) > Date.now() ? ago(job.next_attempt_at) : 'any moment'}`;
  if (job.state === 'pending') return 'Waiting for a worker';
  if (job.state !== 'processing') return STATES[job.state];
  const { phase } = job.progress;
  if (phase === 'reading') return `Reading ${rowsOf(job.progress)}`;
  if (phase === 'storing' || phase === 'finished') return `Storing ${plural(job.progress.rows, 'row')}`;
  return 'Starting the query';
}

/** @param {string} name */
export const fromSnake = (name) => (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll('_', ' ');

/**
 * Shows a parameter's value.
 * @param {unknown} value
 * @param {ParamSchema} [schema]
 * @returns {string}
 */
export function shown(value, schema) {
  if (value === null || value === undefined || value === '') return 'not set';
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (Array.isArray(value)) {
    const all = kindOf(schema ?? {}).schema.items?.enum?.length;
    return value.length > 3 && value.length === all ? `all ${all}` : value.map((one) => shown(one)).join(', ');
  }
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value)) return DAY.format(new Date(`${value}T00:00:00Z`));
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)) return value.replace('T', ' ').replace(/(\.\d+)?(Z|\+00:00)$/, ' UTC');
  return kindOf(schema ?? {}).kind === 'decimal' ? grouped(String(value)) : String(value);
}

/** Digits in threes, from five digits on: a year is no quantity. @param {string | number} value */
export const grouped = (value) => String(value).replace(/^-?\d{5,}/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ','));

/** @type {[string, string[]][]} */
const ADVICE = [
  ['Make it again later. If it fails again, something it needs has been out of reach for more than a moment: tell the people who run this service.', ['source-unavailable', 'storage-unavailable', 'unavailable']],
  ['Ask for less at once, for example a shorter period or fewer items.', ['timed-out', 'too-many-rows', 'too-many-bytes']],
  ['Trying again will not help before the report is corrected. Tell the people who look after it; they can then run this job again as it is.', ['query-failed', 'source-unknown', 'unsupported-column', 'report-version-missing']],
];

/** What to do about a job that failed. @param {string} type Of its problem. */
export function advice(type) {
  const slug = type.split('/').pop() ?? '';
  return ADVICE.find(([, slugs]) => slugs.includes(slug))?.[0] ?? 'Tell the people who run this service: they can see what happened and run this job again as it is.';
}

/**
 * What a parameter is, whatever its schema wraps it into.
 * @param {ParamSchema} schema
 * @returns {{kind: string, list: boolean, optional: boolean, schema: ParamSchema}}
 */
export function kindOf(schema) {
  const parts = schema.anyOf ?? [];
  if (parts.length === 2 && parts[1].type === 'null') return { ...kindOf({ ...parts[0] }), optional: true };
  if (schema.type === 'array') return { ...kindOf(schema.items ?? {}), list: true, schema };
  const kind =
    parts.length > 0 ? 'decimal'
    : schema.enum ? 'choice'
    : schema.format === 'date' ? 'date'
    : schema.format === 'date-time' ? 'timestamp'
    : (schema.type ?? 'string');
  return { kind, list: false, optional: false, schema };
}

/**
 * The parameters in the order their author wrote them.
 * @param {Report} report
 * @returns {[string, ParamSchema][]}
 */
export function paramsOf(report) {
  const order = report.params['x-order'] ?? Object.keys(report.params.properties);
  return order.map((name) => [name, report.params.properties[name]]);
}

/**
 * Tells one job of a report from another, in a line: what differs from the defaults comes first.
 * @param {Job} job
 * @param {Report | undefined} report
 */
export function summary(job, report) {
  const params = Object.entries(job.params).filter(([, value]) => value !== null);
  if (params.length === 0) return 'No parameters';
  const schema = (/** @type {string} */ name) => report?.params.properties[name];
  const differs = (/** @type {[string, unknown]} */ [name, value]) => JSON.stringify(schema(name)?.default) !== JSON.stringify(value);
  params.sort((a, b) => Number(differs(b)) - Number(differs(a)));
  return params.slice(0, 3).map(([name, value]) => `${schema(name)?.title ?? fromSnake(name)}: ${shown(value, schema(name))}`).join(' · ');
}
