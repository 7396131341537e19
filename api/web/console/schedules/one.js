/**
 * @import { Firing, Job, Recipient, ScheduleDetails } from '../../sdk/shapes.js'
 * @import { Place } from './pages.js'
 */
import { isFinal } from '../../sdk/index.js';
import { fill, h, icon, table } from '../dom.js';
import { downloads } from '../job_line.js';
import { ask, complain, explain, notify } from '../notice.js';

/** Firings that are shown at first, and more at a time: the job of each is read. */
const SHOWN = 10;

/**
 * One schedule: what comes of it, and what came.
 * @param {Place} place
 * @param {string} id
 */
export async function schedulePage(place, id) {
  const { context, schedules } = place;
  const { schedule, version } = await schedules.read(id);
  if (!context.reports.has(schedule.report)) await context.client.report(schedule.report).then((report) => context.reports.set(report.name, report), () => {});
  return new SchedulePage(place, schedule, version).element;
}

class SchedulePage {
  #place;
  #schedule;
  #version;
  #report;
  #name = h('h1');
  #crumb = h('span', { 'aria-current': 'page' });
  #under = h('div');
  #buttons = h('div.buttons');
  #upcoming = h('section.panel');
  #facts = h('aside');
  #firings;
  #actions = '';

  /** @param {Place} place @param {ScheduleDetails} schedule @param {string} version */
  constructor(place, schedule, version) {
    this.#place = place;
    this.#schedule = schedule;
    this.#version = version;
    this.#report = place.context.reports.get(schedule.report);
    this.#firings = new FiringsView(place, () => this.#reread());
    const { words } = place.writer;
    this.element = h('div', null,
      h('nav.crumbs', { 'aria-label': words.title }, h('a', { href: '/schedules' }, words.title), h('span', { 'aria-hidden': 'true' }, '/'), this.#crumb),
      h('div.head', null, h('div', null, this.#name, this.#under), this.#buttons),
      h('div.columns', null, h('div', null, this.#upcoming, this.#firings.element), this.#facts));
    this.#show();
  }

  async #reread() {
    const { context, schedules } = this.#place;
    const { schedule, version } = await schedules.read(this.#schedule.id);
    if (context.signal.aborted) return;
    this.#schedule = schedule;
    this.#version = version;
    this.#show();
  }

  #show() {
    const { context, writer } = this.#place;
    const { words } = writer;
    const schedule = this.#schedule;
    const name = writer.nameOf(schedule, context.reports);
    context.title(name);
    this.#name.textContent = name;
    this.#crumb.textContent = name;
    fill(this.#under, h('p.lead', null, writer.sentence(schedule), schedule.sentence !== null && ` · ${schedule.zone}`),
      h('p.under', null, writer.state(schedule), schedule.paused_why && h('span.quiet', null, words.pausedWhy[schedule.paused_why]),
        schedule.failures > 0 && h('span.warning', null, words.failures(writer.count(schedule.failures))), schedule.silent && h('span.warning', null, words.silent)));
    // A button that stays is not made anew: it may have the focus.
    const focused = this.#buttons.contains(document.activeElement) ? document.activeElement?.textContent : null;
    if (this.#actions !== schedule.state) {
      fill(this.#buttons, this.#makeButtons());
      if (focused) /** @type {HTMLElement | undefined} */ ([...this.#buttons.children].find((one) => one.textContent === words.pause || one.textContent === words.resume))?.focus();
    }
    this.#actions = schedule.state;
    this.#showUpcoming();
    this.#firings.show(schedule.firings, schedule.zone);
    fill(this.#facts, this.#params(), this.#people(), this.#settings());
  }

  #makeButtons() {
    const { context: { session }, writer: { words } } = this.#place;
    if (!session.scopes?.includes('write')) return [];
    const { id, state, origin } = this.#schedule;
    const button = (/** @type {string} */ text, /** @type {() => unknown} */ onclick, kind = /** @type {'button.button'} */ ('button.button')) => h(kind, { type: 'button', onclick }, text);
    const remove = button(words.remove, () => this.#remove());
    if (state === 'ended') return [remove];
    const pausing = state === 'active';
    const moving = [
      button(words.run, () => this.#run()),
      button(pausing ? words.pause : words.resume, () => this.#change({ paused: pausing }, pausing ? words.paused : words.active)),
    ];
    // What a file says is changed there.
    if (origin === 'catalogue') return moving;
    return [
      ...moving,
      h('a.button', { href: `/schedules/${id}/edit` }, words.edit),
      session.scopes.includes('admin') && button(words.hand, () => this.#handOver()),
      remove,
    ];
  }

  #showUpcoming() {
    const { writer } = this.#place;
    const { words } = writer;
    const { upcoming, state, waiting, sentence, when } = this.#schedule;
    const none = state === 'ended' ? words.endedText : state === 'paused' ? words.nextNone : sentence === null || when === 'on event' ? words.asked : words.over;
    const list = h('ol.upcoming', null, upcoming.map((one) => h('li', null, writer.time(one), Object.keys(one.params ?? {}).length > 0 && h('span.quiet', null, this.#told(one.params ?? {})))));
    fill(this.#upcoming, h('h2', null, words.nextTen), waiting && h('p.warning', null, words.waiting), upcoming.length > 0 ? list : h('p.quiet', null, none));
  }

  /** @param {Record<string, unknown>} params */
  #told(params) {
    return Object.entries(params).map(([name, value]) => `${this.#label(name)}: ${this.#place.writer.value(value, this.#report?.params.properties[name])}`).join(' · ');
  }

  /** @param {string} name */
  #label(name) {
    return this.#report?.params.properties[name]?.title ?? name;
  }

  #params() {
    const { writer } = this.#place;
    const { params, upcoming } = this.#schedule;
    const order = this.#report?.params['x-order'] ?? [];
    const next = upcoming[0]?.params ?? {};
    const given = Object.entries(params).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
    return panel(writer.words.params, given.length === 0 ? [h('p.quiet', null, writer.words.paramsNone)] : facts(given.map(([name, value]) => {
      const schema = this.#report?.params.properties[name];
      return [this.#label(name), h('span', null, writer.value(value, schema), name in next && h('span.then', null, writer.words.thenIs(writer.value(next[name], schema))))];
    })));
  }

  #people() {
    const { words } = this.#place.writer;
    const list = (/** @type {Recipient[]} */ some) => (some.length === 0 ? words.nobody : some.map(({ to }) => to).join(', '));
    const { notify: told, alert, owner } = this.#schedule;
    return panel(words.recipients, facts([[words.mails, list(told)], ...(alert ? [[words.alerts, list(alert)]] : []), [words.owner, owner]]));
  }

  #settings() {
    const { writer } = this.#place;
    const { words } = writer;
    const { report, formats, when, zone, name, calendar, on_holiday: onHoliday, starts_at: starts, ends_at: ends, on_empty: empty, overlap, catch_up: catchUp, within, alarm_after: alarm, pause_after: pauseAfter } = this.#schedule;
    return panel(words.settings, facts([
      [words.report, h('a', { href: `/reports/${encodeURIComponent(report)}` }, this.#report?.title ?? report)],
      ...(formats ? [[words.formats, formats.join(', ')]] : []),
      ...(when ? [[words.when, h('code', null, when)]] : []),
      [words.zone, zone],
      ...(name ? [[words.inCatalogue, h('code', null, name)]] : []),
      ...(calendar ? [[words.calendar, calendar], [words.holiday, words.holidayOf[onHoliday]]] : []),
      ...(starts ? [[words.starts, writer.moment(starts, zone)]] : []), ...(ends ? [[words.ends, writer.moment(ends, zone)]] : []),
      [words.empty, words.emptyOf[empty]], [words.overlap, words.overlapOf[overlap]], [words.catchUp, catchUp ?? ''],
      ...(within && !/^0/.test(within) ? [[words.within, within]] : []), ...(alarm ? [[words.alarm, alarm]] : []), [words.pauseAfter, writer.count(pauseAfter ?? 0)],
    ]));
  }

  /** @param {{paused: boolean} | {owner: string}} change @param {string} said */
  async #change(change, said) {
    const { schedules } = this.#place;
    try {
      await schedules.change(this.#schedule.id, change, this.#version);
      notify({ title: said, tone: 'good' });
    } catch (error) {
      complain(error);
    }
    await this.#reread().catch(complain);
  }

  async #run() {
    const { context, schedules, writer: { words } } = this.#place;
    try {
      const firing = await schedules.fire(this.#schedule.id);
      notify({ title: words.running, tone: 'good', action: firing.job ? h('a.link', { href: `/jobs/${firing.job}` }, words.show) : undefined });
      if (firing.job) context.live.refresh(firing.job);
    } catch (error) {
      complain(error);
    }
    await this.#reread().catch(complain);
  }

  async #remove() {
    const { context, schedules, writer: { words } } = this.#place;
    const sure = await ask({ title: words.removeTitle, text: words.removeText, yes: words.remove, no: words.keep });
    if (!sure) return;
    try {
      await schedules.remove(this.#schedule.id);
      notify({ title: words.removed, tone: 'good' });
      context.go('/schedules');
    } catch (error) {
      complain(error);
    }
  }

  /** What is wrong with the name is said beside it. */
  #handOver() {
    const { schedules, writer: { words, language } } = this.#place;
    const input = h('input', { id: 'owner', required: true, autocomplete: 'off', 'aria-describedby': 'owner-wrong' });
    const wrong = h('p.wrong', { id: 'owner-wrong', role: 'alert' });
    const close = h('button.button', { type: 'button', onclick: () => dialog.close() }, words.cancel);
    const dialog = h('dialog', { lang: language, 'aria-labelledby': 'hand-over' }, h('form', { novalidate: true },
      h('h2', { id: 'hand-over' }, words.hand), h('p', null, words.handText), h('div.field', null, h('label', { for: 'owner' }, words.handTo), input, wrong),
      h('div.buttons', null, close, h('button.button.primary', null, words.hand))));
    dialog.addEventListener('close', () => dialog.remove());
    dialog.addEventListener('submit', async (event) => {
      event.preventDefault();
      try {
        await schedules.change(this.#schedule.id, { owner: input.value.trim() }, this.#version);
        dialog.close();
        notify({ title: words.handed, tone: 'good' });
        await this.#reread().catch(complain);
      } catch (error) {
        fill(wrong, /** @type {any} */ (error).errors?.[0]?.detail ?? explain(error).text);
        input.setAttribute('aria-invalid', 'true');
        input.focus();
      }
    });
    document.body.append(dialog);
    dialog.showModal();
  }
}

/** @param {string} title @param {HTMLElement | HTMLElement[]} content */
function panel(title, content) {
  return h('section.panel', null, h('h2', null, title), content);
}

/** @param {(string | HTMLElement)[][]} rows */
function facts(rows) {
  return h('dl.facts', null, rows.map(([term, fact]) => h('div', null, h('dt', null, term), h('dd', null, fact))));
}

/** The newest firings with their jobs, which move by themselves. */
class FiringsView {
  element = h('section', { 'aria-live': 'off' });
  #place;
  #shown = SHOWN;
  #zone = 'UTC';
  #firings = /** @type {Firing[]} */ ([]);
  /** Null: not ours to see, or gone. */
  #jobs = /** @type {Map<string, Job | null>} */ (new Map());

  /** @param {Place} place @param {() => Promise<void>} reread */
  constructor(place, reread) {
    this.#place = place;
    const { context } = place;
    context.live.onJob((job) => {
      if (!this.#firings.some((firing) => firing.job === job.id)) return;
      const before = this.#jobs.get(job.id)?.state;
      this.#jobs.set(job.id, job);
      // How far it is stands on its own page; what has not changed keeps the focus.
      if (before !== job.state) this.#draw();
    }, context.signal);
    context.live.onResync(() => reread().catch(() => {}), context.signal);
  }

  /** @param {Firing[]} firings @param {string} zone */
  show(firings, zone) {
    this.#firings = firings;
    this.#zone = zone;
    this.#draw();
    this.#readJobs();
  }

  async #readJobs() {
    const { context } = this.#place;
    for (const { job } of this.#firings.slice(0, this.#shown)) {
      if (context.signal.aborted) return;
      if (!job || this.#jobs.has(job)) continue;
      this.#jobs.set(job, context.live.get(job) ?? (await context.client.job(job).catch(() => null)));
      const found = this.#jobs.get(job);
      if (found && !isFinal(found)) context.live.put(found);
      this.#draw();
    }
  }

  #draw() {
    const { words } = this.#place.writer;
    const some = this.#firings.slice(0, this.#shown);
    const more = () => {
      this.#shown += SHOWN;
      this.show(this.#firings, this.#zone);
    };
    fill(this.element, h('h2', null, words.history), some.length === 0 ? h('p.quiet', null, words.historyNone) : table(words.history, [words.time, words.outcome, words.files, words.job], some.map((firing) => this.#row(firing))),
      this.#firings.length > some.length && h('div.more', null, h('button.button', { type: 'button', onclick: more }, icon('clock'), words.more)));
  }

  /** @param {Firing} firing */
  #row(firing) {
    const { writer } = this.#place;
    const { words } = writer;
    const { job: id, nominal, data_version: data, detail, at } = firing;
    const job = id ? this.#jobs.get(id) : undefined;
    const time = nominal ? writer.nominal(nominal) : writer.moment(at, this.#zone);
    return [
      h('div', null, h('time', { datetime: firing.due_at }, time), !nominal && h('p.quiet', null, data ? `${words.onDemand}: ${data}` : words.onDemand)),
      writer.outcome(firing, job ?? undefined),
      h('div', null, detail && h('p', { lang: 'en' }, detail), job?.state === 'failed' && h('p', { lang: 'en' }, job.error?.detail), job?.state === 'done' && h('div.buttons', null, downloads(job, true))),
      id && (job === null ? h('span.quiet', null, words.othersJob) : h('a', { href: `/jobs/${id}` }, words.show)),
    ];
  }
}
