//! `waitless` as processes of its own, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use testing::eventually;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Long enough for a machine that builds something else meanwhile.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A report whose number of rows says how long it takes.
pub(crate) const COUNTING: &str = r#"
title = "Counting"
source = "numbers"
formats = ["csv", "jsonl"]
total = "unknown"
sql = """
with recursive n (i) as (select 1 union all select i + 1 from n where i < :rows)
select i, 'row ' || i as name from n"""

[params.rows]
type = "integer"
label = "Rows"
default = 3
min = 1
"#;

/// A folder with a configuration, a catalogue and a source.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    /// Makes a catalogue of one report on a source of its own.
    pub(crate) fn with_counting() -> Self {
        let sandbox = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(sandbox.path("catalogue")).unwrap();
        sandbox.write("catalogue/counting.toml", COUNTING);
        let source = sandbox.path("numbers.sqlite");
        rusqlite::Connection::open(&source).unwrap().execute_batch("create table unused (x)").unwrap();
        let settings = format!(
            "[catalogue]\nfolder = {:?}\n[sources.numbers]\nurl = \"sqlite:{}\"\n",
            sandbox.path("catalogue"),
            source.display()
        );
        sandbox.write("waitless.toml", &settings);
        sandbox
    }

    /// Makes an empty folder: the embedded defaults.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Prepares a command in the folder, with nothing of Waitless in its environment but the folder's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waitless"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WAITLESS_")) {
            command.env_remove(name);
        }
        if self.path("waitless.toml").exists() {
            command.env("WAITLESS_CONFIG", self.path("waitless.toml"));
        }
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn output(&self, arguments: &[&str]) -> Output {
        let running = self.command(arguments).output();
        tokio::time::timeout(DEADLINE, running).await.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap()
    }

    /// Runs a command that must succeed, and returns what it says.
    pub(crate) async fn say(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", output_text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command with `--json`.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.say(&arguments).await).unwrap()
    }

    /// Starts `waitless up` on a free port.
    pub(crate) async fn up(&self) -> Service {
        self.up_on("127.0.0.1:0").await
    }

    /// Starts `waitless up` and waits until it says where it listens.
    pub(crate) async fn up_on(&self, listen: &str) -> Service {
        self.start(self.command(&["up", "--listen", listen])).await
    }

    /// Starts `waitless up` on a free port, prepared as the test wishes.
    pub(crate) async fn up_with(&self, prepare: impl FnOnce(&mut Command)) -> Service {
        let mut command = self.command(&["up", "--listen", "127.0.0.1:0"]);
        prepare(&mut command);
        self.start(command).await
    }

    async fn start(&self, mut command: Command) -> Service {
        let log = std::fs::File::options().create(true).append(true).open(self.path("up.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = tokio::time::timeout(DEADLINE, lines.next_line()).await.expect("up says where it listens").unwrap();
        let first = first.unwrap_or_else(|| panic!("up ended: {}", self.log()));
        let address = first.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        // What is read from here on is of no interest, but must be read.
        let address = address.trim_end_matches('.').to_owned();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Service { child, address }
    }

    /// Starts `waitless up`, returns all that it says once it serves, and stops it.
    pub(crate) async fn welcome(&self) -> String {
        let mut command = self.command(&["up", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut text = String::new();
        while !text.contains("Ctrl-C") {
            let line = tokio::time::timeout(DEADLINE, lines.next_line()).await.expect("up says what to do").unwrap();
            text.push_str(&line.expect("up says what to do and then goes on"));
            text.push('\n');
        }
        child.kill().await.unwrap();
        text
    }

    /// Returns what `waitless up` logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("up.log")).unwrap_or_default()
    }

    /// Puts more settings before those of the sandbox.
    pub(crate) fn configure(&self, settings: &str) {
        let before = std::fs::read_to_string(self.path("waitless.toml")).unwrap_or_default();
        self.write("waitless.toml", &format!("{settings}\n{before}"));
    }

    /// Lists the mails that were sent.
    pub(crate) fn mails(&self) -> Vec<PathBuf> {
        files(&self.path("data/mail"), "eml")
    }

    /// Waits until the newest job is in a state.
    pub(crate) async fn newest_job_is(&self, state: &str) -> Value {
        eventually(DEADLINE, state, async || {
            let job = self.json(&["jobs"]).await["jobs"][0].clone();
            if job["state"] == state { Ok(job) } else { Err(job["state"].to_string()) }
        })
        .await
    }
}

/// A running `waitless up`.
pub(crate) struct Service {
    child: Child,
    /// `http://127.0.0.1:<port>`
    pub(crate) address: String,
}

impl Service {
    /// Returns what it listens on, for the next one.
    pub(crate) fn listen(&self) -> String {
        self.address.trim_start_matches("http://").to_owned()
    }

    /// Kills it: nothing is finished, nothing is said.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to stop as an operator does, and returns its exit code.
    pub(crate) async fn stop(mut self) -> i32 {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it stops").unwrap().code().unwrap()
    }
}

/// Lists files by extension, sorted.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

/// Returns everything a command said.
pub(crate) fn output_text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
