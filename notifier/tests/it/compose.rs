//! What a mail says, and what nobody can make it say.

use notifier::compose::facts::Facts;
use notifier::compose::{ComposeError, Composer};
use shared::artifact::Format;
use shared::event::EventKind;
use shared::problem::{Problem, ProblemKind};
use testing::smtp::Mail;

use crate::facts::{artifact, config, delivery, failed, ready};

/// Composes a mail, and keeps its HTML under `target/tmp/mails` to be looked at with a browser.
fn compose(name: &str, event: EventKind, facts: &Facts) -> Mail {
    let mail = Composer::new(&config()).unwrap().compose(&delivery(event), facts).unwrap();
    let source = String::from_utf8(mail.message).unwrap();
    let mail = Mail { from: mail.from.to_string(), to: vec![mail.to.to_string()], source };
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("mails");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.html")), mail.html()).unwrap();
    mail
}

/// The mail as it is read, without the parts that a browser draws.
fn as_read(mail: &Mail) -> String {
    let headers = mail.source.split("\r\n\r\n").next().unwrap().replace("\r\n", "\n");
    format!("{headers}\n\n{}", mail.text().replace("\r\n", "\n"))
}

fn unreachable() -> Problem {
    Problem::new(ProblemKind::SourceUnavailable, "The source `erp` did not accept a connection within 5s.")
}

#[test]
fn a_ready_report_is_told_with_its_link_and_what_is_in_it() {
    let mail = compose("ready", EventKind::Done, &ready(vec![artifact(2, Format::Csv, 12_345_678, 175_432)]));
    insta::assert_snapshot!("ready_text", as_read(&mail));
    insta::assert_snapshot!("ready_html", mail.html().replace("\r\n", "\n"));
}

#[test]
fn a_report_in_two_formats_has_a_link_each_and_says_that_one_is_cut() {
    let mut cut = artifact(3, Format::Jsonl, 1_840_000_000, 4_200_000);
    cut.complete = false;
    let facts = ready(vec![artifact(2, Format::Csv, 12_345_678, 175_432), cut]);
    let mail = compose("two-files", EventKind::Done, &facts);
    insta::assert_snapshot!("two_files_text", as_read(&mail));
    for artifact in &facts.job.artifacts {
        let token = shared::access::link_token(config().service.link_secret.expose(), artifact.link_id);
        let link = format!("https://reports.example.com/d/{token}");
        assert!(mail.html().contains(&format!("href=\"{link}\"")) && mail.text().contains(&link));
    }
}

#[test]
fn a_failed_report_is_told_with_what_happened_and_what_to_do() {
    let mail = compose("failed", EventKind::Failed, &failed(unreachable()));
    insta::assert_snapshot!("failed_text", as_read(&mail));
    insta::assert_snapshot!("failed_html", mail.html().replace("\r\n", "\n"));
}

#[test]
fn every_kind_of_failure_has_advice() {
    for kind in [ProblemKind::TimedOut, ProblemKind::QueryFailed, ProblemKind::WorkersLost, ProblemKind::TooManyRows] {
        let mail = compose("advice", EventKind::Failed, &failed(Problem::new(kind, "Details.")));
        assert!(mail.text().contains(kind.describe().1) && mail.text().contains("What you can do"), "{kind:?}");
    }
}

#[test]
fn the_same_delivery_gives_the_same_bytes() {
    let facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
    let composer = || Composer::new(&config()).unwrap().compose(&delivery(EventKind::Done), &facts).unwrap();
    assert_eq!(composer(), composer());
}

#[test]
fn a_sensitive_parameter_is_not_shown() {
    for (name, event, facts) in [
        ("sensitive-ready", EventKind::Done, ready(vec![artifact(2, Format::Csv, 1, 1)])),
        ("sensitive-failed", EventKind::Failed, failed(unreachable())),
    ] {
        let mail = compose(name, event, &facts);
        assert!(facts.job.params["account"] == "canary-4711");
        assert!(!mail.text().contains("canary") && !mail.html().contains("canary"));
        assert!(mail.text().contains("Account: (not shown)"));
    }
}

#[test]
fn without_its_definition_no_parameter_is_shown_because_none_is_known_to_be_harmless() {
    let mut facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
    facts.report = None;
    let mail = compose("no-definition", EventKind::Done, &facts);
    assert_eq!(mail.subject(), "Your report is ready: revenue-by-nation");
    assert!(!mail.text().contains("canary") && !mail.text().contains("1997-01-01"));
}

#[test]
fn text_from_outside_never_becomes_html_or_a_header() {
    const EVIL: &str = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}\r\nBcc: eve@example.com\r\n\r\n<script>";
    let mut file = artifact(2, Format::Csv, 1, 1);
    file.filename = EVIL.to_owned();
    let mut done = ready(vec![file]);
    let report = done.report.as_mut().unwrap();
    (report.title, report.description, report.params[1].label) = (EVIL.to_owned(), EVIL.to_owned(), EVIL.to_owned());
    done.job.params.insert("segments".to_owned(), EVIL.into());
    let mut lost = failed(Problem::new(ProblemKind::QueryFailed, EVIL));
    lost.report.clone_from(&done.report);
    for (name, event, facts) in [("evil-ready", EventKind::Done, done), ("evil-failed", EventKind::Failed, lost)] {
        let mail = compose(name, event, &facts);
        let html = mail.html();
        assert!(!html.contains("<img") && !html.contains("<script") && !html.contains("49"), "{html}");
        assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"), "{html}");
        assert_eq!(mail.header("Bcc"), None);
        assert_eq!(mail.to, ["ana@example.com"]);
        assert!(mail.source.lines().all(|line| !line.starts_with("Bcc")), "{}", mail.source);
    }
}

#[test]
fn an_address_with_a_line_break_is_refused() {
    let composer = Composer::new(&config()).unwrap();
    let facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
    for recipient in
        ["ana@example.com\r\nBcc: eve@example.com", "ana@example.com\nRCPT TO:<eve@example.com>", "ana", ""]
    {
        let mut delivery = delivery(EventKind::Done);
        delivery.recipient = recipient.to_owned();
        assert!(matches!(composer.compose(&delivery, &facts), Err(ComposeError::NotAnAddress)), "{recipient:?}");
    }
}

#[test]
fn the_list_of_allowed_recipients_holds_at_the_time_of_sending() {
    let mut config = config();
    config.mail.allow = vec!["@example.org".to_owned()];
    let facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
    let composed = Composer::new(&config).unwrap().compose(&delivery(EventKind::Done), &facts);
    assert!(matches!(composed, Err(ComposeError::NotAllowed)));
}

#[test]
fn nobody_is_mailed_about_a_cancel_or_about_files_that_are_gone() {
    let composer = Composer::new(&config()).unwrap();
    let cancelled = composer.compose(&delivery(EventKind::Cancelled), &ready(vec![artifact(2, Format::Csv, 1, 1)]));
    assert!(matches!(cancelled, Err(ComposeError::NotTold)));
    let gone = composer.compose(&delivery(EventKind::Done), &ready(Vec::new()));
    assert!(matches!(gone, Err(ComposeError::NoFiles)));
}

#[test]
fn a_subject_in_any_script_is_readable_and_the_message_stays_ascii() {
    let mut facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
    facts.report.as_mut().unwrap().title = "Umsätze nach Ländern · 売上 📈".to_owned();
    let mail = compose("scripts", EventKind::Done, &facts);
    assert_eq!(mail.subject(), "Your report is ready: Umsätze nach Ländern · 売上 📈");
    assert!(mail.html().contains("Umsätze nach Ländern · 売上 📈"));
    assert!(mail.source.is_ascii());
}
