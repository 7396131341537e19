use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::service::{DEADLINE, Sandbox, output_text};

#[tokio::test]
async fn a_gateway_killed_in_the_middle_of_a_job_and_started_again_still_delivers_it_once() {
    let sandbox = Sandbox::with_counting();
    let service = sandbox.up().await;
    let listen = service.listen();
    let arguments = ["run", "counting", "--param", "rows=800000", "--out", "slow.csv", "--email", "ana@example.com"];
    let running = tokio::spawn(sandbox.command(&arguments).output());
    sandbox.newest_job_is("processing").await;
    service.kill().await;
    let _service = sandbox.up_on(&listen).await;

    let output = tokio::time::timeout(DEADLINE, running).await.expect("run ends").unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", output_text(&output));
    let jobs = sandbox.json(&["jobs"]).await;
    let [job] = jobs["jobs"].as_array().unwrap().as_slice() else { panic!("{jobs}") };
    assert_eq!((&job["state"], &job["attempt"]), (&Value::from("done"), &Value::from(2)));
    let file = std::fs::read(sandbox.path("slow.csv")).unwrap();
    assert_eq!(hex::encode(Sha256::digest(&file)), job["artifacts"][0]["sha256"]);
    assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 800_001);
    testing::eventually(DEADLINE, "the mail", async || !sandbox.mails().is_empty()).await;
    assert_eq!(sandbox.mails().len(), 1);
}

#[tokio::test]
async fn several_formats_make_several_files_in_a_folder_from_one_job() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    std::fs::create_dir(sandbox.path("out")).unwrap();
    sandbox.say(&["run", "counting", "--format", "csv", "--format", "jsonl", "--out", "out"]).await;
    let csv = crate::service::files(&sandbox.path("out"), "csv");
    let jsonl = crate::service::files(&sandbox.path("out"), "jsonl");
    assert_eq!((csv.len(), jsonl.len()), (1, 1));
    assert_eq!(std::fs::read_to_string(&csv[0]).unwrap(), "i,name\r\n1,row 1\r\n2,row 2\r\n3,row 3\r\n");
    assert_eq!(sandbox.json(&["jobs"]).await["jobs"].as_array().unwrap().len(), 1);
    assert!(crate::service::files(&sandbox.path("out"), "part").is_empty());
}

#[tokio::test]
async fn a_further_format_of_a_finished_job_is_made_from_the_file_it_kept() {
    let sandbox = Sandbox::with_counting();
    sandbox.write(
        "catalogue/kept.toml",
        "title = \"Kept\"\nsource = \"numbers\"\nformats = [\"csv\", \"parquet\", \"jsonl\"]\nsql = \"select 1.5 as a, '-x' as b\"\n",
    );
    let _service = sandbox.up().await;
    sandbox.say(&["run", "kept", "--format", "parquet", "--out", "kept.parquet"]).await;
    let id = sandbox.newest_job_is("done").await["id"].as_str().unwrap().to_owned();
    std::fs::remove_file(sandbox.path("numbers.sqlite")).unwrap();
    std::fs::create_dir(sandbox.path("out")).unwrap();
    let formats = ["--format", "csv", "--format", "jsonl"];
    let done = sandbox.json(&[&["convert", &id, "--out", "out"], &formats[..]].concat()).await;
    assert_eq!(done["job"]["made_from"], id.as_str());
    let csv = crate::service::files(&sandbox.path("out"), "csv");
    assert_eq!(std::fs::read_to_string(&csv[0]).unwrap(), "a,b\r\n1.5,'-x\r\n");
    let jsonl = crate::service::files(&sandbox.path("out"), "jsonl");
    assert_eq!(std::fs::read_to_string(&jsonl[0]).unwrap(), "{\"a\":1.5,\"b\":\"-x\"}\n");
    let output = sandbox.output(&["convert", &id, "--format", "parquet"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output_text(&output).contains("is there already"), "{}", output_text(&output));
}

#[tokio::test]
async fn a_format_that_cannot_be_made_is_told_and_the_others_are_fetched() {
    let sandbox = Sandbox::with_counting();
    sandbox.write(
        "catalogue/twice.toml",
        "title = \"Twice\"\nsource = \"numbers\"\nformats = [\"csv\", \"parquet\", \"jsonl\"]\nsql = \"select 1 as a, 2 as a\"\n",
    );
    let _service = sandbox.up().await;
    std::fs::create_dir(sandbox.path("out")).unwrap();
    let formats = ["--format", "csv", "--format", "jsonl", "--out", "out"];
    let output = sandbox.output(&[&["run", "twice", "--keep-others"], &formats[..]].concat()).await;
    assert_eq!(output.status.code(), Some(6), "{}", output_text(&output));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("There is no jsonl file.") && said.contains("`a`"), "{said}");
    let csv = crate::service::files(&sandbox.path("out"), "csv");
    assert_eq!(std::fs::read_to_string(&csv[0]).unwrap(), "a,a\r\n1,2\r\n");
    assert!(crate::service::files(&sandbox.path("out"), "jsonl").is_empty());
    let id = sandbox.newest_job_is("done").await["id"].as_str().unwrap().to_owned();
    let shown = sandbox.say(&["show", &id]).await;
    assert!(shown.contains("Not made") && shown.contains("jsonl: "), "{shown}");
    let job = sandbox.json(&["show", &id]).await;
    assert_eq!(
        (&job["refused"][0]["format"], &job["on_refusal"]),
        (&Value::from("jsonl"), &Value::from("keep_others"))
    );
    let output = sandbox.output(&["watch", &id]).await;
    assert_eq!(output.status.code(), Some(6), "{}", output_text(&output));
    let output = sandbox.output(&[&["run", "twice"], &formats[..]].concat()).await;
    assert_eq!(output.status.code(), Some(3), "without that wish it fails: {}", output_text(&output));
}

#[tokio::test]
async fn a_cancelled_job_ends_the_run_with_its_own_exit_code() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let running = tokio::spawn(sandbox.command(&["run", "counting", "--param", "rows=500000000"]).output());
    let job = sandbox.newest_job_is("processing").await;
    let id = job["id"].as_str().unwrap();
    assert!(sandbox.say(&["cancel", id]).await.contains("is cancelled"));
    let output = tokio::time::timeout(DEADLINE, running).await.expect("run ends").unwrap().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", output_text(&output));
    assert!(crate::service::files(&sandbox.path("."), "csv").is_empty());
}

#[tokio::test]
async fn a_failed_job_tells_why_can_be_shown_and_is_replayed() {
    let sandbox = Sandbox::with_counting();
    sandbox.write("catalogue/broken.toml", "title = \"Broken\"\nsource = \"numbers\"\nsql = \"select * from later\"\n");
    let _service = sandbox.up().await;
    let output = sandbox.output(&["run", "broken", "--out", "broken.csv"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", output_text(&output));
    assert!(output_text(&output).contains("no such table: later"), "{}", output_text(&output));
    assert!(!sandbox.path("broken.csv").exists() && !sandbox.path("broken.csv.part").exists());

    let id = sandbox.json(&["jobs"]).await["jobs"][0]["id"].as_str().unwrap().to_owned();
    let shown = sandbox.say(&["show", &id]).await;
    assert!(shown.contains("State") && shown.contains("failed") && shown.contains("no such table: later"), "{shown}");
    let source = rusqlite::Connection::open(sandbox.path("numbers.sqlite")).unwrap();
    source.execute_batch("create table later as select 7 as x").unwrap();
    sandbox.say(&["replay", &id]).await;
    let job = sandbox.newest_job_is("done").await;
    assert_eq!(job["artifacts"][0]["rows"], 1);
    let shown = sandbox.say(&["show", &id]).await;
    assert!(shown.contains("SHA-256") && shown.contains("1, complete"), "{shown}");
}

#[tokio::test]
async fn ctrl_c_leaves_the_job_alone_and_says_how_to_go_on() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let mut command = sandbox.command(&["run", "counting", "--param", "rows=500000000"]);
    let running = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let pid = running.id().unwrap().to_string();
    let job = sandbox.newest_job_is("processing").await;
    let interrupted = tokio::process::Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
    assert!(interrupted.success());
    let output = tokio::time::timeout(DEADLINE, running.wait_with_output()).await.expect("run ends").unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", output_text(&output));
    let id = job["id"].as_str().unwrap();
    assert!(output_text(&output).contains(&format!("`waitless cancel {id}` ends it")), "{}", output_text(&output));
    assert_eq!(sandbox.json(&["show", id]).await["state"], "processing");
    sandbox.say(&["cancel", id]).await;
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_job() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let arguments = ["run", "counting", "--detach", "--idempotency-key", "monday"];
    let first = sandbox.say(&arguments).await;
    assert_eq!(sandbox.say(&arguments).await, first);
    assert_eq!(sandbox.json(&["jobs"]).await["jobs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    let sandbox = Sandbox::with_counting();
    let service = sandbox.up().await;
    let arguments = ["run", "counting", "--param", "rows=300000", "--idempotency-key", "once"];
    sandbox.say(&[&arguments[..], &["--detach"]].concat()).await;
    let job = sandbox.newest_job_is("done").await;
    let bytes = job["artifacts"][0]["bytes"].as_u64().unwrap();

    let proxy = testing::proxy::start(service.listen()).await.unwrap();
    proxy.throttle(1_000_000);
    let url = proxy.url(&service.address);
    let running = sandbox.command(&[&arguments[..], &["--out", "part.csv", "--url", &url]].concat()).output();
    let running = tokio::spawn(running);
    let arrived = || std::fs::metadata(sandbox.path("part.csv.part")).map_or(0, |file| file.len());
    testing::eventually(DEADLINE, "some of the file", async || arrived() > 200_000).await;
    proxy.cut();
    proxy.heal();
    let carried = proxy.connections();
    let output = tokio::time::timeout(DEADLINE, running).await.expect("run ends").unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", output_text(&output));
    assert!(proxy.connections() > carried, "it came back");
    let file = std::fs::read(sandbox.path("part.csv")).unwrap();
    assert_eq!(file.len() as u64, bytes);
    assert_eq!(hex::encode(Sha256::digest(&file)), job["artifacts"][0]["sha256"]);
}

#[tokio::test]
async fn a_file_that_is_not_the_one_of_its_receipt_is_not_kept() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let arguments = ["run", "counting", "--idempotency-key", "once"];
    sandbox.say(&[&arguments[..], &["--detach"]].concat()).await;
    let job = sandbox.newest_job_is("done").await;
    let mut stored = crate::service::files(&sandbox.path("data/artifacts"), "csv");
    stored.retain(|path| path.to_string_lossy().contains(job["id"].as_str().unwrap()));
    let stored = stored.remove(0);
    let text = std::fs::read_to_string(&stored).unwrap();
    std::fs::write(&stored, text.replace("row 2", "row 7")).unwrap();

    sandbox.write("kept.csv", "what was there before");
    let output = sandbox.output(&[&arguments[..], &["--out", "kept.csv"]].concat()).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output_text(&output).contains("is not the one of the receipt"), "{}", output_text(&output));
    assert_eq!(std::fs::read_to_string(sandbox.path("kept.csv")).unwrap(), "what was there before");
    assert!(!sandbox.path("kept.csv.part").exists());
}

#[tokio::test]
async fn a_file_that_nobody_named_keeps_its_own_name_and_replaces_nothing() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let saved = sandbox.json(&["run", "counting"]).await;
    let name = saved["job"]["artifacts"][0]["filename"].as_str().unwrap();
    assert_eq!(saved["saved"][0]["path"], name);
    sandbox.write(name, "what was there before");
    let output = sandbox.output(&["run", "counting"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output_text(&output).contains("exists; name another file with --out"), "{}", output_text(&output));
    assert_eq!(std::fs::read_to_string(sandbox.path(name)).unwrap(), "what was there before");
}

#[tokio::test]
async fn a_compressed_file_is_offered_under_the_name_and_type_of_what_it_is() {
    let sandbox = Sandbox::with_counting();
    for (compression, _, _, _) in COMPRESSED {
        let options = format!("[csv]\ncompression = \"{compression}\"\n[jsonl]\ncompression = \"{compression}\"\n");
        let head =
            "title = \"Packed\"\nsource = \"numbers\"\nformats = [\"csv\", \"jsonl\"]\nsql = \"select 1 as one\"\n";
        sandbox.write(&format!("catalogue/{compression}.toml"), &format!("{head}{options}"));
    }
    let _service = sandbox.up().await;
    std::fs::create_dir(sandbox.path("out")).unwrap();
    for (compression, ending, media_type, begin) in COMPRESSED {
        let arguments = ["run", compression, "--format", "csv", "--format", "jsonl", "--out", "out"];
        let done = sandbox.json(&arguments).await;
        for (at, format) in ["csv", "jsonl"].into_iter().enumerate() {
            let artifact = &done["job"]["artifacts"][at];
            let name = artifact["filename"].as_str().unwrap();
            assert!(name.ends_with(&format!(".{format}.{ending}")), "{name}");
            let answer = reqwest::get(artifact["link"].as_str().unwrap()).await.unwrap();
            assert_eq!(answer.headers()["content-type"], media_type);
            assert!(answer.headers()["content-disposition"].to_str().unwrap().contains(name), "{answer:?}");
            assert!(answer.headers().get("content-encoding").is_none(), "a browser would unpack it under this name");
            let file = answer.bytes().await.unwrap();
            assert!(file.starts_with(begin), "{file:?}");
            assert_eq!(file, std::fs::read(sandbox.path("out").join(name)).unwrap());
        }
    }
}

/// A compression, the ending of a name, the media type, and how such files begin.
const COMPRESSED: [(&str, &str, &str, &[u8]); 2] =
    [("gzip", "gz", "application/gzip", &[0x1f, 0x8b]), ("zstd", "zst", "application/zstd", &[0x28, 0xb5, 0x2f, 0xfd])];

#[tokio::test]
async fn a_font_of_the_settings_is_taken_for_what_the_built_in_ones_do_not_have() {
    let sandbox = Sandbox::with_counting();
    let chess =
        "title = \"Chess\"\nsource = \"numbers\"\nformats = [\"pdf\"]\nsql = \"select 'A \u{265e} B' as knight\"\n";
    sandbox.write("catalogue/chess.toml", chess);
    let fonts = async |file: &str| {
        sandbox.say(&["run", "chess", "--out", file]).await;
        let output = tokio::process::Command::new("pdffonts").arg(sandbox.path(file)).output().await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let service = sandbox.up().await;
    assert!(!fonts("plain.pdf").await.contains("DejaVu"));
    assert_eq!(service.stop().await, 0);
    sandbox.configure("[worker]\nfonts = [\"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf\"]\n");
    let _service = sandbox.up().await;
    let said = fonts("knight.pdf").await;
    assert!(said.contains("DejaVuSans") && said.contains("NotoSans"), "{said}");
}
