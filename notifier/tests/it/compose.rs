//! What a mail says, and what nobody can make it say.

use std::path::Path;

use configuration::{Config, Logo};
use model::artifact::{Artifact, Format};
use model::delivery::{Delivery, DeliveryEvent};
use model::forecast::{Eta, Forecast};
use model::job::JobState;
use model::locale::{Language, time_zone};
use model::problem::{Problem, ProblemKind};
use model::progress::{Phase, Progress};
use model::refusal::Refusal;
use notifier::channel::DeliveryAttempt;
use notifier::compose::facts::Facts;
use notifier::compose::{ComposeError, Composer};
use notifier::email::{OutgoingMail, RenderError, Renderer};
use report::LinkAccess;
use testing::smtp::Mail;

use crate::facts::{TOLD, artifact, at, config, delivery, failed, late, read_by, ready};

/// Composes a mail, and keeps its HTML under `target/tmp/mails` to be looked at with a browser.
fn compose(name: &str, event: DeliveryEvent, facts: &Facts) -> Mail {
    compose_with(&config(), name, event, facts)
}

/// Does what the notifier does before it sends.
fn render(config: &Config, delivery: &Delivery, facts: &Facts) -> Result<OutgoingMail, RenderError> {
    let composer = Composer::new(config).unwrap();
    let content = composer.compose(delivery, facts).unwrap();
    let brand = composer.brand(&delivery.tenant);
    Renderer::new(&config.mail).unwrap().render(DeliveryAttempt { delivery, facts, content: &content, brand })
}

fn compose_with(config: &Config, name: &str, event: DeliveryEvent, facts: &Facts) -> Mail {
    let mail = render(config, &delivery(event), facts).unwrap();
    let source = String::from_utf8(mail.message).unwrap();
    let mail = Mail { from: mail.from.to_string(), to: vec![mail.to.to_string()], source };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mails");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.html")), mail.html()).unwrap();
    mail
}

/// The mail as it is read, without the parts that a browser draws.
fn as_read(mail: &Mail) -> String {
    let headers = mail.source.split("\r\n\r\n").next().unwrap().replace("\r\n", "\n");
    format!("{headers}\n\nSubject, decoded: {}\n\n{}", mail.subject(), mail.text().replace("\r\n", "\n"))
}

fn unreachable() -> Problem {
    Problem::new(ProblemKind::SourceUnavailable, "The source `erp` did not accept a connection within 5s.")
}

fn cut() -> Artifact {
    Artifact { complete: false, ..artifact(3, Format::Jsonl, 1_840_000_000, 4_200_000) }
}

fn half_read() -> Progress {
    Progress {
        phase: Phase::Reading,
        rows: 123_456,
        total_rows: Some(600_000),
        total_is_estimate: true,
        bytes: 9_500_000,
    }
}

/// In four to nine minutes.
fn soon() -> Eta {
    Eta { p10: 240_000, p50: 400_000, p90: 540_000, runs: 12 }
}

/// The same without two more formats that were asked for.
fn in_part(mut facts: Facts) -> Facts {
    let refusal = |format, kind, detail| Refusal { format, problem: Problem::new(kind, detail) };
    facts.job.refused = vec![
        refusal(
            Format::Parquet,
            ProblemKind::UnsupportedColumn,
            "two columns are called `id`, which a Parquet file cannot say",
        ),
        refusal(Format::Pdf, ProblemKind::TooManyBytes, "the file is larger than 1048576 bytes <b>"),
    ];
    facts
}

/// Every kind of mail there is.
fn kinds() -> [(&'static str, DeliveryEvent, Facts); 7] {
    let whole = || artifact(2, Format::Xlsx, 12_345_678, 175_432);
    [
        ("ready", DeliveryEvent::Done, ready(vec![whole()])),
        ("cut", DeliveryEvent::Done, ready(vec![cut()])),
        ("several", DeliveryEvent::Done, ready(vec![whole(), artifact(4, Format::Pdf, 998_200, 175_432), cut()])),
        ("part", DeliveryEvent::Done, in_part(ready(vec![whole()]))),
        ("failed", DeliveryEvent::Failed, failed(unreachable())),
        ("late", DeliveryEvent::Late, late(JobState::Processing, half_read(), Some(soon()))),
        ("waiting", DeliveryEvent::Late, late(JobState::Pending, Progress::default(), None)),
    ]
}

#[test]
fn every_kind_of_mail_reads_well_in_every_language() {
    for (language, zone) in [
        ("en", "America/New_York"),
        ("de", "Europe/Berlin"),
        ("fr", "Europe/Paris"),
        ("es", "America/Sao_Paulo"),
        ("zh", "Asia/Shanghai"),
    ] {
        for (kind, event, facts) in kinds() {
            let name = format!("{kind}_{language}");
            let mail = compose(&name, event, &read_by(facts, language, zone));
            insta::assert_snapshot!(name.as_str(), as_read(&mail));
            assert!(mail.html().contains(&format!("<html lang=\"{language}")), "{name}");
            assert!(!mail.text().contains(['{', '}']) && mail.source.is_ascii(), "{name}");
        }
    }
}

#[test]
fn every_kind_of_mail_looks_as_it_was_designed() {
    for (kind, event, facts) in kinds() {
        let mail = compose(&format!("{kind}_plain"), event, &facts);
        insta::assert_snapshot!(format!("{kind}_html"), mail.html().replace("\r\n", "\n"));
    }
}

#[test]
fn what_is_in_the_html_is_in_the_text_too() {
    for (kind, event, facts) in kinds() {
        let mail = compose(kind, event, &facts);
        let (html, text) = (mail.html(), mail.text());
        let cells = html.split("<td class=\"strong line\"").skip(1).map(|cell| {
            let cell = cell.split_once('>').unwrap().1.split("</td>").next().unwrap();
            cell.trim_start_matches(|c| c != '>').trim_start_matches('>').split('<').next().unwrap().to_owned()
        });
        assert!(html.matches("<td class=\"strong line\"").count() >= 4, "{kind}");
        for cell in cells {
            assert!(text.contains(&cell), "{kind}: {cell}");
        }
        for link in html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(text.contains(link), "{kind}: {link}");
        }
    }
}

#[test]
fn a_report_in_several_formats_is_one_mail_with_a_link_each() {
    let facts = ready(vec![artifact(2, Format::Csv, 12_345_678, 175_432), cut()]);
    let mail = compose("two-files", DeliveryEvent::Done, &facts);
    for artifact in &facts.job.artifacts {
        let token = model::access::link_token(config().service.link_secret.expose(), artifact.link_id);
        let link = format!("https://reports.example.com/d/{token}");
        assert!(mail.html().contains(&format!("href=\"{link}\"")) && mail.text().contains(&link));
    }
    assert_eq!(mail.subject(), "Your report is ready, but not complete: Revenue by nation and year");
}

#[test]
fn a_wish_that_nobody_knows_falls_back_to_the_tenant_s_language_and_time_zone() {
    let mut config = config();
    let mut acme = config.mail.brand.clone();
    (acme.language, acme.time_zone) = (Language::De, time_zone("Europe/Berlin").unwrap());
    config.tenants.insert("acme".to_owned(), acme.into());
    let facts = || ready(vec![artifact(2, Format::Csv, 1, 1)]);
    for (facts, expected) in [
        (facts(), "Ihr Bericht ist fertig"),
        (read_by(facts(), "tlh", "Mars/Olympus"), "Ihr Bericht ist fertig"),
        (read_by(facts(), "es-MX", "UTC"), "Su informe está listo"),
    ] {
        let mail = compose_with(&config, "wish", DeliveryEvent::Done, &facts);
        assert!(mail.subject().starts_with(expected), "{}", mail.subject());
        assert!(mail.text().contains("17:08 Uhr CET") != expected.starts_with("Su"), "{}", mail.text());
    }
}

/// A PNG of one pixel.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8,
    0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0x60, 0, 0, 0, 2, 0,
    1, 0x48, 0xaf, 0xa4, 0x71, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

#[test]
fn a_tenant_s_mails_have_its_name_colour_and_logo() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logo.png");
    std::fs::write(&file, PIXEL).unwrap();
    let mut config = config();
    let mut acme = config.mail.brand.clone();
    acme.name = "Acme & Söhne".to_owned();
    acme.color = "#7a1fa2".parse().unwrap();
    config.tenants.insert("acme".to_owned(), acme.clone().into());
    let facts = ready(vec![artifact(2, Format::Csv, 12_345_678, 175_432)]);
    let mail = compose_with(&config, "brand", DeliveryEvent::Done, &facts);
    assert!(mail.html().contains("Acme &amp; Söhne") && mail.text().contains("Acme & Söhne"));
    assert!(mail.html().contains("background-color:#7a1fa2") && !mail.html().contains("#1f5fbf"));

    acme.logo = Some(Logo::Address("https://cdn.example.com/logo.png?a=1&b=2".to_owned()));
    config.tenants.insert("acme".to_owned(), acme.clone().into());
    let mail = compose_with(&config, "brand-logo", DeliveryEvent::Done, &facts);
    assert!(mail.html().contains("<img src=\"https://cdn.example.com/logo.png?a=1&b=2\" alt=\"Acme &amp; Söhne\""));

    acme.logo = Some(Logo::File(file.clone()));
    config.tenants.insert("acme".to_owned(), acme.into());
    let mail = compose_with(&config, "brand-file", DeliveryEvent::Done, &facts);
    assert!(mail.html().contains("src=\"cid:logo@waitless\"") && mail.source.contains("Content-ID: <logo@waitless>"));
    let again = compose_with(&config, "brand-file", DeliveryEvent::Done, &facts);
    assert_eq!(mail.source, again.source);

    for (content, expected) in [(vec![b'x'; 100], "neither PNG, JPEG nor GIF"), (vec![0x89; 200 << 10], "at most")] {
        std::fs::write(&file, content).unwrap();
        let error = format!("{:#}", Composer::new(&config).unwrap_err());
        assert!(error.contains(expected) && error.contains("logo.png"), "{error}");
    }
}

#[test]
fn a_link_that_demands_a_login_is_told_so() {
    let mut facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
    facts.report.as_mut().unwrap().links = LinkAccess::Tenant;
    let mail = compose("sign-in", DeliveryEvent::Done, &facts);
    assert!(mail.text().contains("asked to sign in") && !mail.text().contains("forward"));
}

#[test]
fn a_report_that_is_late_says_how_far_it_is_and_nothing_that_nobody_knows() {
    let reading = |rows, total_rows, total_is_estimate| Progress { rows, total_rows, total_is_estimate, ..half_read() };
    let storing = Progress { phase: Phase::Storing, ..half_read() };
    for (state, progress, expected) in [
        (
            JobState::Processing,
            Progress { phase: Phase::Starting, ..Progress::default() },
            "So far: The database is at work",
        ),
        (JobState::Processing, reading(0, None, false), "So far: The database is at work"),
        (JobState::Processing, reading(1, None, false), "So far: 1 row read\r\n"),
        (JobState::Processing, reading(1234, Some(2000), false), "So far: 1,234 of 2,000 rows read (61%)\r\n"),
        (JobState::Processing, half_read(), "So far: 123,456 of about 600,000 rows read (20%)\r\n"),
        (JobState::Processing, storing, "So far: 123,456 rows read; the file is being stored\r\n"),
        (JobState::Retrying, half_read(), "So far: Stopped by a fault that may pass"),
        (JobState::Pending, Progress::default(), "So far: Waiting for its turn\r\n"),
    ] {
        let mail = compose("late-far", DeliveryEvent::Late, &late(state, progress, None));
        let text = mail.text();
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(text.contains("Was expected: 22 November 2026, 16:09 to 16:11 UTC\r\n"), "{text}");
        assert!(text.contains("Expected now: Nobody can say any more"), "{text}");
        assert!(!text.contains("/d/") && text.contains("https://reports.example.com/jobs/"), "{text}");
    }
}

#[test]
fn a_mail_with_a_file_that_came_late_says_so_in_one_line() {
    let ready_after = |seconds: i64, forecast: Option<Eta>| {
        let mut facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
        facts.job.forecast = Some(Forecast { position: 1, eta: forecast, ..Forecast::default() });
        facts.job.finished_at = Some(at("2026-11-22T16:08:00Z") + chrono::TimeDelta::seconds(seconds));
        facts
    };
    const LINE: &str = "It took 12 min from the request; 2 min to 4 min had been expected.";
    let late = ready_after(720, Some(TOLD));
    let mail = compose("ready-late", DeliveryEvent::Done, &late);
    assert!(mail.text().contains(&format!("\r\n\r\n{LINE}\r\n")) && mail.html().contains(LINE), "{}", mail.text());
    let german = compose("ready-late-de", DeliveryEvent::Done, &read_by(late.clone(), "de", "UTC"));
    assert!(
        german.text().contains("Er hat ab der Anforderung 12 Min. statt der erwarteten 2 Min. bis 4 Min. gedauert.")
    );
    // Not by so much, told nothing, or put back after a failure: then it was not late, or nobody knows.
    let mut put_back = late;
    put_back.job.attempt = 2;
    for facts in [ready_after(350, Some(TOLD)), ready_after(720, None), put_back.clone()] {
        assert!(!compose("ready-in-time", DeliveryEvent::Done, &facts).text().contains("expected"));
    }
    let mut config = config();
    config.mail.late_after = None;
    put_back.job.attempt = 1;
    assert!(!compose_with(&config, "ready-silent", DeliveryEvent::Done, &put_back).text().contains("expected"));
}

#[test]
fn every_kind_of_failure_has_advice() {
    for kind in [ProblemKind::TimedOut, ProblemKind::QueryFailed, ProblemKind::WorkersLost, ProblemKind::TooManyRows] {
        let mail = compose("advice", DeliveryEvent::Failed, &failed(Problem::new(kind, "Details.")));
        let (happened, todo) = mail.text().split_once("What you can do").map(|(a, b)| (a.len(), b.len())).unwrap();
        assert!(happened > 100 && todo > 100 && mail.text().contains("Details."), "{kind:?}");
    }
}

#[test]
fn the_same_delivery_gives_the_same_bytes() {
    let facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
    let mail = || render(&config(), &delivery(DeliveryEvent::Done), &facts).unwrap();
    assert_eq!(mail(), mail());
}

#[test]
fn a_sensitive_parameter_is_not_shown() {
    for (name, event, facts) in [
        ("sensitive-ready", DeliveryEvent::Done, ready(vec![artifact(2, Format::Csv, 1, 1)])),
        ("sensitive-failed", DeliveryEvent::Failed, failed(unreachable())),
        ("sensitive-late", DeliveryEvent::Late, late(JobState::Pending, Progress::default(), None)),
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
    let mail = compose("no-definition", DeliveryEvent::Done, &facts);
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
    for (name, event, facts) in
        [("evil-ready", DeliveryEvent::Done, done), ("evil-failed", DeliveryEvent::Failed, lost)]
    {
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
    let facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
    for recipient in
        ["ana@example.com\r\nBcc: eve@example.com", "ana@example.com\nRCPT TO:<eve@example.com>", "ana", ""]
    {
        let mut delivery = delivery(DeliveryEvent::Done);
        delivery.recipient = recipient.to_owned();
        assert!(matches!(render(&config(), &delivery, &facts), Err(RenderError::NotAnAddress)), "{recipient:?}");
    }
}

#[test]
fn the_list_of_allowed_recipients_holds_at_the_time_of_sending() {
    let mut config = config();
    config.mail.allow = vec!["@example.org".to_owned()];
    let facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
    let rendered = render(&config, &delivery(DeliveryEvent::Done), &facts);
    assert!(matches!(rendered, Err(RenderError::NotAllowed)));
}

#[test]
fn nobody_is_mailed_about_files_that_are_gone() {
    let composer = Composer::new(&config()).unwrap();
    let gone = composer.compose(&delivery(DeliveryEvent::Done), &ready(Vec::new()));
    assert!(matches!(gone, Err(ComposeError::NoFiles)));
}

#[test]
fn a_subject_in_any_script_is_readable_and_the_message_stays_ascii() {
    let mut facts = ready(vec![artifact(2, Format::Csv, 1, 1)]);
    facts.report.as_mut().unwrap().title = "Umsätze nach Ländern · 売上 📈".to_owned();
    let mail = compose("scripts", DeliveryEvent::Done, &facts);
    assert_eq!(mail.subject(), "Your report is ready: Umsätze nach Ländern · 売上 📈");
    assert!(mail.html().contains("Umsätze nach Ländern · 売上 📈"));
    assert!(mail.source.is_ascii());
}
