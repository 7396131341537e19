/**
 * @import { Upcoming, UpcomingSchedule } from '../../sdk/shapes.js'
 * @import { Place } from './pages.js'
 * @import { ScheduleWriter } from './writer.js'
 */
import { h } from '../dom.js';
import { nothing } from '../notice.js';
import { head, whoseOf } from './pages.js';
import { ownZone } from './writer.js';

const DAY = 86_400_000;
/** Lines of a day in a month; what is more stands in its week. */
const LINES = 4;

/** Days are counted as if all were of 24 hours: in UTC they are. @param {number} time */
const written = (time) => new Date(time).toISOString().slice(0, 10);

/**
 * What comes, in a week or a month.
 * @param {Place} place
 */
export async function calendarPage(place) {
  const { context, schedules, writer } = place;
  const { words } = writer;
  const view = context.query.get('view') === 'week' ? 'week' : 'month';
  const zone = ownZone();
  const today = todayIn(zone);
  const day = dayOf(context.query.get('day')) ?? today;
  const [from, to] = range(view, day, firstDay(writer.tag));
  const of = whoseOf(context);
  const upcoming = await schedules.upcoming({ from: written(from), to: written(to), zone, of });
  const title = titleOf(writer, view, day, from, to);
  context.title(`${words.title}: ${title}`);
  const go = (/** @type {number} */ to, /** @type {string} */ text, /** @type {string} */ sign) =>
    h('a.button', { href: `/schedules?${new URLSearchParams({ view, day: written(to), ...(of === 'tenant' && { of }) })}`, 'aria-label': sign && text }, sign || text);
  const [before, after] = neighbours(view, day);
  return h('div', null, head(place, view, written(day)),
    h('div.head.small', null, h('h2.range', null, title), h('div.buttons', null, go(before, words.before, '←'), go(today, words.today, ''), go(after, words.after, '→'))),
    upcoming.days.length === 0 ? nothing(words.nothing, words.noneText) : grid(place, upcoming, { view, from, to, day, today }),
    h('p.quiet', null, words.times(upcoming.zone), !upcoming.complete && ` ${words.incomplete}`));
}

/** @param {string | undefined} zone */
function todayIn(zone) {
  return Date.parse(new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeZone: zone }).format(new Date()));
}

/** @param {string | null} text */
function dayOf(text) {
  const time = /^\d{4}-\d\d-\d\d$/.test(text ?? '') ? Date.parse(text ?? '') : NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** With which day a week begins where the reader is: 1 is Monday. @param {string} tag */
function firstDay(tag) {
  const own = navigator.languages.find((one) => one.split('-')[0] === tag.split('-')[0]) ?? tag;
  const locale = /** @type {any} */ (new Intl.Locale(own));
  return /** @type {number} */ ((locale.getWeekInfo?.() ?? locale.weekInfo)?.firstDay ?? 1);
}

/**
 * The days of a view: a month has whole weeks, six at most.
 * @param {'week' | 'month'} view
 * @param {number} day
 * @param {number} first
 */
function range(view, day, first) {
  const startOfWeek = (/** @type {number} */ time) => time - ((new Date(time).getUTCDay() - first + 7) % 7) * DAY;
  if (view === 'week') return [startOfWeek(day), startOfWeek(day) + 6 * DAY];
  const [month, next] = [0, 1].map((more) => Date.UTC(new Date(day).getUTCFullYear(), new Date(day).getUTCMonth() + more));
  return [startOfWeek(month), startOfWeek(next - DAY) + 6 * DAY];
}

/** @param {'week' | 'month'} view @param {number} day */
function neighbours(view, day) {
  if (view === 'week') return [day - 7 * DAY, day + 7 * DAY];
  return [-1, 1].map((more) => Date.UTC(new Date(day).getUTCFullYear(), new Date(day).getUTCMonth() + more));
}

/** @param {ScheduleWriter} writer @param {'week' | 'month'} view @param {number} day @param {number} from @param {number} to */
function titleOf(writer, view, day, from, to) {
  if (view === 'month') return new Intl.DateTimeFormat(writer.tag, { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(day);
  return new Intl.DateTimeFormat(writer.tag, { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' }).formatRange(from, to);
}

/**
 * @param {Place} place
 * @param {Upcoming} upcoming
 * @param {{view: 'week' | 'month', from: number, to: number, day: number, today: number}} days
 */
function grid({ context, writer }, upcoming, { view, from, to, day, today }) {
  const of = new Map(upcoming.days.map((one) => [one.day, one.schedules]));
  const month = new Date(day).getUTCMonth();
  const name = new Intl.DateTimeFormat(writer.tag, { weekday: 'long', day: 'numeric', month: 'long', timeZone: 'UTC' });
  const weekday = new Intl.DateTimeFormat(writer.tag, { weekday: 'short', timeZone: 'UTC' });
  const all = Array.from({ length: Math.round((to - from) / DAY) + 1 }, (_, at) => from + at * DAY);
  const cells = all.map((time) => {
    const some = of.get(written(time)) ?? [];
    const shown = view === 'month' ? some.slice(0, some.length > LINES ? LINES - 1 : LINES) : some;
    const tenant = whoseOf(context) === 'tenant';
    const week = `/schedules?${new URLSearchParams({ view: 'week', day: written(time), ...(tenant && { of: 'tenant' }) })}`;
    const outside = view === 'month' && new Date(time).getUTCMonth() !== month;
    return h('li', { class: [some.length === 0 && 'free', outside && 'outside', time === today && 'today'].filter(Boolean).join(' '), 'aria-current': time === today ? 'date' : null },
      h('h3', null, h('time', { datetime: written(time) }, h('span.full', null, name.format(time)), h('span.number', { 'aria-hidden': 'true' }, new Date(time).getUTCDate()))),
      some.length > 0 && h('ul', null, shown.map((one) => h('li', null, entry(one, upcoming.zone, writer, context, tenant))),
        some.length > shown.length && h('li', null, h('a.link', { href: week }, `+ ${writer.count(some.length - shown.length)}`))));
  });
  return h('div.calendar', { 'data-view': view }, h('div.weekdays', { 'aria-hidden': 'true' }, all.slice(0, 7).map((time) => h('span', null, weekday.format(time)))), h('ol', null, cells));
}

/**
 * @param {UpcomingSchedule} one
 * @param {string} zone
 * @param {ScheduleWriter} writer
 * @param {import('../app.js').Context} context
 * @param {boolean} tenant
 */
function entry(one, zone, writer, context, tenant) {
  const clock = (/** @type {string} */ time) => writer.moment(time, zone, { hour: '2-digit', minute: '2-digit' });
  const name = one.title ?? context.reports.get(one.report)?.title ?? one.report;
  const often = one.count > 1 && writer.words.often(writer.count(one.count) + (one.more ? '+' : ''));
  return h('a.entry', { href: `/schedules/${one.id}`, title: [name, often].filter(Boolean).join(' · ') },
    h('span.clock', null, one.count > 1 ? `${clock(one.first)} – ${one.more ? '…' : clock(one.last)}` : clock(one.first)), h('span', null, name), (often || tenant) && h('span.quiet', null, [often, tenant && one.owner].filter(Boolean).join(' · ')));
}
