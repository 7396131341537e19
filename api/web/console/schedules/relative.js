/**
 * @import { ParamSchema } from '../../sdk/shapes.js'
 * @import { Field } from '../form.js'
 * @import { ScheduleWriter } from './writer.js'
 */
import { paramField } from '../form.js';
import { h } from '../dom.js';
import { kindOf } from '../words.js';
import { readSpan } from './writer.js';

/**
 * The field of a parameter in a schedule: dates, points in time and lists of months may be told from when it runs.
 * @param {ScheduleWriter} writer
 * @param {string} name
 * @param {ParamSchema} schema
 * @param {boolean} required
 * @param {unknown} value
 * @returns {Field}
 */
export function scheduledField(writer, name, schema, required, value) {
  const given = /** @type {any} */ (value)?.relative ? /** @type {import('./writer.js').RelativeValue} */ (value) : null;
  const fixed = paramField(name, schema, required, given ? undefined : value, writer.words.fields);
  const what = kindOf(schema);
  const able = what.list ? ['date', 'string'] : ['date', 'timestamp'];
  if (!able.includes(what.kind)) return fixed;

  const { words } = writer;
  const named = (/** @type {string} */ part) => ({ 'aria-label': `${schema.title ?? name}: ${part}` });
  const anchors = Object.keys(words.relative).filter((one) => (one === 'last_months') === what.list && (one !== 'now' || what.kind === 'timestamp'));
  const anchor = h('select', { ...named(words.which), id: `field-${name}-relative` }, h('option', { value: '' }, words.fixed), anchors.map((one) => h('option', { value: one }, words.relative[one])));
  anchor.value = given?.relative ?? '';
  const shift = shiftOf(writer, named, what.kind, given);
  const count = h('input', { type: 'number', min: 1, max: 120, ...named(words.months) });
  count.value = String(given?.count ?? 3);

  const { element } = fixed;
  const label = /** @type {HTMLLabelElement} */ (element.querySelector('label'));
  const control = /** @type {HTMLElement} */ (element.querySelector('[name]'));
  const show = () => {
    const relative = anchor.value !== '';
    control.hidden = relative;
    shift.element.hidden = !relative || what.list;
    count.hidden = !relative || !what.list;
    label.htmlFor = relative ? anchor.id : control.id;
  };
  anchor.addEventListener('change', show);
  element.addEventListener('change', () => fixed.complain(null));
  label.after(anchor, what.list ? count : shift.element);
  element.classList.add('relative');
  show();
  const read = () => {
    if (anchor.value === '') return fixed.read();
    return what.list ? { relative: anchor.value, count: Number(count.value) } : { relative: anchor.value, ...shift.read() };
  };
  return { ...fixed, read, focus: () => (anchor.value === '' ? fixed.focus() : anchor.focus()) };
}

/**
 * How far from it.
 * @param {ScheduleWriter} writer
 * @param {(part: string) => Record<string, string>} named
 * @param {string} kind
 * @param {import('./writer.js').RelativeValue | null} given
 */
function shiftOf({ words }, named, kind, given) {
  const { number, unit } = readSpan(given?.minus ?? given?.plus ?? '1 month');
  const direction = h('select', named(words.shift), h('option', { value: '' }, words.exactly), h('option', { value: 'minus' }, words.minus), h('option', { value: 'plus' }, words.plus));
  direction.value = given?.minus ? 'minus' : given?.plus ? 'plus' : '';
  const amount = h('input', { type: 'number', min: 0, max: 10_000, ...named(words.number) });
  amount.value = String(number);
  const units = Object.entries(words.units).filter(([one]) => kind === 'timestamp' || (one !== 'hour' && one !== 'minute'));
  const select = h('select', named(words.unit), units.map(([one, [, many]]) => h('option', { value: one }, many)));
  select.value = unit;
  const show = () => {
    amount.hidden = direction.value === '';
    select.hidden = direction.value === '';
  };
  direction.addEventListener('change', show);
  show();
  const read = () => (direction.value === '' ? {} : { [direction.value]: `${amount.value} ${select.value}${amount.value === '1' ? '' : 's'}` });
  return { element: h('div.shift', null, direction, amount, select), read };
}
