/**
 * @import { Field } from '../form.js'
 * @import { Place } from './pages.js'
 */
import { Problem } from '../../sdk/index.js';
import { fill, h } from '../dom.js';
import { wrap } from '../form.js';
import { ownZone } from './writer.js';
import { localOf, momentOf } from './zones.js';

/** What is typed is asked about after so many milliseconds of rest. */
const REST = 250;

const EXAMPLES = ['every weekday at 07:30', 'every monday at 08:00', 'every 15 minutes between 08:00 and 18:00', 'last working day of the month at 18:00', '30 7 1 * *'];

/**
 * When a schedule fires, and in which zone, and what that means.
 * @typedef {object} WhenFields
 * @property {HTMLElement} element
 * @property {HTMLElement} bounds Start and end, for a place of their own.
 * @property {Record<'when' | 'zone' | 'calendar' | 'on_holiday' | 'starts_at' | 'ends_at', Field>} fields
 */

/**
 * @param {Place} place
 * @param {{when?: string | null, zone?: string | null, calendar?: string | null, on_holiday?: string | null, starts_at?: string | null, ends_at?: string | null}} given
 * @returns {WhenFields}
 */
export function whenFields({ context, schedules, writer: { words }, writer }, given) {
  const text = h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', lang: 'en', maxlength: 300 });
  text.value = given.when ?? '';
  const when = wrap('schedule-when', { label: words.whenLabel, hint: words.whenHint, control: text });
  const zones = h('datalist', { id: 'zones' }, Intl.supportedValuesOf('timeZone').map((one) => h('option', { value: one })));
  const place = h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', list: 'zones' });
  place.value = given.zone ?? ownZone() ?? 'UTC';
  const zone = wrap('schedule-zone', { label: words.zone, hint: words.zoneHint, control: place });
  const bound = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string | null | undefined} */ time) => {
    const control = h('input', { type: 'datetime-local' });
    control.value = time ? localOf(time, place.value) : '';
    const read = () => (control.value === '' ? null : momentOf(control.value.slice(0, 16), place.value.trim()));
    return { ...wrap(`schedule-${name}`, { label, hint: words.boundsHint, control }), read };
  };
  const days = h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', maxlength: 100 });
  days.value = given.calendar ?? '';
  const calendar = wrap('schedule-calendar', { label: words.calendar, hint: words.calendarHint, control: days });
  const choice = h('select', null, Object.entries(words.holidayOf).map(([one, said]) => h('option', { value: one }, said)));
  choice.value = given.on_holiday ?? 'run';
  const holiday = wrap('schedule-on_holiday', { label: words.holiday, control: choice });
  const [starts, ends] = [bound('starts_at', words.starts, given.starts_at), bound('ends_at', words.ends, given.ends_at)];

  const sentence = h('p.sentence', { role: 'status' });
  const times = h('ol.upcoming');
  const meaning = h('div.meaning', null, h('h3', null, words.meaning), sentence, times);
  const example = (/** @type {string} */ one) => h('button.button', { type: 'button', lang: 'en', onclick: () => {
    text.value = one;
    text.dispatchEvent(new Event('input', { bubbles: true }));
    text.focus();
  } }, one);
  const element = h('div.when', null, when.element, h('div.examples', { role: 'group', 'aria-label': words.examples }, EXAMPLES.map(example)), zone.element, zones, meaning);

  const read = { when: () => text.value.trim() || null, zone: () => place.value.trim() || null, calendar: () => days.value.trim() || null, on_holiday: () => (days.value.trim() === '' ? null : choice.value) };
  const fields = [when, zone, calendar, holiday, starts, ends];
  let asking = new AbortController();
  const look = async () => {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    if (read.when() === null) {
      sentence.lang = writer.language;
      sentence.textContent = words.asked;
      return fill(times);
    }
    const asked = { when: read.when() ?? '', zone: read.zone() ?? undefined, calendar: read.calendar(), on_holiday: read.on_holiday(), starts_at: starts.read(), ends_at: ends.read() };
    try {
      const told = await schedules.preview(asked, signal);
      sentence.lang = 'en';
      sentence.textContent = told.sentence;
      fill(times, told.upcoming.length === 0 ? h('li.quiet', { lang: writer.language }, asked.when.toLowerCase().startsWith('on ') ? words.asked : words.over) : told.upcoming.map((one) => h('li', null, writer.time(one))));
      for (const field of fields) field.complain(null);
    } catch (error) {
      if (signal.aborted || !(error instanceof Problem)) return;
      sentence.textContent = '';
      fill(times);
      for (const { pointer, detail } of error.errors) ({ '/when': when, '/zone': zone, '/calendar': calendar, '/on_holiday': holiday, '/starts_at': starts, '/ends_at': ends })[pointer]?.complain(detail);
    }
  };
  let timer = 0;
  for (const part of fields) {
    part.element.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(look, REST);
    });
  }
  context.signal.addEventListener('abort', () => {
    clearTimeout(timer);
    asking.abort();
  });
  look();
  return { element, bounds: h('div.pair', null, starts.element, ends.element), fields: { when: { ...when, read: read.when }, zone: { ...zone, read: read.zone }, calendar: { ...calendar, read: read.calendar }, on_holiday: { ...holiday, read: read.on_holiday }, starts_at: starts, ends_at: ends } };
}
