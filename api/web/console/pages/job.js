/**
 * @import { Context } from '../app.js'
 * @import { Artifact, Job, JobEvent, Link, Refusal, Report } from '../../sdk/shapes.js'
 */
import { Problem, isFinal } from '../../sdk/index.js';
import { fill, h, icon } from '../dom.js';
import { badge, bar, fileAddress, isExpired, setBar } from '../job_line.js';
import { ask, complain, copy, failure, loading, nothing, notify } from '../notice.js';
import { ToldView } from './deliveries.js';
import { clicks } from './link.js';
import { PreviewView } from './preview.js';
import { EVENTS, advice, arriving, bytes, count, doing, duration, exactly, fromSnake, plural, rowsOf, shown, took, when } from '../words.js';

/**
 * One job: how far it is, what came of it, and how it got there.
 * @param {Context} context
 */
export function job(context) {
  const [id] = context.path;
  const place = h('div', null, loading());
  context.title('Job');
  const load = async () => {
    try {
      const job = await context.client.job(id, { signal: context.signal });
      if (!context.reports.has(job.report)) await context.client.report(job.report).then((report) => context.reports.set(report.name, report), () => {});
      context.live.put(job);
      const view = new JobPage(job, context);
      fill(place, view.element);
      context.live.onJob((now) => now.id === id && view.show(now), context.signal);
      context.live.onEvent((event) => event.data.job_id === id && view.happened(event), context.signal);
      context.live.onResync(() => context.live.refresh(id), context.signal);
      // It may have moved while the page was made.
      context.live.refresh(id);
    } catch (error) {
      if (context.signal.aborted) return;
      if (error instanceof Problem && error.status === 404) {
        context.title('No such job');
        fill(place, nothing('No job of yours has this address', 'It may belong to somebody else, or the address is cut off.', h('a.button.primary', { href: '/jobs' }, 'Your jobs')));
      } else fill(place, failure(error, load));
    }
  };
  load();
  return place;
}

class JobPage {
  #now = /** @type {Job | null} */ (null);
  #state = '';
  #acting = '';
  #timeline;
  #progress;
  #preview;
  #told;
  #result = h('div', { 'aria-live': 'polite' });
  #badge = h('span');
  #times = h('p.quiet');
  #buttons = h('div.buttons');

  /**
   * @param {Job} job
   * @param {Context} context
   */
  constructor(job, context) {
    this.context = context;
    this.report = context.reports.get(job.report);
    this.title = this.report?.title ?? fromSnake(job.report.replaceAll('-', '_'));
    this.#timeline = new Timeline(job.served === 'warm');
    this.#progress = new ProgressView(this.title);
    this.#preview = new PreviewView(job.id, context);
    this.#told = new ToldView(job.id, context);
    this.element = h('div', null,
      h('nav.crumbs', { 'aria-label': 'Where you are' }, h('a', { href: '/jobs' }, 'Jobs'), h('span', { 'aria-hidden': 'true' }, '/'), h('span', { 'aria-current': 'page' }, this.title)),
      h('div.head', null, h('div', null, h('h1', null, this.title), h('p.under', null, this.#badge, this.#times)), this.#buttons),
      h('div.columns', null, h('div', null, this.#progress.element, this.#result, this.#told.element, this.#preview.element, params(job, this.report)),
        h('aside', null, h('section.panel', null, h('h2', null, 'What happened'), this.#timeline.element), about(job))));
    this.show(job);
    this.#history(job.id);
    // Times come nearer although nothing is said.
    const timer = setInterval(() => this.#now && !isFinal(this.#now) && this.#progress.show(this.#now), 1000);
    context.signal.addEventListener('abort', () => clearInterval(timer));
  }

  /** Reads what happened before this page was there; what happens from now on comes by the feed. @param {string} id */
  async #history(id) {
    const controller = new AbortController();
    const { signal } = controller;
    this.context.signal.addEventListener('abort', () => controller.abort());
    let idle = setTimeout(() => controller.abort(), 5000);
    try {
      for await (const event of this.context.client.watch(id, { signal })) {
        if (event.name === 'progress') break;
        this.#timeline.add(event);
        clearTimeout(idle);
        idle = setTimeout(() => controller.abort(), 500);
      }
    } catch {
      // The page says without it what there is to say.
    }
  }

  /** @param {JobEvent} event */
  happened(event) {
    this.#timeline.add(event);
  }

  /** @param {Job} job */
  show(job) {
    this.#now = job;
    this.#progress.show(job);
    this.#preview.show(job);
    const percent = job.state === 'processing' && job.progress.percent !== null ? `${Math.floor(job.progress.percent)} % · ` : '';
    this.context.title(job.state === 'done' ? `✓ ${this.title}` : `${percent}${this.title}`);
    const state = `${job.state} ${job.attempt}`;
    if (state === this.#state) return;
    this.#state = state;
    fill(this.#badge, badge(job.state));
    const time = took(job);
    fill(this.#times, 'Submitted ', h('time', { datetime: job.created_at, title: exactly(job.created_at) }, when(job.created_at)), job.state === 'done' && time && ` · made in ${time}`);
    // A button that stays is not made anew: it may have the focus, or have opened a question.
    const acting = isFinal(job) ? job.state : 'running';
    if (acting !== this.#acting) fill(this.#buttons, this.#actions(job));
    this.#acting = acting;
    fill(this.#result, this.#outcome(job));
    this.#told.show(job);
  }

  /** @param {Job} job */
  #actions(job) {
    if (!this.context.session.scopes?.includes('write')) return [];
    const change = this.report && h('a.button', { href: `/reports/${encodeURIComponent(job.report)}?from=${job.id}` }, 'Change and make');
    if (!isFinal(job)) return [h('button.button', { type: 'button', onclick: () => this.#cancel(job) }, icon('stop'), 'Cancel')];
    if (job.state === 'failed') return [change, h('button.button.primary', { type: 'button', onclick: () => this.#replay(job) }, icon('repeat'), 'Try again')];
    const hidden = Object.values(job.params).includes('(hidden)');
    return [change, this.report && !hidden && h('button.button', { type: 'button', onclick: () => this.#again(job) }, icon('repeat'), 'Make again')];
  }

  /** @param {Job} job */
  #outcome(job) {
    if (job.state === 'done') {
      const links = this.context.client.links(job.id).catch(() => []);
      return h('section', { 'aria-label': 'Files' }, job.artifacts.map((artifact) => file(job, artifact, this.context, links)), (job.refused ?? []).map(missing), this.#further(job));
    }
    if (job.state === 'cancelled') return h('section.panel.said', null, h('h2', null, 'Cancelled'), h('p', null, 'Nothing was kept, and nobody was told.'));
    if (!job.error || (job.state !== 'failed' && job.state !== 'retrying')) return null;
    const failed = job.state === 'failed';
    return h('section.panel.said', { 'data-tone': failed ? 'bad' : 'wait' }, h('h2', null, icon('alert'), job.error.title), h('p', null, job.error.detail),
      failed && h('p', null, h('strong', null, 'What to do'), h('br'), advice(job.error.type)));
  }

  /** @param {Job} job */
  async #cancel(job) {
    const sure = await ask({ title: 'Cancel this job?', text: 'The query is stopped, and what was made so far is thrown away.', yes: 'Cancel the job', no: 'Let it go on' });
    if (!sure) return;
    await this.#change(() => this.context.client.cancel(job.id));
  }

  /** @param {Job} job */
  #replay(job) {
    return this.#change(() => this.context.client.replay(job.id));
  }

  /** @param {Job} job */
  #further(job) {
    const kept = job.artifacts.find(({ format }) => format === 'parquet');
    const more = this.report?.formats.filter((format) => !job.formats.includes(format));
    if (!kept?.complete || isExpired(kept) || !more?.length || !this.context.session.scopes?.includes('write')) return;
    return h('div.buttons', null, h('span.quiet', null, 'Also as'), more.map((format) => h('button.button', { type: 'button', onclick: () => this.#make(() => this.context.client.formats(job.id, [format])) }, nameOf(format))));
  }

  /** @param {Job} job */
  #again(job) {
    return this.#make(() => this.context.client.submit({ report: job.report, params: job.params, formats: job.formats, on_refusal: job.on_refusal, reuse: { max_age: 0 } }));
  }

  /** @param {() => Promise<Job>} call */
  async #make(call) {
    try {
      const again = await call();
      this.context.live.put(again);
      this.context.go(`/jobs/${again.id}`);
    } catch (error) {
      complain(error);
    }
  }

  /** @param {() => Promise<Job>} call */
  async #change(call) {
    try {
      this.context.live.put(await call());
    } catch (error) {
      complain(error);
      if (this.context.path[0]) this.context.live.refresh(this.context.path[0]);
    }
  }
}

/** The steps of a job that runs, and how far it is. */
class ProgressView {
  #steps = ['Waiting', 'Starting', 'Reading', 'Storing'].map((name) => h('li', null, h('span', null, name)));
  #bar = /** @type {HTMLProgressElement | null} */ (null);
  #said = h('p.rows');
  #left = h('p.quiet');
  #begun = /** @type {{attempt: number, at: number, rows: number} | null} */ (null);

  /** @param {string} title */
  constructor(title) {
    this.title = title;
    this.element = h('section.panel.progress', { 'aria-label': 'Progress' });
  }

  /** @param {Job} job */
  show(job) {
    this.element.hidden = isFinal(job);
    if (isFinal(job)) return;
    if (!this.#bar) {
      this.#bar = bar(job, this.title);
      fill(this.element, h('ol.steps', { 'aria-label': 'Steps' }, this.#steps), this.#bar, h('div.head.small', null, this.#said, this.#left));
    }
    setBar(this.#bar, job);
    const phases = ['waiting', 'starting', 'reading', 'storing'];
    const now = job.state === 'processing' ? Math.max(1, phases.indexOf(job.progress.phase === 'finished' ? 'storing' : job.progress.phase)) : 0;
    for (const [index, step] of this.#steps.entries()) {
      step.dataset.step = index < now ? 'past' : index === now ? 'now' : 'next';
      if (index === now) step.setAttribute('aria-current', 'step');
      else step.removeAttribute('aria-current');
    }
    this.#said.textContent = job.state === 'processing' && job.progress.phase === 'reading' ? rowsOf(job.progress) : doing(job);
    this.#left.textContent = [job.progress.bytes > 0 && now > 1 ? bytes(job.progress.bytes) : '', arriving(job) || this.#timeLeft(job)].filter(Boolean).join(' · ');
  }

  /**
   * Says nothing unless the number of rows is known and the speed was seen for a while.
   * @param {Job} job
   */
  #timeLeft({ state, attempt, progress }) {
    if (state !== 'processing' || progress.phase !== 'reading') return '';
    if (this.#begun?.attempt !== attempt) this.#begun = { attempt, at: Date.now(), rows: progress.rows };
    const passed = Date.now() - this.#begun.at;
    const speed = (progress.rows - this.#begun.rows) / passed;
    if (progress.total_rows === null || passed < 1500 || !(speed > 0)) return '';
    return `about ${duration(Math.max(1000, Math.ceil((progress.total_rows - progress.rows) / speed / 1000) * 1000)).replace('.0', '')} left`;
  }
}

/** Events by number, each once, whichever way they came. */
class Timeline {
  element = h('ol.timeline');
  #events = /** @type {Map<number, JobEvent>} */ (new Map());

  /** @param {boolean} warm No worker had to run. */
  constructor(warm) {
    this.warm = warm;
  }

  /** @param {JobEvent} event */
  add(event) {
    const { seq } = event.data;
    if (seq === undefined || this.#events.has(seq) || (this.warm && event.name === 'started')) return;
    this.#events.set(seq, event);
    const ordered = [...this.#events.values()].sort((a, b) => (b.data.seq ?? 0) - (a.data.seq ?? 0));
    fill(this.element, ordered.map((one) => h('li', { 'data-event': one.name },
      h('strong', null, EVENTS[one.name] ?? fromSnake(one.name), one.data.attempt > 1 && one.name === 'started' && ` · attempt ${one.data.attempt}`),
      h('time.quiet', { datetime: one.time, title: exactly(one.time) }, when(one.time)), one.data.error && h('p.quiet', null, one.data.error.detail))));
  }
}

/**
 * @param {Job} job
 * @param {Report | undefined} report
 */
function params(job, report) {
  const order = report?.params['x-order'] ?? [];
  const given = Object.entries(job.params).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  if (given.length === 0) return null;
  return h('section.panel', null, h('h2', null, 'Parameters'), h('dl.facts', null, given.map(([name, value]) => {
    const schema = report?.params.properties[name];
    return h('div', null, h('dt', null, schema?.title ?? fromSnake(name)), h('dd', null, shown(value, schema)));
  })));
}

/** @param {Job} job */
function about(job) {
  const id = h('button.link', { type: 'button', onclick: () => copy(job.id, 'Id') }, 'Copy');
  return h('section.panel', null, h('h2', null, 'About'), h('dl.facts', null,
    h('div', null, h('dt', null, 'Id'), h('dd', null, h('code', null, job.id), ' ', id)),
    h('div', null, h('dt', null, 'Report'), h('dd', null, h('a', { href: `/reports/${encodeURIComponent(job.report)}` }, job.report))),
    h('div', null, h('dt', null, 'Version'), h('dd', null, h('code', { title: job.report_version }, job.report_version.replace('sha256:', '').slice(0, 12)))),
    h('div', null, h('dt', null, 'Formats'), h('dd', null, job.formats.join(', '))),
    job.made_from ? h('div', null, h('dt', null, 'Made from'), h('dd', null, h('a', { href: `/jobs/${job.made_from}` }, 'the Parquet file of an earlier job'))) : null,
    SERVED[job.served] ? h('div', null, h('dt', null, 'Run'), h('dd', null, SERVED[job.served])) : null));
}

/**
 * A format that has no file, and why.
 * @param {Refusal} refusal
 */
function missing({ format, problem }) {
  return h('article.panel.said', { 'data-tone': 'bad', 'data-missing': format }, h('h2', null, icon('alert'), `There is no ${nameOf(format)} file`),
    h('p', null, problem.detail), h('p', null, 'The other files are not affected.'));
}

/** What people call a format. @param {string} format */
const nameOf = (format) => (format === 'xlsx' ? 'Excel' : format.toUpperCase());

/** @type {Record<string, string>} */
const SERVED = {
  warm: 'None: the files of an identical job were fresh enough',
  joined: 'Shared with an identical job that was under way',
};

/**
 * One file, what can be done with it, and its receipt.
 * @param {Job} job
 * @param {Artifact} artifact
 * @param {Context} context
 * @param {Promise<Link[]>} links
 */
function file(job, artifact, context, links) {
  const expired = isExpired(artifact);
  const link = h('button.button', { type: 'button', onclick: () => copy(artifact.link, 'Link') }, icon('link'), 'Copy link');
  const revoke = h('button.link', { type: 'button' }, 'Revoke the link');
  const revoked = () => {
    link.remove();
    revoke.replaceWith(h('span.quiet', null, 'The link is revoked.'));
  };
  const used = h('span');
  links.then((all) => {
    const known = all.find(({ format }) => format === artifact.format);
    if (known) used.replaceWith(clicks(known));
    if (known?.state === 'revoked') revoked();
  });
  revoke.addEventListener('click', async () => {
    const sure = await ask({ title: 'Revoke the link?', text: 'Whoever got it, by mail or from you, cannot open it any more. You can still download the file here.', yes: 'Revoke it', no: 'Keep it' });
    if (!sure) return;
    try {
      await context.client.revokeLink(job.id, artifact.format);
      revoked();
      notify({ title: 'The link is revoked', tone: 'good' });
    } catch (error) {
      complain(error);
    }
  });
  const rows = h('div.receipt');
  const receipt = h('details', null, h('summary', null, 'Receipt'), rows);
  receipt.addEventListener('toggle', () => receipt.open && rows.childElementCount === 0 && showReceipt(rows, job, artifact, context));
  return h('article.panel.file', { 'data-expired': expired },
    h('div.paper', { 'aria-hidden': 'true' }, artifact.format),
    h('div', null, h('h2', null, artifact.filename),
      h('p.quiet', null, `${plural(artifact.rows, 'row')} · ${bytes(artifact.bytes)} · `, h('span', { title: exactly(artifact.expires_at) }, expired ? `gone since ${when(artifact.expires_at)}` : `kept until ${when(artifact.expires_at)}`)),
      !artifact.complete && h('p.warning', null, icon('alert'), 'Rows are missing: a limit of the report cut this file.')),
    expired ? h('p', null, 'The file is no longer kept. Make it again.')
      : h('div.buttons', null, h('a.button.primary.large', { href: fileAddress(job, artifact.format), download: artifact.filename, 'aria-label': `Download ${artifact.filename}` }, icon('download'), 'Download'), link),
    h('div.foot', null, receipt, used, !expired && context.session.scopes?.includes('write') && revoke));
}

/**
 * @param {HTMLElement} place
 * @param {Job} job
 * @param {Artifact} artifact
 * @param {Context} context
 */
async function showReceipt(place, job, artifact, context) {
  fill(place, loading(2));
  try {
    const receipt = await context.client.receipt(job.id, artifact.format);
    const facts = /** @type {[string, string | HTMLElement][]} */ ([
      ['SHA-256', h('span', null, h('code', null, receipt.sha256), ' ', h('button.link', { type: 'button', onclick: () => copy(receipt.sha256, 'SHA-256') }, 'Copy'))],
      ['Rows', `${count(receipt.rows)}, ${receipt.complete ? 'every one that the report selects' : 'not all'}`],
      ['Size', `${count(receipt.bytes)} bytes`],
      ['Data as of', exactly(receipt.snapshot_at)],
      ['Finished', exactly(receipt.created_at)],
      ['Report version', h('code', null, receipt.report_version)],
    ]);
    fill(place, h('dl.facts', null, facts.map(([term, fact]) => h('div', null, h('dt', null, term), h('dd', null, fact)))));
  } catch (error) {
    fill(place, failure(error, () => showReceipt(place, job, artifact, context)));
  }
}
