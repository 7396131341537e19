/** @import { ParamSchema } from '../sdk/shapes.js' */
import { fill, h } from './dom.js';
import { grouped, kindOf, period } from './words.js';

/**
 * One question of a form.
 * @typedef {object} Field
 * @property {HTMLElement} element
 * @property {() => unknown} read Undefined: left to the default.
 * @property {(problem: string | null) => void} complain
 * @property {() => void} focus
 */

/** What fields say; the pages about schedules have it in more languages. */
export const FIELD_WORDS = {
  optional: 'optional',
  choose: 'Choose…',
  any: 'Any',
  utc: 'In UTC.',
  between: (/** @type {string} */ min, /** @type {string} */ max) => `From ${min} to ${max}.`,
  least: (/** @type {string} */ min) => `At least ${min}.`,
  most: (/** @type {string} */ max) => `At most ${max}.`,
  lines: 'One a line.',
  all: 'All',
  none: 'None',
  allOf: (/** @type {string} */ label) => `All or none of ${label}`,
};

/** @typedef {typeof FIELD_WORDS} FieldWords */

/**
 * Makes the field of a parameter from its schema.
 * @param {string} name
 * @param {ParamSchema} schema
 * @param {boolean} required
 * @param {unknown} value What stands in it at first.
 * @param {FieldWords} [words]
 * @returns {Field}
 */
export function paramField(name, schema, required, value, words = FIELD_WORDS) {
  const what = kindOf(schema);
  const label = schema.title ?? name;
  const hint = hintOf(schema, what, words);
  if (what.list && what.kind === 'choice') {
    const choices = what.schema.items?.enum ?? [];
    return choicesField(name, { label, hint, choices, chosen: Array.isArray(value) ? value.map(String) : [], words });
  }
  const control = makeControl(what, required, value, words);
  const optional = what.optional && !required && words.optional;
  const field = wrap(name, { label, hint, optional, control, beside: what.kind === 'boolean' });
  return { ...field, read: () => readControl(control, what) };
}

/** @param {ParamSchema} schema @param {ReturnType<typeof kindOf>} what @param {FieldWords} words */
function hintOf(schema, what, words) {
  const inner = what.list ? (what.schema.items ?? {}) : what.schema;
  const min = inner.minimum ?? inner['x-minimum'];
  const max = inner.maximum ?? inner['x-maximum'];
  const parts = [schema.description?.replaceAll('`', '')];
  if (what.kind === 'timestamp') parts.push(words.utc);
  else if (what.kind !== 'date' && min !== undefined && max !== undefined) parts.push(words.between(grouped(min), grouped(max)));
  else if (what.kind !== 'date' && min !== undefined) parts.push(words.least(grouped(min)));
  else if (what.kind !== 'date' && max !== undefined) parts.push(words.most(grouped(max)));
  if (what.list && what.kind !== 'choice') parts.push(words.lines);
  return parts.filter(Boolean).join(' ');
}

/**
 * @param {ReturnType<typeof kindOf>} what
 * @param {boolean} required
 * @param {unknown} value
 * @param {FieldWords} words
 * @returns {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement}
 */
function makeControl(what, required, value, words) {
  const { kind, schema } = what;
  if (what.list) {
    const area = h('textarea', { rows: 4, spellcheck: 'false' });
    area.value = Array.isArray(value) ? value.join('\n') : '';
    return area;
  }
  if (kind === 'choice') {
    const first = h('option', { value: '' }, required ? words.choose : words.any);
    const select = h('select', null, required && value !== undefined && value !== null ? null : first, (schema.enum ?? []).map((one) => h('option', { value: one }, one)));
    select.value = value === undefined || value === null ? '' : String(value);
    return select;
  }
  /** @type {Record<string, unknown>} */
  const attributes = { autocomplete: 'off', ...ATTRIBUTES[kind] };
  if (kind === 'integer' || kind === 'date') {
    attributes.min = schema.minimum ?? schema['x-minimum'];
    attributes.max = schema.maximum ?? schema['x-maximum'];
  }
  if (kind === 'string' && schema.maxLength) attributes.maxlength = schema.maxLength;
  if (schema.writeOnly) attributes.type = 'password';
  const input = h('input', attributes);
  if (kind === 'boolean') input.checked = value === true;
  else if (kind === 'timestamp') input.value = typeof value === 'string' ? new Date(value).toISOString().slice(0, 19) : '';
  else input.value = value === undefined || value === null ? '' : String(value);
  return input;
}

/** @type {Record<string, Record<string, string>>} */
const ATTRIBUTES = {
  boolean: { type: 'checkbox' },
  date: { type: 'date' },
  timestamp: { type: 'datetime-local', step: '1' },
  integer: { type: 'number', step: '1', inputmode: 'numeric' },
  decimal: { type: 'text', inputmode: 'decimal' },
  string: { type: 'text' },
};

/**
 * @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} control
 * @param {ReturnType<typeof kindOf>} what
 */
function readControl(control, what) {
  if (what.kind === 'boolean' && control instanceof HTMLInputElement) return control.checked;
  const text = what.kind === 'string' ? control.value : control.value.trim();
  if (what.list) {
    const lines = text.split('\n').map((line) => line.trim()).filter(Boolean);
    return lines.length > 0 ? lines.map((line) => (what.kind === 'integer' ? number(line) : line)) : undefined;
  }
  // A browser that cannot make sense of what was typed says nothing; the gateway then says that it is required.
  if (text === '') return what.optional ? null : undefined;
  if (what.kind === 'integer') return number(text);
  if (what.kind === 'timestamp') return `${text.length === 16 ? `${text}:00` : text}Z`;
  return text;
}

/** What is no number goes as it is: the gateway says so better. @param {string} text */
function number(text) {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

/**
 * A label, a hint and a place for what is wrong, around a control.
 * @param {string} name
 * @param {{label: string, hint?: string, optional?: string | false, beside?: boolean, control: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement}} parts
 */
export function wrap(name, { label, hint, optional, beside, control }) {
  const id = `field-${name}`;
  control.id = id;
  control.setAttribute('name', name);
  const error = h('p.wrong', { id: `${id}-wrong` });
  const text = h('label', { for: id }, label, optional && h('span.quiet', null, ` ${optional}`));
  const element = h(beside ? 'div.field.beside' : 'div.field', null, beside ? [control, text] : [text, control],
    hint && h('p.hint', { id: `${id}-hint` }, hint), error);
  describe(control, [hint && `${id}-hint`]);
  const complain = (/** @type {string | null} */ problem) => {
    fill(error, problem);
    if (problem) control.setAttribute('aria-invalid', 'true');
    else control.removeAttribute('aria-invalid');
    describe(control, [hint && `${id}-hint`, problem && `${id}-wrong`]);
  };
  control.addEventListener('input', () => complain(null));
  return { element, complain, focus: () => control.focus() };
}

/** @param {Element} control @param {(string | false | null | undefined)[]} ids */
function describe(control, ids) {
  const there = ids.filter(Boolean).join(' ');
  if (there) control.setAttribute('aria-describedby', there);
  else control.removeAttribute('aria-describedby');
}

/**
 * Any number of several choices.
 * @param {string} name
 * @param {{label: string, hint?: string, choices: string[], chosen: string[], caption?: (choice: string) => string, words?: FieldWords}} parts
 * @returns {Field}
 */
export function choicesField(name, { label, hint, choices, chosen, caption = String, words = FIELD_WORDS }) {
  const id = `field-${name}`;
  const boxes = choices.map((choice) => h('input', { type: 'checkbox', name, value: choice }));
  for (const box of boxes) box.checked = chosen.includes(box.value);
  const error = h('p.wrong', { id: `${id}-wrong` });
  const all = h('button.link', { type: 'button' });
  const say = () => (all.textContent = boxes.every((box) => box.checked) ? words.none : words.all);
  all.setAttribute('aria-label', words.allOf(label));
  all.addEventListener('click', () => {
    const check = !boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = check;
    element.dispatchEvent(new Event('input'));
  });
  const element = h('fieldset.field', { id, 'aria-describedby': [hint && `${id}-hint`, `${id}-wrong`].filter(Boolean).join(' ') },
    h('legend', null, label),
    h('div.pills', null, boxes.map((box) => h('label.pill', null, box, h('span', null, caption(box.value)))), choices.length > 3 && all),
    hint && h('p.hint', { id: `${id}-hint` }, hint), error);
  const complain = (/** @type {string | null} */ problem) => {
    fill(error, problem);
    element.toggleAttribute('data-wrong', problem !== null);
  };
  element.addEventListener('input', () => {
    say();
    complain(null);
  });
  say();
  return { element, complain, focus: () => boxes[0]?.focus(), read: () => boxes.filter((box) => box.checked).map((box) => box.value) };
}

/**
 * Shows each error of a problem at its field. Returns those that no field is for.
 * @param {{pointer: string, detail: string}[]} errors
 * @param {(path: string[]) => Field | undefined} find
 */
export function placeErrors(errors, find) {
  /** @type {Map<Field, string[]>} */
  const placed = new Map();
  const left = [];
  for (const { pointer, detail } of errors) {
    const path = pointer.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    const field = find(path);
    if (field) placed.set(field, [...(placed.get(field) ?? []), detail]);
    else left.push(`${pointer} ${detail}`);
  }
  for (const [field, details] of placed) field.complain(sentence([...new Set(details)].join('; ')));
  const first = [...placed.keys()].sort((a, b) => (a.element.compareDocumentPosition(b.element) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1))[0];
  first?.focus();
  return left;
}

/** @param {string} text */
function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** How long files are kept. @param {number} seconds */
export const kept = (seconds) => `Kept for ${period(seconds)}`;
