/**
 * @import { Schedule } from '../../sdk/shapes.js'
 * @import { Place } from './pages.js'
 */
import { fill, h, table } from '../dom.js';
import { complain, nothing } from '../notice.js';
import { head, whoseOf } from './pages.js';

const PAGE = 25;
/** A browser has six connections to a gateway, and the stream holds one. */
const AT_ONCE = 3;

/**
 * All schedules, oldest first.
 * @param {Place} place
 */
export async function listPage(place) {
  const { context, schedules, writer } = place;
  const { words } = writer;
  context.title(words.title);
  const of = whoseOf(context);
  const rows = h('div');
  const end = h('div.more');
  /** @type {Schedule[]} */
  const known = [];
  /** @type {Map<string, HTMLElement>} Where the newest firing of each stands. */
  const last = new Map();
  const read = async (/** @type {string | undefined} */ cursor) => {
    const page = await schedules.list({ of, limit: PAGE, cursor });
    known.push(...page.schedules);
    for (const one of page.schedules) last.set(one.id, h('span', null, '…'));
    fill(rows, known.length === 0 ? empty(place) : listed(place, known, last));
    fill(end, page.next !== null && h('button.button', { type: 'button', onclick: () => read(page.next ?? undefined).catch(complain) }, words.more));
    tellLast(place, page.schedules, last);
  };
  await read(undefined);
  return h('div', null, head(place, 'list'), rows, end);
}

/** @param {Place} place */
function empty({ writer: { words } }) {
  return nothing(words.none, words.noneText, h('a.button.primary', { href: '/' }, words.reports));
}

/**
 * @param {Place} place
 * @param {Schedule[]} known
 * @param {Map<string, HTMLElement>} last
 */
function listed({ context, writer }, known, last) {
  const { words } = writer;
  const tenant = whoseOf(context) === 'tenant';
  const heads = [words.name, words.when, words.next, words.last, words.state, ...(tenant ? [words.owner] : [])];
  return table(words.title, heads, known.map((one) => {
    const name = writer.nameOf(one, context.reports);
    const report = context.reports.get(one.report)?.title ?? one.report;
    const cells = [
      h('div', null, h('a.title', { href: `/schedules/${one.id}` }, name), name !== report && h('p.quiet', null, report)),
      h('div', null, writer.sentence(one), one.sentence !== null && h('p.quiet', null, one.zone)),
      one.next ? h('div', null, writer.time(one.next), one.waiting && h('p.quiet', null, words.waiting)) : h('span.quiet', null, '–'),
      last.get(one.id) ?? null,
      h('div', null, writer.state(one), one.paused_why && h('p.quiet', null, words.pausedWhy[one.paused_why]), one.silent && h('p.warning', null, words.silent)),
    ];
    return tenant ? [...cells, one.owner] : cells;
  }));
}

/**
 * Says what became of the newest firing of each: that stands with the schedule itself.
 * @param {Place} place
 * @param {Schedule[]} some
 * @param {Map<string, HTMLElement>} last
 */
function tellLast({ context, schedules, writer }, some, last) {
  const left = [...some];
  const next = async () => {
    for (let one = left.shift(); one && !context.signal.aborted; one = left.shift()) {
      const cell = /** @type {HTMLElement} */ (last.get(one.id));
      const { schedule: { firings: [firing] } } = await schedules.read(one.id).catch(() => ({ schedule: { firings: [] } }));
      if (!firing) fill(cell, h('span.quiet', null, writer.words.never));
      else fill(cell, writer.outcome(firing, undefined), h('p.quiet', null, firing.nominal ? writer.nominal(firing.nominal) : writer.moment(firing.at, one.zone)));
    }
  };
  for (let lines = 0; lines < AT_ONCE; lines++) next();
}
