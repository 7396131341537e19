/**
 * @import { Job, Report } from '../sdk/shapes.js'
 */
import { isFinal } from '../sdk/index.js';
import { fill, h, icon, keep } from './dom.js';
import { STATES, arriving, bytes, doing, exactly, fromSnake, plural, summary, took, when } from './words.js';

/**
 * Where to fetch a file: on this origin, where the session is.
 * @param {Job} job
 * @param {string} format
 */
export const fileAddress = (job, format) => `/v1/jobs/${job.id}/artifacts/${format}`;

/** @param {{expires_at: string}} artifact */
export const isExpired = (artifact) => Date.parse(artifact.expires_at) < Date.now();

/** @param {Job['state']} state */
export function badge(state) {
  return h('span.badge', { 'data-state': state }, h('i', { 'aria-hidden': 'true' }), STATES[state]);
}

/**
 * How far a job is; moves without end while nobody knows.
 * @param {Job} job
 * @param {string} name
 */
export function bar(job, name) {
  const progress = h('progress', { max: 100, 'aria-label': name });
  setBar(progress, job);
  return progress;
}

/** @param {HTMLProgressElement} progress @param {Job} job */
export function setBar(progress, job) {
  const { percent } = job.progress;
  if (job.state === 'processing' && percent !== null) progress.value = percent;
  else progress.removeAttribute('value');
  progress.toggleAttribute('data-idle', job.state !== 'processing');
}

/**
 * Buttons that fetch the files of a job.
 * @param {Job} job
 * @param {boolean} [quiet]
 */
export function downloads(job, quiet = false) {
  const there = job.artifacts.filter((artifact) => !isExpired(artifact));
  if (there.length === 0) return [h('span.quiet', null, 'File no longer kept')];
  return there.map((artifact) =>
    h(quiet ? 'a.button' : 'a.button.primary', { href: fileAddress(job, artifact.format), download: artifact.filename, 'aria-label': `Download ${artifact.format.toUpperCase()}: ${artifact.filename}` },
      icon('download'), artifact.format.toUpperCase()));
}

/** A list of jobs whose lines move by themselves. */
export class JobList {
  #jobs = /** @type {Map<string, Job>} */ (new Map());
  #lines = /** @type {Map<string, (job: Job) => void>} */ (new Map());

  /**
   * @param {Map<string, Report>} reports
   * @param {string} label
   */
  constructor(reports, label) {
    this.reports = reports;
    this.element = h('ul.jobs', { 'aria-label': label });
  }

  get size() {
    return this.#jobs.size;
  }

  get jobs() {
    return [...this.#jobs.values()];
  }

  /** Ids sort by age. */
  get oldest() {
    return [...this.#jobs.keys()].sort()[0];
  }

  /** @param {Job[]} jobs Puts these in place of all others. */
  set(jobs) {
    this.#jobs.clear();
    this.add(jobs);
  }

  /** @param {Job[]} jobs */
  add(jobs) {
    for (const job of jobs) this.#jobs.set(job.id, job);
    const newest = [...this.#jobs.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
    keep(this.element, newest, (job) => job.id, (job) => this.#make(job));
    for (const job of newest) this.#lines.get(job.id)?.(job);
  }

  /** @param {string} id */
  remove(id) {
    this.#jobs.delete(id);
    this.add([]);
  }

  /** @param {string} id */
  has(id) {
    return this.#jobs.has(id);
  }

  /** @param {Job} job */
  #make(job) {
    const report = this.reports.get(job.report);
    const title = report?.title ?? fromSnake(job.report.replaceAll('-', '_'));
    const state = h('div.state');
    const detail = h('p.quiet');
    const end = h('div.end');
    const line = h('li.job', null, state,
      h('div.what', null, h('a.title', { href: `/jobs/${job.id}` }, title), h('p.quiet.clip', null, summary(job, report)), detail),
      h('time.quiet', { datetime: job.created_at, title: exactly(job.created_at) }, when(job.created_at)), end);
    let shown = '';
    /** @type {HTMLProgressElement | null} */
    let progress = null;
    this.#lines.set(job.id, (now) => {
      const said = isFinal(now) ? after(now) : [doing(now), arriving(now)].filter(Boolean).join(' · ');
      if (detail.textContent !== said) detail.textContent = said;
      if (progress && !isFinal(now)) setBar(progress, now);
      if (shown === now.state) return;
      shown = now.state;
      line.dataset.state = now.state;
      fill(state, badge(now.state));
      progress = isFinal(now) ? null : bar(now, title);
      fill(end, now.state === 'done' ? downloads(now, true) : progress);
    });
    return line;
  }
}

/** @param {Job} job */
function after(job) {
  const time = took(job);
  if (job.state === 'done') {
    const size = job.artifacts.reduce((sum, artifact) => sum + artifact.bytes, 0);
    return [plural(job.artifacts[0]?.rows ?? 0, 'row'), bytes(size), time && `in ${time}`].filter(Boolean).join(' · ');
  }
  if (job.state === 'failed') return job.error?.detail ?? 'Nobody knows why.';
  return time ? `Stopped after ${time}` : 'Before it started';
}
