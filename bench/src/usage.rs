//! Processor time of everything the benchmark started, by program: it tells what a job costs, however busy the machine is with
//! other things.

use std::collections::{BTreeMap, HashMap};

use crate::figures::print;

/// Ticks of `/proc/<pid>/stat` in a second, on every Linux.
const TICKS: f64 = 100.0;
/// Programs as the figures name them. What is not named here is not printed.
const PROGRAMS: [(&str, &str); 5] = [
    ("api", "gateway"),
    ("report-worker", "worker"),
    ("postgres", "postgres"),
    ("beam.smp", "rabbitmq"),
    ("bench", "load"),
];

/// Processor seconds since each process started.
#[derive(Debug, Clone)]
pub(crate) struct Usage(BTreeMap<String, f64>);

struct Stat {
    name: String,
    parent: u32,
    seconds: f64,
}

impl Usage {
    /// Reads what this process and all below it have used so far.
    pub(crate) fn now() -> Self {
        let all: HashMap<u32, Stat> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, read(pid)?)))
            .collect();
        let mut used = BTreeMap::new();
        for (pid, stat) in &all {
            if let Some(name) = program(&all, *pid) {
                *used.entry(name).or_default() += stat.seconds;
            }
        }
        Self(used)
    }

    /// Returns what was used since `before`.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (program, seconds) in &mut self.0 {
            *seconds = (*seconds - before.of(program)).max(0.0);
        }
        self
    }

    /// Prints microseconds for each of `count` things, as `<prefix>_cpu_us_<program>`, and their sum.
    pub(crate) fn print(&self, prefix: &str, count: usize) {
        let mut sum = 0.0;
        for (program, shown) in PROGRAMS {
            #[expect(clippy::cast_precision_loss, reason = "counts are small")]
            let each = self.of(program) * 1e6 / count as f64;
            sum += each;
            print(&format!("{prefix}_cpu_us_{shown}"), each, "us");
        }
        print(&format!("{prefix}_cpu_us"), sum, "us");
    }

    /// Returns the seconds of a program, 0 where it is not known.
    pub(crate) fn of(&self, program: &str) -> f64 {
        self.0.get(program).copied().unwrap_or(0.0)
    }
}

/// The name of the child of ours that a process is or descends from; our own for ourselves.
fn program(all: &HashMap<u32, Stat>, mut pid: u32) -> Option<String> {
    let own = std::process::id();
    if pid == own {
        return Some("bench".to_owned());
    }
    loop {
        let stat = all.get(&pid)?;
        if stat.parent == own {
            return Some(stat.name.clone());
        }
        pid = stat.parent;
    }
}

fn read(pid: u32) -> Option<Stat> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    // Own time in user and kernel mode, and that of children which have ended.
    let ticks = fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>();
    Some(Stat {
        name: head.split_once('(')?.1.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        seconds: ticks / TICKS,
    })
}
