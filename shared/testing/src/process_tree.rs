//! A server's process with all its children.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// One started process. Ends with all its children when dropped, unless it was left to the run.
#[derive(Debug)]
pub(crate) struct ProcessTree {
    child: Child,
    detach: bool,
}

impl ProcessTree {
    /// Starts a command in a process group of its own, so that signals meant for the test do not reach it.
    pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<ProcessTree> {
        use std::os::unix::process::CommandExt;
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        Ok(ProcessTree { child, detach: false })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Leaves the process running when this value goes: its guard ends it.
    pub(crate) fn detach(mut self) {
        self.detach = true;
    }

    /// Says how the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal (`TERM`, `STOP`, …) to the process alone.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        signal(name, &[self.pid()])
    }

    /// Sends a signal to the process and everything below it.
    pub(crate) fn signal_all(&self, name: &str) -> anyhow::Result<()> {
        signal(name, &with_children(self.pid()))
    }

    /// Waits until the process has ended; `false` when it has not in time.
    pub(crate) async fn wait(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while self.ended().is_none() {
            if Instant::now() > end {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// Kills everything with `SIGKILL`, the parent first so that it starts nothing new.
    pub(crate) fn kill(&mut self) {
        if self.ended().is_some() {
            return;
        }
        let _stopped = self.signal("STOP");
        let all = with_children(self.pid());
        let _killed = signal("KILL", &all);
        let _reaped = self.child.wait();
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        if !self.detach {
            self.kill();
        }
    }
}

/// Sends a signal. The shell's own `kill` is on every machine, and needs no unsafe code.
pub(crate) fn signal(name: &str, pids: &[u32]) -> anyhow::Result<()> {
    let list = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let status = Command::new("/bin/sh")
        .args(["-c", &format!("kill -{name} {list} 2>/dev/null")])
        .status()
        .context("run the shell to send a signal")?;
    anyhow::ensure!(status.success() || pids.len() > 1, "process {list} is gone: signal {name} reached nobody");
    Ok(())
}

/// The process and everything below it, parents before children.
pub(crate) fn with_children(root: u32) -> Vec<u32> {
    let parents = parents();
    let mut all = vec![root];
    let mut next = 0;
    while next < all.len() {
        let parent = all[next];
        all.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    all
}

fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, stat_field(pid, 1)?.parse().ok()?))
        })
        .collect()
}

/// The time a process started, in ticks since boot: with the number it names a process for ever.
pub(crate) fn started_at(pid: u32) -> anyhow::Result<u64> {
    stat_field(pid, 19).and_then(|ticks| ticks.parse().ok()).with_context(|| format!("process {pid} is gone"))
}

/// A field of `/proc/<pid>/stat`, counted from the state, which follows the name in parentheses.
fn stat_field(pid: u32, index: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split_whitespace().nth(index).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_tree_leaves_no_child() {
        let mut tree =
            ProcessTree::spawn(Command::new("/bin/sh").args(["-c", "sleep 600 & sleep 600 & wait"])).unwrap();
        let limit = Duration::from_secs(10);
        crate::eventually(limit, "the children appear", async || with_children(tree.pid()).len() == 3).await;
        let all = with_children(tree.pid());
        tree.kill();
        let gone = |pid: &u32| stat_field(*pid, 0).is_none_or(|state| state == "Z");
        crate::eventually(limit, "all are gone", async || all.iter().all(gone)).await;
    }
}
