//! A reaper outlives a test that is killed, and ends the servers it leaves behind.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::process_tree::{ProcessTree, started_at};

/// Ends the servers noted in `folder` and deletes it as soon as the process `watched` is gone, however it went.
pub(crate) fn watch(watched: u32, folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    let mut reaper = Command::new("/bin/sh");
    reaper
        .args(["-c", include_str!("reaper.sh"), "reaper"])
        .args([watched.to_string(), started_at(watched)?.to_string()]);
    reaper
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0);
    reaper.spawn().context("start the reaper of a test server")?;
    Ok(())
}

/// Notes which processes belong to `folder` from now on.
pub(crate) fn register(folder: &Path, servers: &[&ProcessTree]) -> anyhow::Result<()> {
    let lines: String = servers.iter().map(|server| line(server)).collect::<anyhow::Result<_>>()?;
    std::fs::write(folder.join(FILE), lines).context("note the processes of a test server")
}

/// Notes more processes of `folder`, which several tests may do at once.
pub(crate) fn register_more(folder: &Path, servers: &[ProcessTree]) -> anyhow::Result<()> {
    let lines: String = servers.iter().map(line).collect::<anyhow::Result<_>>()?;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(FILE))?;
    file.write_all(lines.as_bytes()).context("note the processes of a test server")
}

const FILE: &str = "processes";

fn line(server: &ProcessTree) -> anyhow::Result<String> {
    Ok(format!("{} {}\n", server.pid(), started_at(server.pid())?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_guard_ends_what_a_killed_test_left() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("data");
        std::fs::create_dir(&inside).unwrap();
        let mut test = ProcessTree::spawn(Command::new("sleep").arg("600")).unwrap();
        let mut server = ProcessTree::spawn(Command::new("/bin/sh").args(["-c", "sleep 600 & wait"])).unwrap();
        register(&inside, &[&server]).unwrap();
        watch(test.pid(), &inside).unwrap();
        assert!(server.ended().is_none());
        test.kill();
        assert!(server.wait(Duration::from_secs(10)).await, "the server outlived the test that started it");
        crate::eventually(Duration::from_secs(10), "the folder is deleted", async || !inside.exists()).await;
    }
}
