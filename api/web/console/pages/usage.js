/**
 * @import { Context } from '../app.js'
 * @import { NamedUsage, Usage, UsageLimit, UsageOfDay } from '../../sdk/shapes.js'
 * @import { UsageWords } from '../usage_words.js'
 */
import { fill, h, table } from '../dom.js';
import { failure, loading, nothing } from '../notice.js';
import { usageLanguage, usageWords } from '../usage_words.js';

/** What is counted, in the order of its columns. */
const COUNTED = /** @type {const} */ (['jobs', 'rows', 'bytes', 'recipients', 'links']);

/**
 * What was used, of what there is: by whoever is signed in, and for operators by the whole tenant.
 * @param {Context} context
 */
export function usage(context) {
  const language = usageLanguage();
  const words = usageWords(language);
  context.title(words.title);
  const place = h('div', null, loading());
  const lead = h('p.lead');
  const read = async () => {
    try {
      const found = await context.client.usage();
      const writer = new UsageWriter(words, language, context);
      const until = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', timeZone: found.time_zone }).format(new Date(found.ends_at));
      fill(lead, words.lead(until, found.time_zone));
      const { tenant, own } = found;
      const unused = !(tenant ?? own).days.some((day) => day.jobs > 0);
      fill(place, unused && nothing(words.nothing, words.nothingYet),
        tenant && writer.section(words.tenant, tenant.limits, tenant.days, [[words.principals, tenant.principals], [words.reports, tenant.reports]]),
        writer.section(words.own, own.limits, own.days, []));
    } catch (error) {
      if (!context.signal.aborted) fill(place, failure(error, read));
    }
  };
  read();
  return h('div.usage', { lang: language }, h('div.head', null, h('div', null, h('h1', null, words.title), lead)), place);
}

class UsageWriter {
  #words;
  #language;
  #context;

  /** @param {UsageWords} words @param {string} language @param {Context} context */
  constructor(words, language, context) {
    this.#words = words;
    this.#language = language;
    this.#context = context;
  }

  /**
   * @param {string} title
   * @param {UsageLimit[]} limits
   * @param {UsageOfDay[]} days Today first.
   * @param {[string, NamedUsage[]][]} lists
   */
  section(title, limits, days, lists) {
    const words = this.#words;
    const used = days.filter((day) => COUNTED.some((what) => day[what] > 0));
    return h('section.panel', null, h('h2', null, title),
      h('h3', null, words.limits), this.#limits(`${title}: ${words.limits}`, limits),
      used.length > 0 && [h('h3', null, words.days), this.#chart(days), this.#days(`${title}: ${words.days}`, used)],
      lists.flatMap(([name, list]) => (list.length > 0 ? [h('h3', null, name), this.#list(name, list)] : [])));
  }

  /** @param {string} label @param {UsageLimit[]} limits */
  #limits(label, limits) {
    const words = this.#words;
    return table(label, [words.what, words.share, `#${words.used}`, `#${words.most}`], limits.map(({ name, most, used }) => {
      const what = /** @type {keyof UsageWords['of']} */ (name.replace(/^principal_/, '').split('_')[0]);
      const [shown, bound] = [this.#count(what, used), most === null ? words.none : this.#count(what, most)];
      const full = most !== null && used >= most;
      return [h('strong', { title: name }, words.of[what]),
        most === null ? null : h('meter', { class: full ? 'full' : null, min: 0, max: Math.max(most, 1), value: used, 'aria-label': words.usedOf(shown, bound), css: { '--part': `${Math.min(100, (100 * used) / Math.max(most, 1))}%` } }),
        h('span', { class: full ? 'warning' : null }, shown), most === null ? h('span.quiet', null, bound) : bound];
    }));
  }

  /** Jobs a day as bars, the oldest first. @param {UsageOfDay[]} days */
  #chart(days) {
    const most = Math.max(1, ...days.map((day) => day.jobs));
    const bars = days.toReversed().map(({ day, jobs }) => h('span', { class: jobs === 0 ? 'none' : null, title: `${this.#day(day)}: ${this.#count('jobs', jobs)}`, css: { '--part': `${(100 * jobs) / most}%` } }));
    return h('div.bars', { role: 'img', 'aria-label': this.#words.total }, bars);
  }

  /** @param {string} label @param {UsageOfDay[]} days */
  #days(label, days) {
    return table(label, [this.#words.day, ...this.#heads()], days.map((day) => [h('strong', null, this.#day(day.day)), ...this.#cells(day)]));
  }

  /** @param {string} label @param {NamedUsage[]} list */
  #list(label, list) {
    const most = Math.max(1, ...list.map(({ total }) => total.jobs));
    return table(label, [this.#words.name, this.#words.share, ...this.#heads()], list.map(({ name, total }) => [
      h('strong', null, this.#context.reports.get(name)?.title ?? name),
      h('meter', { min: 0, max: most, value: total.jobs, 'aria-label': `${name}: ${this.#count('jobs', total.jobs)}`, css: { '--part': `${(100 * total.jobs) / most}%` } }),
      ...this.#cells(total)]));
  }

  #heads() {
    return COUNTED.map((what) => `#${this.#words.of[what]}`);
  }

  /** @param {Usage} used */
  #cells(used) {
    return COUNTED.map((what) => this.#count(what, used[what]));
  }

  /** @param {string} what @param {number} value */
  #count(what, value) {
    if (what !== 'bytes') return new Intl.NumberFormat(this.#language).format(value);
    const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
    const step = Math.min(units.length - 1, value < 1000 ? 0 : Math.floor(Math.log10(value) / 3));
    return new Intl.NumberFormat(this.#language, { style: 'unit', unit: units[step], unitDisplay: step === 0 ? 'long' : 'short', maximumSignificantDigits: 3 }).format(value / 1000 ** step);
  }

  /** @param {string} day */
  #day(day) {
    return new Intl.DateTimeFormat(this.#language, { day: 'numeric', month: 'short', weekday: 'short', timeZone: 'UTC' }).format(new Date(`${day}T00:00:00Z`));
  }
}
