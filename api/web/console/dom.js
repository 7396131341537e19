import { BASE } from './base.js';

/**
 * @typedef {Node | string | number | false | null | undefined} Child
 */

/**
 * Makes an element. `name` may carry classes: `p.quiet.small`. Properties that begin with `on` are listeners, `css` sets
 * custom properties, `true` and `false` set and leave out an attribute. A `href` that begins with a slash is an address of the gateway.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T | `${T}.${string}`} name
 * @param {Record<string, any> | null} [properties]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(name, properties, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'css') for (const [variable, set] of Object.entries(value)) element.style.setProperty(variable, set);
    else if (key === 'class') element.classList.add(...value.split(' ').filter(Boolean));
    else if (key === 'href' && value.startsWith('/')) element.setAttribute(key, BASE + value);
    else element.setAttribute(key, value === true ? '' : String(value));
  }
  fill(element, ...children);
  return /** @type {any} */ (element);
}

/**
 * Replaces what is in an element.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  const nodes = children.flat().filter((child) => child !== false && child !== null && child !== undefined);
  element.replaceChildren(.../** @type {(Node | string)[]} */ (nodes.map((node) => (typeof node === 'number' ? String(node) : node))));
}

const ICONS = {
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.5 4.5',
  download: 'M12 4v11m0 0-4.5-4.5M12 15l4.5-4.5M5 20h14',
  check: 'm5 12.5 4.5 4.5L19 7',
  cross: 'M6 6l12 12M18 6 6 18',
  alert: 'M12 4 2.8 20h18.4zM12 10v4.5m0 2.4v.1',
  clock: 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 7.5V12l3 2',
  link: 'M10 14a4 4 0 0 0 5.7 0l3.1-3.1a4 4 0 1 0-5.7-5.7L12 6.3M14 10a4 4 0 0 0-5.7 0l-3.1 3.1a4 4 0 1 0 5.7 5.7L12 17.7',
  repeat: 'M4 11a8 8 0 0 1 14-4l2 2m0-5v5h-5M20 13a8 8 0 0 1-14 4l-2-2m0 5v-5h5',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M4.2 4.2l1.4 1.4M18.4 18.4l1.4 1.4M2.5 12h2M19.5 12h2M4.2 19.8l1.4-1.4M18.4 5.6l1.4-1.4',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z',
  arrow: 'M5 12h14m-5.5-5.5L19 12l-5.5 5.5',
  spark: 'M13 3 5 13.5h6L10.5 21 19 10.5h-6z',
  stop: 'M7 7h10v10H7z',
};

/**
 * Draws an icon; it says nothing to screen readers, the words beside it do.
 * @param {keyof typeof ICONS} name
 */
export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * Keeps a list of elements in step with a list of things: rows that stay are moved and never made anew, so that focus stays.
 *
 * @template T
 * @param {Element} list
 * @param {T[]} things
 * @param {(thing: T) => string} key
 * @param {(thing: T) => HTMLElement} make
 */
export function keep(list, things, key, make) {
  const held = new Map([...list.children].map((child) => [/** @type {HTMLElement} */ (child).dataset.key, child]));
  /** @type {Element | null} */
  let after = null;
  for (const thing of things) {
    const id = key(thing);
    let row = held.get(id);
    if (row) held.delete(id);
    else {
      row = make(thing);
      /** @type {HTMLElement} */ (row).dataset.key = id;
    }
    /** @type {Element | null} */
    const place = after ? after.nextElementSibling : list.firstElementChild;
    if (row !== place) list.insertBefore(row, place);
    after = row;
  }
  for (const row of held.values()) row.remove();
}

/**
 * A table that scrolls sideways, and is a list on narrow screens.
 * @param {string} label
 * @param {string[]} heads Those that begin with `#` are numbers.
 * @param {(string | number | HTMLElement | null)[][]} rows
 */
export function table(label, heads, rows) {
  const number = (/** @type {number} */ column) => (heads[column].startsWith('#') ? 'number' : null);
  return h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': label }, h('table', null,
    h('thead', null, h('tr', null, heads.map((head, column) => h('th', { scope: 'col', class: number(column) }, head.replace('#', ''))))),
    h('tbody', null, rows.map((cells) => h('tr', null, cells.map((cell, column) => h('td', { class: number(column), 'data-label': heads[column].replace('#', '') }, cell)))))));
}
