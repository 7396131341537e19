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

/// As the Jobs of a release do, which are given one secret and no configuration.
#[tokio::test(flavor = "multi_thread")]
async fn migrations_and_keys_need_the_address_of_the_database_and_nothing_else() {
    let server = testing::postgres::Server::start().await.unwrap();
    let database = server.create_database("fresh").await.unwrap();
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "wl_0123456789abcdef0123456789abcdef\n").unwrap();
    let token = token.path().display().to_string();
    let create = ["keys", "create", "--principal", "autoscaler", "--scope", "backlog", "--key-file", &token];
    let run = async |words: &[&str]| {
        let process = testing::process::binary("waitless")
            .env("WAITLESS_SERVICE__MODE", "production")
            .env("WAITLESS_DATABASE__URL", database.clone())
            .env("WAITLESS_DATABASE__MIGRATE", "false");
        let process = words.iter().fold(process, |process, word| process.arg(*word));
        let mut process = process.start().await.unwrap();
        let code = process.wait(std::time::Duration::from_secs(60)).await.unwrap().code();
        (code, process.log())
    };
    let (code, said) = run(&create).await;
    assert!(code == Some(1) && said.contains("run `waitless migrate` first"), "{said}");
    for words in [&["migrate"][..], &create, &create] {
        let (code, said) = run(words).await;
        assert_eq!(code, Some(0), "{words:?}: {said}");
    }
    let keys = testing::postgres::sql(&database, "select count(*) from api_keys").await.unwrap();
    assert_eq!(keys, [[Some("1".to_owned())]]);
}

/// The image has the C library and what belongs to it.
#[tokio::test]
async fn the_programs_need_no_library_but_those_of_the_c_compiler() {
    for (name, _) in SERVICES {
        let program = testing::process::built(name).await.unwrap();
        let said = std::process::Command::new("readelf").arg("--dynamic").arg(&program).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let needed: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("(NEEDED)"))
            .filter_map(|line| line.split(['[', ']']).nth(1))
            .collect();
        assert!(needed.contains(&"libc.so.6"), "{said}");
        let of_the_image =
            |name: &&str| name.starts_with("ld-linux") || ["libc.so.6", "libm.so.6", "libgcc_s.so.1"].contains(name);
        assert!(needed.iter().all(of_the_image), "{name}: {needed:?}");
    }
}
