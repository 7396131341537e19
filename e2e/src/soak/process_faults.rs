//! Processes are killed, frozen past their lease, stopped in order, and die between any two effects.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use testing::fake_clock::FakeClock;
use testing::process::{Builder, Process};

use super::pause;
use super::plan::{Dice, Plan, StorageKind};
use super::tally::Tally;
use crate::client::Client;

/// After the grace of `setting.rs` a process has ten seconds more, and the machine may be busy.
const ENDS_WITHIN: Duration = Duration::from_secs(40);
/// Every place between two durable effects of an attempt.
const FAILPOINTS: [&str; 7] = [
    "after_claim",
    "after_first_rows",
    "before_finish_upload",
    "after_store",
    "before_settle",
    "after_settle",
    "before_ack",
];
/// What a process may write into one file while its disk is full: a small report still fits.
const ROOM: u64 = 200 * 1024;

/// All processes of one kind.
pub(super) struct Group<'a> {
    pub(super) binary: &'static str,
    pub(super) processes: &'a mut Vec<Process>,
    pub(super) settings: &'a [(String, String)],
    /// What its processes take for the time of day, where that may be wrong.
    pub(super) clock: Option<&'a FakeClock>,
    pub(super) plan: &'a Plan,
    pub(super) tally: &'a Tally,
    pub(super) client: &'a Client,
    /// Processes that did not end as they should.
    pub(super) endings: Vec<String>,
}

impl Group<'_> {
    /// Lets one fault come after the other until the storm is over; then all processes are there.
    pub(super) async fn blow(&mut self) -> anyhow::Result<()> {
        let mut dice = self.plan.dice(self.binary);
        while !self.tally.is_over() {
            pause(self.tally, dice.millis(500..7_000)).await;
            self.look_for_the_dead().await?;
            let tally = self.tally;
            match dice.number(0..100) {
                30..40 if self.clock.is_some() => self.set_clock(&mut dice).await?,
                40..65 => self.freeze(&mut dice).await?,
                65..80 => self.roll().await?,
                80..90 if self.binary == "report-worker" => {
                    let _now = tally.begin("process dies between two effects");
                    let place = dice.one_of(&FAILPOINTS);
                    let deadly = self.builder().env("FAILPOINTS", format!("{place}=return(abort)"));
                    self.replace_for_a_time(deadly, dice.millis(2_000..8_000)).await?;
                }
                90..100 if self.binary == "report-worker" && self.plan.storage == StorageKind::Folder => {
                    let _now = tally.begin("disk of a worker full");
                    let narrow = self.builder().largest_file(ROOM);
                    self.replace_for_a_time(narrow, dice.millis(4_000..12_000)).await?;
                }
                _ => self.kill(&mut dice).await?,
            }
        }
        self.look_for_the_dead().await
    }

    async fn kill(&mut self, dice: &mut Dice) -> anyhow::Result<()> {
        let _now = self.tally.begin("process killed");
        let mut killed = self.processes.remove(dice.number(0..self.processes.len()));
        self.tell_client();
        killed.kill();
        self.keep_log(&killed);
        pause(self.tally, dice.millis(0..3_000)).await;
        self.add(self.builder()).await
    }

    async fn freeze(&mut self, dice: &mut Dice) -> anyhow::Result<()> {
        let _now = self.tally.begin("process frozen");
        let frozen = dice.number(0..self.processes.len());
        if self.processes[frozen].freeze().is_ok() {
            // Two missed beats of a second and another one may take the jobs.
            pause(self.tally, dice.millis(1_500..9_000)).await;
            let _gone = self.processes[frozen].thaw();
        }
        Ok(())
    }

    /// Sets the clock of all of them by up to two hours for a time.
    async fn set_clock(&mut self, dice: &mut Dice) -> anyhow::Result<()> {
        let Some(clock) = self.clock else { return Ok(()) };
        let _now = self.tally.begin("process clocks set");
        clock.set(dice.one_of(&[-7_200, -3_600, 3_600, 7_200]))?;
        pause(self.tally, dice.millis(1_000..8_000)).await;
        clock.set(0)
    }

    /// Starts one of each anew, as a rollout does.
    async fn roll(&mut self) -> anyhow::Result<()> {
        let _now = self.tally.begin("processes rolled");
        for _ in 0..self.processes.len() {
            self.add(self.builder()).await?;
            let former = self.processes.remove(0);
            self.tell_client();
            self.stop(former).await;
        }
        Ok(())
    }

    /// Puts a process that is special in the place of another for a time.
    async fn replace_for_a_time(&mut self, special: Builder, time: Duration) -> anyhow::Result<()> {
        let former = self.processes.remove(0);
        self.stop(former).await;
        let mut special = special.start().await?;
        self.tally.started_processes.fetch_add(1, Ordering::Relaxed);
        pause(self.tally, time).await;
        special.kill();
        self.keep_log(&special);
        self.add(self.builder()).await
    }

    /// Asks a process to stop, and sees that it does.
    async fn stop(&mut self, mut process: Process) {
        if let Err(why) = stop(&mut process, self.tally).await {
            self.endings.push(format!("{}: {why}", self.binary));
        }
        self.keep_log(&process);
    }

    /// No process ends by itself.
    async fn look_for_the_dead(&mut self) -> anyhow::Result<()> {
        let mut at = 0;
        while at < self.processes.len() {
            let Some(status) = self.processes[at].ended() else {
                at += 1;
                continue;
            };
            let dead = self.processes.remove(at);
            let end: Vec<_> = dead.log().lines().rev().take(5).map(str::to_owned).collect();
            self.endings.push(format!("{} ended by itself ({status}): {end:#?}", self.binary));
            self.keep_log(&dead);
            self.add(self.builder()).await?;
        }
        Ok(())
    }

    fn builder(&self) -> Builder {
        let builder = testing::process::binary(self.binary);
        let builder = match self.clock {
            Some(clock) => clock.set_in(builder),
            None => builder,
        };
        self.settings.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
    }

    /// Starts a process. Whether it is ready is its own affair: what it needs may be away.
    async fn add(&mut self, builder: Builder) -> anyhow::Result<()> {
        self.processes.push(builder.start().await?);
        self.tally.started_processes.fetch_add(1, Ordering::Relaxed);
        self.tell_client();
        Ok(())
    }

    fn tell_client(&self) {
        if self.binary == "api" {
            self.client.use_gateways(self.processes.iter().map(Process::url).collect());
        }
    }

    fn keep_log(&self, process: &Process) {
        keep_log(self.plan, self.binary, process);
    }
}

/// Asks a process to stop, and says what is wrong with how it does.
pub(super) async fn stop(process: &mut Process, tally: &Tally) -> Result<(), String> {
    let suffered = tally.servers_suffer();
    if process.terminate().is_err() {
        return Err(format!("was gone before it was told to stop: {:?}", process.ended()));
    }
    let status = process.wait(ENDS_WITHIN).await.map_err(|error| {
        let (what, log) = (error.to_string(), process.log());
        format!("{}\n{}", what.lines().next().unwrap_or_default(), last_lines(&log))
    })?;
    // What hangs in a server that does not answer is given up with 1, as documented.
    let given_up = status.code() == Some(1) && (suffered || tally.servers_suffer());
    if status.code() == Some(0) || given_up {
        return Ok(());
    }
    let signal = status.signal();
    Err(format!("told to stop, it ended with {:?}, signal {signal:?}\n{}", status.code(), last_lines(&process.log())))
}

fn last_lines(log: &str) -> String {
    let mut lines: Vec<&str> = log.lines().rev().take(8).collect();
    lines.reverse();
    lines.join("\n")
}

/// Copies the log of a process that has ended to where the plan wants it.
pub(super) fn keep_log(plan: &Plan, binary: &str, process: &Process) {
    if let Some(folder) = &plan.keep {
        let _best_effort = std::fs::write(folder.join(format!("{binary}-{}.log", process.pid())), process.log());
    }
}
