//! The audit log on the command line, and a principal who is erased.

use testing::eventually;

use crate::service::{DEADLINE, Sandbox, output_text};

fn rewrite(sandbox: &Sandbox, sql: &str) {
    rusqlite::Connection::open(sandbox.path("data/waitless.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn the_log_is_exported_and_verified_and_a_changed_row_is_named() {
    let sandbox = Sandbox::with_counting();
    let service = sandbox.up().await;
    sandbox.say(&["run", "counting", "--out", "a.csv"]).await;
    sandbox.say(&["keys", "create", "--tenant", "default", "--principal", "zoe"]).await;
    assert_eq!(service.stop().await, 0);

    let exported = sandbox.output(&["audit", "export", "--tenant", "default"]).await;
    assert!(exported.status.success(), "{}", output_text(&exported));
    let text = String::from_utf8(exported.stdout.clone()).unwrap();
    for (act, person) in [("job_submitted", "127.0.0.1"), ("file_fetched", "127.0.0.1"), ("key_created", "zoe")] {
        assert!(text.lines().any(|line| line.contains(act) && line.contains(person)), "{act} {text}");
    }
    let said = String::from_utf8(exported.stderr.clone()).unwrap();
    let head = said.lines().find_map(|line| line.strip_prefix("head ")).unwrap().to_owned();
    sandbox.write("log.jsonl", &text);
    let file = sandbox.path("log.jsonl").display().to_string();
    for arguments in
        [vec!["audit", "verify", "--head", &head], vec!["audit", "verify", "--file", &file, "--head", &head]]
    {
        let verified = sandbox.output(&arguments).await;
        assert!(verified.status.success() && output_text(&verified).contains("rows fit"), "{}", output_text(&verified));
    }
    let from = sandbox.say(&["audit", "export", "--tenant", "default", "--from", "2099-01-01T00:00:00Z"]).await;
    assert_eq!(from.trim(), "");

    // Neither may be changed: the database refuses, and who gets around that is seen.
    let database = rusqlite::Connection::open(sandbox.path("data/waitless.db")).unwrap();
    for sql in ["update audit set detail = 'x'", "delete from audit", "delete from audit where number = 1"] {
        assert!(database.execute_batch(sql).unwrap_err().to_string().contains("only added to"), "{sql}");
    }
    drop(database);
    sandbox.write("log.jsonl", &text.replacen("\"detail\":\"counting\"", "\"detail\":\"another\"", 1));
    let changed = sandbox.output(&["audit", "verify", "--file", &file]).await;
    assert_eq!(changed.status.code(), Some(1));
    assert!(
        output_text(&changed).contains("it was changed, or put in the place of another"),
        "{}",
        output_text(&changed)
    );
    rewrite(
        &sandbox,
        "drop trigger audit_is_not_changed; update audit set subject = 'job:x' where number = 2 and tenant = 'default'",
    );
    let changed = sandbox.output(&["audit", "verify"]).await;
    assert_eq!(changed.status.code(), Some(1));
    assert!(output_text(&changed).contains("chain of \"default\", row 2: it was changed"), "{}", output_text(&changed));
    let wrong = sandbox.output(&["audit", "verify", "--head", "acme=7"]).await;
    assert_eq!(wrong.status.code(), Some(2));
}

/// Looks for a word in the database and the files of the service.
fn is_anywhere(sandbox: &Sandbox, word: &str) -> Option<String> {
    let database = rusqlite::Connection::open(sandbox.path("data/waitless.db")).unwrap();
    database.execute_batch("pragma wal_checkpoint(truncate); vacuum").unwrap();
    drop(database);
    let mut folders = vec![sandbox.path("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path).unwrap().windows(word.len()).any(|bytes| bytes == word.as_bytes()) {
                return Some(path.display().to_string());
            }
        }
    }
    None
}

#[tokio::test]
async fn a_principal_who_is_erased_is_found_nowhere_and_the_chain_still_fits() {
    let sandbox = Sandbox::with_counting();
    sandbox.write(
        "catalogue/named.toml",
        "title = \"Named\"\nsource = \"numbers\"\nformats = [\"csv\"]\nretention = \"30d\"\n\
         sql = \"select :name as name\"\n[params.name]\ntype = \"text\"\nmax_length = 100\n",
    );
    let service = sandbox.up().await;
    let key = sandbox.say(&["keys", "create", "--tenant", "acme", "--principal", "zoe-canary"]).await;
    let other = sandbox.say(&["keys", "create", "--tenant", "acme", "--principal", "ana-stays"]).await;
    for key in [&key, &other] {
        let ran = [
            "run",
            "named",
            "-p",
            "name=canary-value",
            "--out",
            "a.csv",
            "--key",
            key.trim(),
            "--email",
            "canary@example.com",
        ];
        sandbox.say(&ran).await;
    }
    eventually(DEADLINE, "both mails", async || (sandbox.mails().len() == 2).then_some(())).await;
    assert_eq!(service.stop().await, 0);
    let would = sandbox.say(&["erase", "--tenant", "acme", "--principal", "ana-stays", "--dry-run"]).await;
    assert!(would.starts_with("Would be removed: 1 jobs"), "{would}");

    for who in ["zoe-canary", "ana-stays"] {
        let erased = sandbox.say(&["erase", "--tenant", "acme", "--principal", who]).await;
        assert!(erased.contains("1 jobs with their parameters and events, 1 files, 1 addresses of mails"), "{erased}");
        let again = sandbox.say(&["erase", "--tenant", "acme", "--principal", who]).await;
        assert!(again.contains("Removed: 0 jobs") && again.contains("0 names in the audit log"), "{again}");
        assert_eq!(is_anywhere(&sandbox, who).filter(|path| !path.contains("/mail/")), None);
    }
    for word in ["canary-value", "canary@example.com"] {
        assert_eq!(is_anywhere(&sandbox, word).filter(|path| !path.contains("/mail/")), None);
    }
    let verified = sandbox.say(&["audit", "verify", "--tenant", "acme"]).await;
    assert!(verified.contains("rows fit"), "{verified}");
    let exported = sandbox.say(&["audit", "export", "--tenant", "acme"]).await;
    assert!(exported.contains("principal_erased") && exported.contains("jobs 1, files 1, deliveries 1"), "{exported}");
}
