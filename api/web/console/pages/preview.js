/**
 * @import { Context } from '../app.js'
 * @import { Job, Preview } from '../../sdk/shapes.js'
 */
import { Problem, isFinal } from '../../sdk/index.js';
import { fill, h } from '../dom.js';

const SHOWN = 20;

/** The first rows of a job, as soon as the worker has read some. */
export class PreviewView {
  element = h('section.panel.preview', { hidden: true, 'aria-label': 'First rows' });
  #attempt = -1;
  #timer = 0;

  /**
   * @param {string} id
   * @param {Context} context
   */
  constructor(id, context) {
    this.id = id;
    this.context = context;
    context.signal.addEventListener('abort', () => clearTimeout(this.#timer));
  }

  /** Each attempt starts anew. What failed or was cancelled has nothing to show. @param {Job} job */
  show(job) {
    if (job.state === 'failed' || job.state === 'cancelled') this.element.hidden = true;
    if (!['processing', 'done'].includes(job.state) || job.attempt === this.#attempt) return;
    this.#attempt = job.attempt;
    clearTimeout(this.#timer);
    this.#ask(isFinal(job));
  }

  /** @param {boolean} last Whether there will be no more. */
  async #ask(last) {
    const attempt = this.#attempt;
    let enough = last;
    try {
      const preview = await this.context.client.preview(this.id, { signal: this.context.signal });
      if (attempt !== this.#attempt) return;
      this.#draw(preview);
      // The rows that a query gives at once may be few.
      enough ||= preview.complete || preview.rows.length >= SHOWN;
    } catch (error) {
      // Without `Retry-After` there will be none.
      if (error instanceof Problem && error.status === 404) enough ||= error.retryAfter === null;
    }
    if (enough || attempt !== this.#attempt || this.context.signal.aborted) return;
    this.#timer = setTimeout(() => {
      const job = this.context.live.get(this.id);
      this.#ask(job !== undefined && isFinal(job));
    }, 1500);
  }

  /** @param {Preview} preview */
  #draw({ columns, rows, complete }) {
    const shown = rows.slice(0, SHOWN);
    const numeric = columns.map(({ type }) => type === 'integer' || type === 'number');
    const cell = (/** @type {unknown} */ value, /** @type {number} */ at) =>
      h('td', { class: numeric[at] ? 'number' : '' }, value === null ? h('span.quiet', null, '–') : typeof value === 'object' ? JSON.stringify(value) : String(value));
    const said = rows.length === 0 ? 'There are no rows.' : complete && shown.length === rows.length ? 'These are all the rows.' : `The first ${shown.length}, as they were read.`;
    fill(this.element, h('h2', null, 'First rows'), h('div.scroll', { tabindex: '0', role: 'region', 'aria-label': 'Table of the first rows' },
      h('table', null, h('thead', null, h('tr', null, columns.map(({ name }, at) => h('th', { scope: 'col', class: numeric[at] ? 'number' : '' }, name)))),
        h('tbody', null, shown.map((row) => h('tr', null, row.map(cell)))))), h('p.quiet', null, said));
    this.element.hidden = false;
  }
}
