/** @import { Link } from '../../sdk/shapes.js' */
import { h } from '../dom.js';
import { exactly, plural, when } from '../words.js';

/** @type {Record<string, string>} */
const DID = { view: 'Looked at', download: 'Downloaded' };

/** @type {Record<string, string>} */
const BY = { browser: 'in a browser', program: 'by a program', scanner: 'by a mail scanner, not counted' };

/**
 * How often a link was used, and by whom.
 * @param {Link} link
 */
export function clicks({ downloads, views, clicks }) {
  const said = downloads > 0 ? `Link used: ${plural(downloads, 'download')}` : views > 0 ? `Link opened: ${plural(views, 'view')}` : 'Link not used yet';
  if (clicks.length === 0) return h('span.quiet', null, said);
  return h('details', null, h('summary', null, said), h('ul.plain-list', null, clicks.map(({ at, kind, agent, principal }) =>
    h('li', null, h('time.quiet', { datetime: at, title: exactly(at) }, when(at)), h('span', null, `${DID[kind] ?? kind} ${BY[agent] ?? agent}`), principal && h('span.quiet', null, principal)))));
}
