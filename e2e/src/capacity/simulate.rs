//! The model: jobs come, wait for a slot of a worker, then for a connection of their source, run, and end; every few seconds the
//! autoscaler looks. It decides by the very code that `make scale-test` lets decide about real processes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::load::Planned;
use crate::scaling::{Autoscaler, Rules};

/// How many pods there are.
#[derive(Debug, Clone)]
pub enum Pods {
    /// As many as KEDA and the HPA say.
    Scaled(Rules),
    /// Always as many.
    Fixed(usize),
}

/// What the jobs run on.
#[derive(Debug, Clone)]
pub struct System {
    pub pods: Pods,
    /// Jobs that a worker runs at once.
    pub concurrency: usize,
    /// From the decision that there shall be one more until it takes jobs.
    pub start_up: Duration,
    /// What a worker that is told to stop has left; then it hands back.
    pub grace: Duration,
    /// Beside its run: claim, file, settlement.
    pub overhead: Duration,
    /// Connections that the source gives to all workers together; `None`: as many as they want.
    pub source: Option<usize>,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Seconds from the submit to the first attempt, sorted.
    pub waits: Vec<f64>,
    /// What all workers lived together.
    pub lived: Duration,
    /// From the first moment until the last job had ended.
    pub ran: Duration,
    /// How many workers there were at once.
    pub peak: usize,
    pub handed_back: usize,
}

impl Prediction {
    /// The wait that so many in a hundred do not exceed, in seconds.
    #[must_use]
    pub fn wait(&self, percent: usize) -> f64 {
        let at = (self.waits.len() * percent / 100).min(self.waits.len().saturating_sub(1));
        self.waits.get(at).copied().unwrap_or_default()
    }

    /// Hours of workers in a real day.
    #[must_use]
    pub fn worker_hours(&self) -> f64 {
        self.lived.div_duration_f64(self.ran) * 24.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Ready { worker: usize },
    Ended { worker: usize, job: usize },
    CutOff { worker: usize },
    Arrived { job: usize },
    Poll,
}

#[derive(Debug)]
struct ModelWorker {
    since: Duration,
    ready: bool,
    told_to_stop: bool,
    ended: Option<Duration>,
    running: Vec<usize>,
}

struct Model<'a> {
    jobs: &'a [Planned],
    system: &'a System,
    now: Duration,
    agenda: BinaryHeap<Reverse<(Duration, Happening)>>,
    waiting: VecDeque<usize>,
    /// Jobs in a slot that have no connection yet, with their worker.
    for_source: VecDeque<(usize, usize)>,
    at_source: usize,
    has_source: Vec<bool>,
    started: Vec<Option<Duration>>,
    workers: Vec<ModelWorker>,
    ended: usize,
    peak: usize,
    handed_back: usize,
}

/// Lets a day pass that takes `day`, and what is left after it be worked off.
#[must_use]
pub fn simulate(jobs: &[Planned], system: &System, day: Duration) -> Prediction {
    let mut model = Model::new(jobs, system);
    let mut autoscaler = match &system.pods {
        Pods::Scaled(rules) => Some(Autoscaler::new(rules.clone())),
        Pods::Fixed(count) => {
            model.scale_to(*count);
            None
        }
    };
    while let Some(Reverse((at, happening))) = model.agenda.pop() {
        model.now = at;
        match happening {
            Happening::Poll => {
                if let (Some(autoscaler), true) = (&mut autoscaler, at < day) {
                    let unfinished = model.unfinished();
                    let wanted = autoscaler.decide(at, &[unfinished, unfinished], model.size());
                    model.scale_to(wanted);
                    model.agenda.push(Reverse((at + autoscaler.rules.polling, Happening::Poll)));
                } else if model.size() == 0 {
                    // The scale test starts one then, for what is left.
                    model.scale_to(1);
                }
            }
            other => model.happen(other),
        }
        if model.ended == jobs.len() && at >= day {
            break;
        }
    }
    model.finish(day)
}

impl<'a> Model<'a> {
    fn new(jobs: &'a [Planned], system: &'a System) -> Self {
        let mut agenda: BinaryHeap<_> =
            jobs.iter().enumerate().map(|(job, planned)| Reverse((planned.at, Happening::Arrived { job }))).collect();
        agenda.push(Reverse((Duration::ZERO, Happening::Poll)));
        Self {
            jobs,
            system,
            now: Duration::ZERO,
            agenda,
            waiting: VecDeque::new(),
            for_source: VecDeque::new(),
            at_source: 0,
            has_source: vec![false; jobs.len()],
            started: vec![None; jobs.len()],
            workers: Vec::new(),
            ended: 0,
            peak: 0,
            handed_back: 0,
        }
    }

    fn size(&self) -> usize {
        self.workers.iter().filter(|worker| !worker.told_to_stop).count()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of jobs are small")]
    fn unfinished(&self) -> f64 {
        let running: usize = self.workers.iter().map(|worker| worker.running.len()).sum();
        (self.waiting.len() + running) as f64
    }

    fn scale_to(&mut self, wanted: usize) {
        while self.size() < wanted {
            let worker = self.workers.len();
            self.workers.push(ModelWorker {
                since: self.now,
                ready: false,
                told_to_stop: false,
                ended: None,
                running: Vec::new(),
            });
            self.agenda.push(Reverse((self.now + self.system.start_up, Happening::Ready { worker })));
        }
        while self.size() > wanted {
            // The youngest first, as a ReplicaSet does where nothing says that another is cheaper.
            let Some(worker) = self.workers.iter().rposition(|worker| !worker.told_to_stop) else { break };
            self.workers[worker].told_to_stop = true;
            if self.workers[worker].running.is_empty() {
                self.workers[worker].ended = Some(self.now);
            } else {
                self.agenda.push(Reverse((self.now + self.system.grace, Happening::CutOff { worker })));
            }
        }
        self.peak = self.peak.max(self.size());
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Ready { worker } => self.workers[worker].ready = true,
            Happening::Arrived { job } => self.waiting.push_back(job),
            Happening::Ended { worker, job } => self.end(worker, job),
            Happening::CutOff { worker } => self.cut_off(worker),
            Happening::Poll => {}
        }
        self.take_jobs();
    }

    /// A job that was handed back meanwhile ends elsewhere.
    fn end(&mut self, worker: usize, job: usize) {
        let Some(at) = self.workers[worker].running.iter().position(|running| *running == job) else { return };
        self.workers[worker].running.remove(at);
        self.give_back_source(job);
        self.ended += 1;
        if self.workers[worker].told_to_stop && self.workers[worker].running.is_empty() {
            self.workers[worker].ended = Some(self.now);
        }
    }

    fn cut_off(&mut self, worker: usize) {
        if self.workers[worker].ended.is_some() {
            return;
        }
        for job in std::mem::take(&mut self.workers[worker].running) {
            self.give_back_source(job);
            self.for_source.retain(|(_, waiting)| *waiting != job);
            self.waiting.push_front(job);
            self.handed_back += 1;
        }
        self.workers[worker].ended = Some(self.now);
    }

    fn give_back_source(&mut self, job: usize) {
        if std::mem::take(&mut self.has_source[job]) {
            self.at_source -= 1;
        }
    }

    fn take_jobs(&mut self) {
        // Whoever has most room takes first: the broker shares out among consumers that have room.
        while !self.waiting.is_empty() {
            let concurrency = self.system.concurrency;
            let has_room = |worker: &&(usize, &ModelWorker)| {
                worker.1.ready && !worker.1.told_to_stop && worker.1.running.len() < concurrency
            };
            let workers = self.workers.iter().enumerate();
            let Some((worker, _)) = workers.filter(|one| has_room(&one)).min_by_key(|(_, one)| one.running.len())
            else {
                break;
            };
            let Some(job) = self.waiting.pop_front() else { break };
            self.workers[worker].running.push(job);
            self.started[job].get_or_insert(self.now);
            self.for_source.push_back((worker, job));
        }
        while self.system.source.is_none_or(|most| self.at_source < most) {
            let Some((worker, job)) = self.for_source.pop_front() else { break };
            self.at_source += 1;
            self.has_source[job] = true;
            let ends = self.now + self.jobs[job].runs + self.system.overhead;
            self.agenda.push(Reverse((ends, Happening::Ended { worker, job })));
        }
    }

    fn finish(mut self, day: Duration) -> Prediction {
        let ran = self.now.max(day);
        // They live to the end of the day, also where the last job ended before.
        self.now = ran;
        self.scale_to(0);
        let lived = self.workers.iter().map(|worker| worker.ended.unwrap_or(ran) - worker.since).sum();
        let waits = self.jobs.iter().zip(&self.started).filter_map(|(job, at)| Some((*at)?.saturating_sub(job.at)));
        let mut waits: Vec<f64> = waits.map(|wait| wait.as_secs_f64()).collect();
        waits.sort_by(f64::total_cmp);
        Prediction { waits, lived, ran, peak: self.peak, handed_back: self.handed_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn system(pods: Pods) -> System {
        System { pods, concurrency: 1, start_up: SECOND, grace: SECOND * 10, overhead: Duration::ZERO, source: None }
    }

    fn jobs(count: u32, every: Duration, runs: Duration) -> Vec<Planned> {
        (0..count).map(|number| Planned { at: SECOND * 10 + every * number, runs }).collect()
    }

    #[test]
    fn a_queue_that_one_slot_cannot_keep_up_with_grows_by_what_is_too_much() {
        // Each takes two seconds and one comes each second: the tenth waits for nine others, less the nine seconds it came later.
        let prediction = simulate(&jobs(10, SECOND, SECOND * 2), &system(Pods::Fixed(1)), SECOND * 20);
        assert_eq!(prediction.waits, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!((prediction.ran, prediction.lived, prediction.peak), (SECOND * 30, SECOND * 30, 1));
        let two = simulate(&jobs(10, SECOND, SECOND * 2), &system(Pods::Fixed(2)), SECOND * 20);
        assert_eq!(two.wait(95), 0.0, "two keep up");
    }

    #[test]
    fn a_source_with_fewer_connections_than_slots_is_what_bounds() {
        let wide = System { concurrency: 4, source: Some(1), ..system(Pods::Fixed(2)) };
        let prediction = simulate(&jobs(8, Duration::ZERO, SECOND), &wide, SECOND * 11);
        assert_eq!(prediction.wait(95), 0.0, "each has a slot at once");
        assert_eq!(prediction.ran, SECOND * 18, "and runs after the others");
    }

    #[test]
    fn what_runs_longer_than_the_grace_of_a_worker_that_is_told_to_stop_is_handed_back_and_ends_elsewhere() {
        let rules = Rules { target: 1.0, stabilisation: SECOND, down_period: SECOND, ..Rules::interactive() };
        let mut day = jobs(3, Duration::ZERO, SECOND * 20);
        day.push(Planned { at: SECOND * 10, runs: SECOND * 200 });
        day.push(Planned { at: SECOND * 11, runs: SECOND * 200 });
        let prediction = simulate(&day, &system(Pods::Scaled(rules)), SECOND * 600);
        assert_eq!(prediction.waits.len(), 5);
        assert!(prediction.peak >= 2 && prediction.lived < prediction.ran * 5, "{prediction:?}");
        // The youngest goes first, whatever it runs: some of the long ones ran on it.
        assert!(prediction.handed_back > 0, "{prediction:?}");
    }
}
