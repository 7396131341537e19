use std::os::unix::fs::{MetadataExt as _, PermissionsExt};

use tokio::process::Command;

use crate::service::{Sandbox, output_text};

/// An account that owns nothing, on every Linux.
const NOBODY: u32 = 65534;

/// Makes of a command the same one of an account that owns nothing, from a copy that it can reach.
fn as_nobody(sandbox: &Sandbox, command: Command) -> Command {
    let command = command.into_std();
    let copy = sandbox.path("waitless");
    if !copy.exists() {
        std::fs::copy(command.get_program(), &copy).unwrap();
    }
    let mut nobodys = Command::new(copy);
    nobodys.args(command.get_args()).uid(NOBODY).gid(NOBODY).current_dir(sandbox.path("."));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nobodys.env(name, value),
            None => nobodys.env_remove(name),
        };
    }
    nobodys
}

#[tokio::test]
async fn a_report_cannot_stop_the_service_by_a_pragma() {
    let sandbox = Sandbox::with_counting();
    let report = |sql: &str| format!("title = \"Heap\"\nsource = \"numbers\"\nsql = \"{sql}\"\n");
    sandbox.write("catalogue/heap.toml", &report("pragma hard_heap_limit=1"));
    let checked = sandbox.output(&["check", "--connect"]).await;
    assert_eq!(checked.status.code(), Some(1));
    assert!(output_text(&checked).contains("a report may only read"), "{}", output_text(&checked));

    let _service = sandbox.up().await;
    for sql in ["pragma hard_heap_limit=1", "select * from pragma_hard_heap_limit(1)", "pragma soft_heap_limit=1"] {
        sandbox.write("catalogue/heap.toml", &report(sql));
        let output = sandbox.output(&["run", "heap"]).await;
        assert_eq!(output.status.code(), Some(3), "{sql}: {}", output_text(&output));
        sandbox.say(&["run", "counting", "--out", "innocent.csv"]).await;
        assert_eq!(std::fs::read_to_string(sandbox.path("innocent.csv")).unwrap().lines().count(), 4);
        std::fs::remove_file(sandbox.path("innocent.csv")).unwrap();
    }
}

#[tokio::test]
async fn a_file_with_a_write_ahead_log_in_a_folder_that_cannot_be_written_is_told_and_cured() {
    let sandbox = Sandbox::with_counting();
    let folder = sandbox.path("shop");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("shop.db");
    let setup = "pragma journal_mode=wal; create table t(a); insert into t values(1),(2);";
    rusqlite::Connection::open(&file).unwrap().execute_batch(setup).unwrap();
    std::fs::set_permissions(sandbox.path("."), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o555)).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    sandbox.write("catalogue/wal.toml", "title = \"Wal\"\nsource = \"shop\"\nsql = \"select * from t\"\n");
    let settings = std::fs::read_to_string(sandbox.path("waitless.toml")).unwrap();
    let check = async |options: &str| {
        let source = format!("[sources.shop]\nurl = \"sqlite:{}{options}\"\n", file.display());
        sandbox.write("waitless.toml", &format!("{settings}{source}"));
        let command = sandbox.command(&["check", "--connect"]);
        // Nothing is forbidden to root, and what root has built may lie where nobody else can look.
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let mut command = if is_root { as_nobody(&sandbox, command) } else { command };
        output_text(&command.output().await.unwrap())
    };
    let told = check("").await;
    for part in ["wal.toml", "WAL mode", &format!("cannot write in the folder {}", folder.display()), "?immutable=1"] {
        assert!(told.contains(part), "{part} in: {told}");
    }
    assert_eq!(check("?immutable=1").await, "2 good, 0 with faults\n");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_file_that_is_replaced_while_the_service_runs_is_read_with_its_times_and_its_text() {
    let sandbox = Sandbox::with_counting();
    let make = |name: &str, text: &str| {
        let made = rusqlite::Connection::open(sandbox.path(name)).unwrap();
        let setup = "create table ev(id int, at datetime default current_timestamp, name text);
            insert into ev(id, at) values(1,'2024-01-31 08:00:00'),(2,'2024-01-31T10:00:00Z'),(3,'2024-01-31 23:00:00'),(4,'2024-02-01');";
        made.execute_batch(setup).unwrap();
        made.execute_batch(&format!("update ev set name = cast({text} as text)")).unwrap();
    };
    make("shop.db", "x'ff41'");
    let settings = std::fs::read_to_string(sandbox.path("waitless.toml")).unwrap();
    let source = format!("[sources.shop]\nurl = \"sqlite:{}?text=latin1\"\n", sandbox.path("shop.db").display());
    sandbox.write("waitless.toml", &format!("{settings}{source}"));
    sandbox.write(
        "catalogue/events.toml",
        "title = \"Events\"\nsource = \"shop\"\nsql = \"select id, at, name from ev where at >= :f and at < :t order by id\"\n\
         [params.f]\ntype = \"timestamp\"\n[params.t]\ntype = \"timestamp\"\ndefault = \"2024-02-01T00:00:00Z\"\n\
         [[columns]]\nname = \"at\"\ntype = \"timestamp\"\n",
    );
    assert_eq!(sandbox.say(&["check", "--connect"]).await, "2 good, 0 with faults\n");
    let _service = sandbox.up().await;
    for name in ["ÿA", "new"] {
        sandbox.say(&["run", "events", "--param", "f=2024-01-31T10:00:00+01:00", "--out", "events.csv"]).await;
        let csv = std::fs::read_to_string(sandbox.path("events.csv")).unwrap();
        let expected = format!("id,at,name\r\n2,2024-01-31T10:00:00Z,{name}\r\n3,2024-01-31T23:00:00Z,{name}\r\n");
        assert_eq!(csv, expected);
        std::fs::remove_file(sandbox.path("events.csv")).unwrap();
        make("next.db", "'new'");
        std::fs::rename(sandbox.path("next.db"), sandbox.path("shop.db")).unwrap();
    }
}
