//! What cannot be printed: a disk that is full is an error, a reader that has gone is none.

use std::process::{Output, Stdio};

use crate::service::{DEADLINE, Sandbox, output_text};

/// Runs a command whose standard output is `/dev/full`, which takes nothing.
async fn to_full_disk(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = sandbox.command(arguments);
    let running = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output();
    tokio::time::timeout(DEADLINE, running).await.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap()
}

/// Every command, as it prints for people; most print otherwise with `--json`.
fn commands(done: &str, failed: &str, long: &str) -> Vec<Vec<String>> {
    let table: [&[&str]; 32] = [
        &["up", "--listen", "127.0.0.1:0", "--data", "other"],
        &["demo"],
        &["run", "counting", "--out", "a.csv"],
        &["run", "counting", "--wait"],
        &["run", "counting", "--detach"],
        &["convert", done, "--format", "jsonl", "--out", "a.jsonl"],
        &["jobs"],
        &["show", done],
        &["watch", done],
        &["links", done],
        &["cancel", long],
        &["replay", failed],
        &["send-again", "--failed-since", "2026-01-31T12:00:00Z"],
        &["reports"],
        &["reports", "counting"],
        &["schedules", "list"],
        &["check"],
        &["audit", "export"],
        &["audit", "verify"],
        &["erase", "--tenant", "default", "--principal", "nobody", "--dry-run"],
        &["pauses"],
        &["pause", "report", "nothing"],
        &["resume", "report", "nothing"],
        &["keys", "list"],
        &["keys", "create"],
        &["migrate"],
        &["doctor"],
        &["upgrade-check"],
        &["ready"],
        &["config"],
        &["completion", "bash"],
        &["--help"],
    ];
    table.iter().map(|command| command.iter().map(|&word| word.to_owned()).collect()).collect()
}

#[tokio::test]
async fn every_command_that_cannot_print_says_so_and_fails() {
    let sandbox = Sandbox::with_counting();
    sandbox.write("catalogue/kept.toml", &crate::service::COUNTING.replace("\"jsonl\"", "\"jsonl\", \"parquet\""));
    sandbox.write("catalogue/broken.toml", "title = \"Broken\"\nsource = \"numbers\"\nformats = [\"csv\"]\nmax_attempts = 1\nsql = \"select abs(-9223372036854775807 - 1) as x\"\n");
    let _service = sandbox.up().await;
    let id_of = |said: String| said.trim().to_owned();
    let done = id_of(sandbox.say(&["run", "kept", "--format", "parquet", "--wait"]).await);
    let failed = id_of(sandbox.say(&["run", "broken", "--detach"]).await);
    let ended = sandbox.output(&["watch", &failed]).await;
    assert_eq!(ended.status.code(), Some(3), "{}", output_text(&ended));

    let long = id_of(sandbox.say(&["run", "counting", "--param", "rows=100000000", "--detach"]).await);
    let table = commands(&done, &failed, &long);
    let help = sandbox.say(&["--help"]).await;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for name in listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty()) {
        let known = name == "help" || table.iter().any(|command| command[0] == name);
        assert!(known, "`{name}` has no line in the table");
    }
    // Those whose words for programs are others than those for people.
    let for_programs = table.iter().filter(|command| !matches!(&*command[0], "up" | "demo" | "completion" | "--help"));
    // What is exported is for programs anyway.
    let for_programs = for_programs.filter(|command| command.get(1).is_none_or(|word| word != "export"));
    let for_programs: Vec<Vec<String>> =
        for_programs.map(|command| command.iter().cloned().chain(["--json".to_owned()]).collect()).collect();
    for command in table.iter().chain(&for_programs) {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let output = to_full_disk(&sandbox, &command).await;
        let said = output_text(&output);
        // A job that cannot be cancelled or run again is an error of its own.
        let refused = matches!(command[0], "cancel" | "replay") && said.contains("state");
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(refused || said.contains("standard output could not be written"), "{command:?}: {said}");
    }
}

#[tokio::test]
async fn a_key_that_nobody_has_seen_is_not_left_behind() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    for json in [&[][..], &["--json"]] {
        let command: Vec<&str> = ["keys", "create", "--principal", "unseen"].iter().chain(json).copied().collect();
        let output = to_full_disk(&sandbox, &command).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(output_text(&output).contains("was revoked again"), "{}", output_text(&output));
    }
    let mut closed = sandbox.command(&["keys", "create", "--principal", "unseen"]);
    let mut child = closed.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1), "a key is wanted by whoever asks for one: {}", output_text(&output));
    let listed = sandbox.say(&["keys", "list"]).await;
    let unseen: Vec<&str> = listed.lines().filter(|line| line.contains(" unseen ")).collect();
    assert!(unseen.len() == 3 && unseen.iter().all(|line| line.contains("revoked")), "{listed}");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let sandbox = Sandbox::empty();
    for command in [&["config"][..], &["--help"], &["completion", "bash"]] {
        let mut child = sandbox.command(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!((output.status.code(), output_text(&output).as_str()), (Some(0), ""), "{command:?}");
    }
}
