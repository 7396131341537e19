/**
 * The pages about schedules, loaded when one of them is looked at.
 *
 * @import { Context } from '../app.js'
 * @import { ScheduleWords } from './words/en.js'
 */
import { Problem } from '../../sdk/index.js';
import { Schedules } from '../../sdk/schedules.js';
import { h } from '../dom.js';
import { nothing } from '../notice.js';
import { usageLanguage } from '../usage_words.js';
import { calendarPage } from './calendar.js';
import { editPage, newPage } from './form.js';
import { listPage } from './list.js';
import { schedulePage } from './one.js';
import { ScheduleWriter } from './writer.js';

/**
 * What a page about schedules is given.
 * @typedef {object} Place
 * @property {Context} context
 * @property {Schedules} schedules
 * @property {ScheduleWriter} writer
 */

/** One language is loaded, that of the reader. @type {Record<string, () => Promise<{WORDS: ScheduleWords}>>} */
const LANGUAGES = {
  en: () => import('./words/en.js'),
  de: () => import('./words/de.js'),
  fr: () => import('./words/fr.js'),
  es: () => import('./words/es.js'),
  zh: () => import('./words/zh.js'),
};

/** @type {Promise<unknown> | null} */
let style = null;

/** Loads the looks of these pages, once. */
function dress() {
  style ??= new Promise((resolve) => {
    const link = h('link', { rel: 'stylesheet', href: new URL('schedules.css', import.meta.url).href, onload: resolve, onerror: resolve });
    document.head.append(link);
  });
  return style;
}

/**
 * Makes the page of an address.
 * @param {Context} context
 * @returns {Promise<HTMLElement>}
 */
export async function open(context) {
  const language = usageLanguage();
  const [{ WORDS: words }] = await Promise.all([LANGUAGES[language](), dress()]);
  const place = { context, schedules: new Schedules(context.client.caller), writer: new ScheduleWriter(words, language) };
  try {
    const page = await choose(place);
    page.lang = language;
    page.classList.add('schedules');
    return page;
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error;
    context.title(words.lost);
    return h('div', { lang: language }, nothing(words.lost, words.lostText, h('a.button.primary', { href: '/schedules' }, words.all)));
  }
}

/** @param {Place} place @returns {Promise<HTMLElement>} */
function choose(place) {
  const { path: [id, edit], query } = place.context;
  if (id === 'new') return newPage(place);
  if (id) return edit ? editPage(place, id) : schedulePage(place, id);
  return query.has('view') ? calendarPage(place) : listPage(place);
}

/**
 * The head of the list and of the calendar: how it is looked at, and whose.
 * @param {Place} place
 * @param {'list' | 'week' | 'month'} view
 * @param {string} [day] Of the calendar.
 */
export function head({ context, writer: { words } }, view, day) {
  const { scopes } = context.session;
  const whose = whoseOf(context);
  const address = (/** @type {string} */ to, /** @type {string} */ of) => {
    const query = new URLSearchParams({ ...(to !== 'list' && { view: to, ...(day && { day }) }), ...(of === 'tenant' && { of }) }).toString();
    return query ? `/schedules?${query}` : '/schedules';
  };
  const choice = h('select', { 'aria-label': words.whose }, h('option', { value: 'own' }, words.own), h('option', { value: 'tenant' }, words.tenant));
  choice.value = whose;
  choice.addEventListener('change', () => context.go(address(view, choice.value)));
  const tabs = /** @type {const} */ (['list', 'week', 'month']).map((name) => h('a', { href: address(name, whose), 'aria-current': name === view ? 'true' : null }, words[name]));
  return [h('div.head', null, h('div', null, h('h1', null, words.title), h('p.lead', null, words.lead)), scopes?.includes('admin') ? choice : null),
    h('nav.tabs', { 'aria-label': words.views }, tabs)];
}

/** Operators may look at everybody's. @param {Context} context @returns {'own' | 'tenant'} */
export function whoseOf({ session, query }) {
  return session.scopes?.includes('admin') && query.get('of') === 'tenant' ? 'tenant' : 'own';
}
