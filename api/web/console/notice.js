import { Problem, Unreachable } from '../sdk/index.js';
import { fill, h, icon } from './dom.js';

/** How long a notice stays, unless somebody reads it. */
const STAYS = 8000;

/**
 * Says something in the corner, and to screen readers.
 * @param {{title: string, text?: string, tone?: 'good' | 'bad' | 'plain', action?: HTMLElement}} said
 */
export function notify({ title, text, tone = 'plain', action }) {
  const close = h('button.plain', { type: 'button', 'aria-label': 'Close', onclick: () => notice.remove() }, icon('cross'));
  const sign = icon(tone === 'bad' ? 'alert' : 'check');
  const notice = h('div.notice', { 'data-tone': tone }, sign, h('div', null, h('strong', null, title), text && h('p', null, text), action), close);
  document.getElementById('notices')?.append(notice);
  let timer = setTimeout(() => notice.remove(), STAYS);
  notice.addEventListener('mouseenter', () => clearTimeout(timer));
  notice.addEventListener('focusin', () => clearTimeout(timer));
  notice.addEventListener('mouseleave', () => (timer = setTimeout(() => notice.remove(), STAYS)));
}

/** @param {unknown} error */
export function explain(error) {
  if (error instanceof Problem) return { title: error.title, text: error.detail };
  if (error instanceof Unreachable) return { title: 'The service cannot be reached', text: error.message };
  return { title: 'Something went wrong on this page', text: 'Load it again. If it stays, tell your operator what you did.' };
}

/** @param {unknown} error */
export function complain(error) {
  notify({ ...explain(error), tone: 'bad' });
}

/**
 * In place of what could not be read.
 * @param {unknown} error
 * @param {() => void} again
 */
export function failure(error, again) {
  const { title, text } = explain(error);
  return h('div.empty', { role: 'alert' }, icon('alert'), h('h2', null, title), h('p', null, text),
    h('button.button', { type: 'button', onclick: again }, icon('repeat'), 'Try again'));
}

/**
 * In place of a list without anything in it.
 * @param {string} title
 * @param {string} text
 * @param {HTMLElement | null} [action]
 */
export function nothing(title, text, action = null) {
  return h('div.empty', null, h('h2', null, title), h('p', null, text), action);
}

/** In place of what is being read: shown only when it takes long enough to be seen. @param {number} [lines] */
export function loading(lines = 3) {
  return h('div.loading', { role: 'status', 'aria-label': 'Loading' }, Array.from({ length: lines }, () => h('span')));
}

/** Tells whether the page hears from the service. @param {boolean} connected */
export function showConnection(connected) {
  const place = document.getElementById('connection');
  if (!place) return;
  if (connected) return fill(place);
  const text = navigator.onLine
    ? 'The service does not answer. Jobs go on; this page catches up by itself.'
    : 'You are offline. Jobs go on; this page catches up when the network is back.';
  fill(place, h('p', null, h('span.pulse'), text));
}

/**
 * Asks before something that cannot be undone; `calm` where nothing is lost by it.
 * @param {{title: string, text: string, yes: string, no: string, calm?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function ask({ title, text, yes, no, calm = false }) {
  return new Promise((resolve) => {
    const dialog = h('dialog', { 'aria-labelledby': 'question' },
      h('form', { method: 'dialog' }, h('h2', { id: 'question' }, title), h('p', null, text),
        h('div.buttons', null, h('button.button', { value: 'no', autofocus: true }, no), h(calm ? 'button.button.primary' : 'button.button.danger', { value: 'yes' }, yes))));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Puts a text into the clipboard, also on pages without TLS. @param {string} text @param {string} what */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = h('textarea', { class: 'offscreen' });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand('copy');
    field.remove();
  }
  notify({ title: `${what} copied`, tone: 'good' });
}
