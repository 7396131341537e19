/**
 * @import { Firing, Job, Occurrence, ParamSchema, Report, Schedule } from '../../sdk/shapes.js'
 * @import { ScheduleWords } from './words/en.js'
 */
import { h } from '../dom.js';
import { fromSnake, shown } from '../words.js';

/**
 * A value that is told from when a schedule runs.
 * @typedef {{relative: string, minus?: string, plus?: string, count?: number}} RelativeValue
 */

/** Writes what schedules say in the reader's language. */
export class ScheduleWriter {
  #nominal;
  #day;
  #clock;

  /**
   * @param {ScheduleWords} words
   * @param {string} language
   */
  constructor(words, language) {
    this.words = words;
    this.language = language;
    /** For `Intl`: the console writes the English of Europe. */
    this.tag = language === 'en' ? 'en-GB' : language;
    this.#nominal = new Intl.DateTimeFormat(this.tag, { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', timeZone: 'UTC' });
    this.#day = new Intl.DateTimeFormat(this.tag, { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
    this.#clock = new Map();
  }

  /** @param {number} value */
  count(value) {
    return new Intl.NumberFormat(this.tag).format(value);
  }

  /** What a clock on the wall shows: it needs no zone. @param {string} nominal */
  nominal(nominal) {
    return this.#nominal.format(new Date(`${nominal}Z`));
  }

  /** @param {string} day */
  day(day) {
    return this.#day.format(new Date(`${day}T00:00:00Z`));
  }

  /**
   * @param {string} time
   * @param {string} zone
   * @param {Intl.DateTimeFormatOptions} [options]
   */
  moment(time, zone, options = { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' }) {
    const key = JSON.stringify([zone, options]);
    const format = this.#clock.get(key) ?? new Intl.DateTimeFormat(this.tag, { ...options, timeZone: zone });
    this.#clock.set(key, format);
    return format.format(new Date(time));
  }

  /** @param {Occurrence} one */
  time(one) {
    return h('time', { datetime: one.at, title: one.at }, this.nominal(one.nominal));
  }

  /** @param {Schedule} schedule @param {Map<string, Report>} reports */
  nameOf({ title, report }, reports) {
    return title ?? reports.get(report)?.title ?? fromSnake(report.replaceAll('-', '_'));
  }

  /** The API says it in English. @param {Schedule} schedule */
  sentence({ sentence }) {
    return sentence ? h('span', { lang: 'en' }, sentence) : this.words.asked;
  }

  /**
   * @param {unknown} value
   * @param {ParamSchema} [schema]
   * @returns {string}
   */
  value(value, schema) {
    const { words } = this;
    if (value === null || value === undefined || value === '') return words.notSet;
    if (typeof value === 'boolean') return value ? words.yes : words.no;
    if (Array.isArray(value)) return value.map((one) => this.value(one)).join(', ');
    if (typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value)) return this.day(value);
    return typeof value === 'object' ? this.relative(/** @type {any} */ (value)) : shown(value, schema);
  }

  /** @param {RelativeValue} value */
  relative({ relative, minus, plus, count }) {
    const { words } = this;
    const name = words.relative[relative] ?? relative;
    if (count !== undefined) return `${name}: ${this.count(count)}`;
    const shift = minus ?? plus;
    return shift ? `${name}, ${minus ? words.minus : words.plus} ${this.#span(shift)}` : name;
  }

  /** @param {string} span */
  #span(span) {
    const { number, unit } = readSpan(span);
    const named = this.words.units[unit];
    return named ? `${this.count(number)} ${named[number === 1 ? 0 : 1]}` : span;
  }

  /**
   * What became of a firing: of its job, as far as that is known.
   * @param {Firing} firing
   * @param {Job | undefined} job
   */
  outcome(firing, job) {
    const said = firing.outcome === 'fired' ? (job?.state ?? firing.ended ?? 'fired') : firing.outcome;
    return h('span.badge', { 'data-state': said, 'data-outcome': firing.outcome }, h('i', { 'aria-hidden': 'true' }), this.words.outcomes[said]);
  }

  /** @param {Schedule} schedule */
  state({ state, paused_why: why }) {
    const { words } = this;
    return h('span.badge', { 'data-state': { active: 'done', paused: 'retrying', ended: 'cancelled' }[state], title: why ? words.pausedWhy[why] : null }, h('i', { 'aria-hidden': 'true' }), words[state]);
  }
}

/** @param {string} span `2 working days` */
export function readSpan(span) {
  const [, number = '1', unit = 'day'] = /^\s*(\d+)\s+(.+?)s?\s*$/.exec(span) ?? [];
  return { number: Number(number), unit };
}

/** The browser's zone; some browsers keep theirs to themselves. @returns {string | undefined} */
export function ownZone() {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return /^[A-Z][a-z]+\/(?!Unknown)|^UTC$/.test(timeZone ?? '') ? timeZone : undefined;
}
