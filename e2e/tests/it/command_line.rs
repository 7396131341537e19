//! The command line that the three services and `waitless up` have in common.

use std::process::Output;

/// A service, and what stands before its options.
const SERVICES: [(&str, &[&str]); 4] = [("api", &[]), ("report-worker", &[]), ("notifier", &[]), ("waitless", &["up"])];

async fn run(service: (&str, &[&str]), arguments: &[&str]) -> Output {
    let program = testing::process::built(service.0).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(program);
    command.args(service.1).args(arguments).current_dir(folder.path()).kill_on_drop(true);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WAITLESS_")) {
        command.env_remove(name);
    }
    tokio::time::timeout(crate::stack::SOON, command.output()).await.expect("it ends").unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn every_service_tells_its_options_and_refuses_others_with_code_2() {
    for service in SERVICES {
        let help = run(service, &["--help"]).await;
        assert!(help.status.success(), "{service:?}");
        for option in ["--config <FILE>", "--data <FOLDER>", "--listen <ADDRESS>", "WAITLESS_CONFIG"] {
            assert!(said(&help).contains(option), "{service:?}: {}", said(&help));
        }
        for wrong in [&["--confg", "x.toml"][..], &["--config"], &["--listen", "nowhere"], &["a.toml", "b.toml"]] {
            let refused = run(service, wrong).await;
            assert_eq!(refused.status.code(), Some(2), "{service:?} {wrong:?}: {}", said(&refused));
            assert!(said(&refused).contains("error: "), "{}", said(&refused));
        }
    }
}

#[tokio::test]
async fn every_binary_tells_its_version() {
    for (name, _) in SERVICES {
        let version = run((name, &[]), &["--version"]).await;
        assert_eq!(said(&version).trim(), format!("{name} {}", env!("CARGO_PKG_VERSION")));
    }
}

#[tokio::test]
async fn every_service_reads_the_file_that_it_is_given_in_either_way() {
    for service in SERVICES {
        for arguments in [&["--config", "missing.toml"][..], &["--config=missing.toml"], &["missing.toml"]] {
            let output = run(service, arguments).await;
            assert_eq!(output.status.code(), Some(1), "{service:?}: {}", said(&output));
            assert!(said(&output).contains("missing.toml: the configuration file cannot be read"), "{}", said(&output));
        }
    }
}

#[tokio::test]
async fn services_that_run_reports_refuse_a_source_that_nobody_reads_before_they_open_anything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("waitless.toml");
    let database = "[database]\nurl = \"postgres://127.0.0.1:1/none\"\n";
    std::fs::write(&file, format!("{database}[sources.erp]\nurl = \"oracle://user:hunter2@erp/db\"\n")).unwrap();
    for service in [
        ("report-worker", &[][..]),
        ("waitless", &["up"]),
        ("waitless", &["check", "--connect"]),
        ("waitless", &["config"]),
    ] {
        let output = run(service, &["--config", file.to_str().unwrap()]).await;
        assert_eq!(output.status.code(), Some(1), "{service:?}: {}", said(&output));
        let told = "sources.erp.url: starts with `oracle`; accepted are postgres://, postgresql://, mysql://, mariadb://, sqlite:";
        assert!(said(&output).contains(told) && !said(&output).contains("hunter2"), "{service:?}: {}", said(&output));
    }
}
