//! How mails leave: byte for byte, over each transport; then what only SMTP can do wrong.

use std::time::{Duration, Instant};

use notifier::channel::SendError;
use notifier::email::{FolderTransport, MailTransport, OutgoingMail, SmtpTransport};
use testing::smtp::{self, Behaviour};
use testing::tls::CertificateAuthority;

use crate::facts::id;

const BOUND: Duration = Duration::from_secs(10);

fn mail(number: u128, to: &str) -> OutgoingMail {
    let message = format!("Message-ID: <{}@example.com>\r\nSubject: {number}\r\n\r\nHello.\r\n..\r\n.\r\n", id(number));
    OutgoingMail {
        id: id(number),
        from: "reports@example.com".parse().unwrap(),
        to: to.parse().unwrap(),
        message: message.into_bytes(),
    }
}

/// Sends through `transport`; `taken` reads back every message the other side has.
async fn keeps_the_contract(transport: &dyn MailTransport, taken: impl Fn() -> Vec<String>) {
    // What is sent is there once it is accepted, byte for byte, lines of dots included.
    let first = mail(1, "ana@example.com");
    transport.send(&first).await.unwrap();
    let trimmed = |message: &str| message.trim_end().to_owned();
    let expected = trimmed(&String::from_utf8(first.message.clone()).unwrap());
    assert_eq!(taken().iter().map(|message| trimmed(message)).collect::<Vec<_>>(), std::slice::from_ref(&expected));
    // Sent again, it is the same mail: whatever the other side keeps has the same identity and content.
    transport.send(&first).await.unwrap();
    assert!(taken().iter().all(|message| trimmed(message) == expected));
    // Many at once keep apart.
    let mails: Vec<_> = (10..30).map(|number| mail(number, "bob@example.com")).collect();
    futures_util::future::try_join_all(mails.iter().map(|mail| transport.send(mail))).await.unwrap();
    for mail in &mails {
        let whole = String::from_utf8(mail.message.clone()).unwrap();
        assert!(taken().iter().any(|message| trimmed(message) == trimmed(&whole)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn smtp_keeps_the_contract() {
    let server = smtp::start().await.unwrap();
    let transport = SmtpTransport::open(&server.url(), None, BOUND).unwrap();
    keeps_the_contract(&transport, || server.mails().into_iter().map(|mail| mail.source).collect()).await;
    assert_eq!(server.mails_to("ana@example.com")[0].from, "reports@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let transport = FolderTransport::open(&folder.path().join("made/by/it"), BOUND).unwrap();
    let path = folder.path().join("made/by/it");
    keeps_the_contract(&transport, || {
        let files = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
        files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
    })
    .await;
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 21, "a mail that is sent again is the same file again");
    assert!(path.join(format!("{}.eml", id(1))).exists());
}

#[tokio::test]
async fn a_folder_that_is_gone_may_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let transport = FolderTransport::open(&folder.path().join("mails"), BOUND).unwrap();
    std::fs::remove_dir(folder.path().join("mails")).unwrap();
    assert!(matches!(transport.send(&mail(1, "ana@example.com")).await, Err(SendError::Retry { .. })));
}

async fn send_to(behaviour: Behaviour) -> (Result<(), SendError>, usize) {
    let server = smtp::start().await.unwrap();
    server.behave(behaviour, 1);
    let sent = SmtpTransport::open(&server.url(), None, Duration::from_secs(2))
        .unwrap()
        .send(&mail(1, "ana@example.com"))
        .await;
    (sent, server.mails().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_sorted_into_those_that_may_pass_and_those_that_will_not() {
    for code in [421, 450, 451] {
        for behaviour in [Behaviour::Answer(code), Behaviour::AnswerData(code)] {
            let (sent, _) = send_to(behaviour.clone()).await;
            assert!(matches!(sent, Err(SendError::Retry { .. })), "{behaviour:?} {sent:?}");
        }
    }
    for code in [550, 554] {
        for behaviour in [Behaviour::Answer(code), Behaviour::AnswerData(code)] {
            let (sent, _) = send_to(behaviour.clone()).await;
            assert!(matches!(sent, Err(SendError::Rejected(_))), "{behaviour:?} {sent:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_sender_or_by_the_server_is_told_from_one_of_the_recipient() {
    let line = |text: &str| text.to_owned();
    for behaviour in [
        Behaviour::RefuseSender(line("550 5.7.1 over quota")),
        Behaviour::RefuseSender(line("530 5.7.0 Authentication required")),
        Behaviour::RefuseSender(line("550 unknown user")),
        Behaviour::AnswerLine(line("550 5.7.1 Unable to relay")),
        Behaviour::AnswerLine(line("530 log in first")),
        Behaviour::AnswerDataLine(line("550 5.4.5 Daily sending quota exceeded")),
    ] {
        let (sent, taken) = send_to(behaviour.clone()).await;
        assert!(
            matches!(&sent, Err(SendError::SenderRefused(why)) if why.contains("refuses")),
            "{behaviour:?} {sent:?}"
        );
        assert_eq!(taken, 0);
    }
    for behaviour in [
        Behaviour::AnswerLine(line("550 5.1.1 no such user")),
        Behaviour::AnswerDataLine(line("552 5.3.4 Message size exceeds fixed limit")),
    ] {
        let (sent, _) = send_to(behaviour.clone()).await;
        assert!(matches!(sent, Err(SendError::Rejected(_))), "{behaviour:?} {sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_after_the_content_is_not_known_to_have_failed() {
    assert!(matches!(send_to(Behaviour::TakeThenClose).await, (Err(SendError::Unknown(_)), 1)));
    assert!(matches!(send_to(Behaviour::LoseThenClose).await, (Err(SendError::Unknown(_)), 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_after_its_answer_has_accepted() {
    assert!(matches!(send_to(Behaviour::AnswerThenClose).await, (Ok(()), 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_costs_the_time_out_and_no_more() {
    let started = Instant::now();
    let (sent, _) = send_to(Behaviour::Silence).await;
    let Err(SendError::Unknown(why)) = sent else { panic!("{sent:?}") };
    assert_eq!(why, "the mail server did not answer within 2 s");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_greets_costs_the_time_out_and_no_more() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp+plain://{}", silent.local_addr().unwrap());
    let started = Instant::now();
    let sent = SmtpTransport::open(&url, None, Duration::from_secs(1)).unwrap().send(&mail(1, "ana@example.com")).await;
    let Err(SendError::Retry { reason, .. }) = sent else { panic!("{sent:?}") };
    assert_eq!(reason, "the mail server did not answer within 1 s");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sent = SmtpTransport::open(&format!("smtp+plain://{free}"), None, BOUND)
        .unwrap()
        .send(&mail(1, "ana@example.com"))
        .await;
    assert!(matches!(sent, Err(SendError::Retry { .. })), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_come_from_the_url_and_are_not_shown() {
    let server = smtp::start().await.unwrap();
    let url = format!("smtp+plain://user%40example.com:p%3Ass%2F@127.0.0.1:{}", server.port());
    let transport = SmtpTransport::open(&url, None, BOUND).unwrap();
    transport.send(&mail(1, "ana@example.com")).await.unwrap();
    assert_eq!(server.logins(), ["user@example.com:p:ss/"]);
    assert!(!format!("{transport:?}").contains("p:ss/"), "{transport:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn smtp_over_tls_keeps_the_contract_with_a_server_one_trusts() {
    let authority = CertificateAuthority::of(&["127.0.0.1"]).unwrap();
    let stranger = CertificateAuthority::of(&["127.0.0.1"]).unwrap();
    let (plain, upgraded) = (smtp::start().await.unwrap(), smtp::start_with_starttls(&authority).await.unwrap());
    let wrapped = authority.in_front_of(([127, 0, 0, 1], plain.port()).into()).await.unwrap();
    for (scheme, port, server) in [("smtps", wrapped.port(), &plain), ("smtp", upgraded.port(), &upgraded)] {
        let url = format!("{scheme}://user:pass@127.0.0.1:{port}");
        let transport = SmtpTransport::open(&url, Some(&authority.ca_file()), BOUND).unwrap();
        keeps_the_contract(&transport, || server.mails().into_iter().map(|mail| mail.source).collect()).await;
        assert_eq!(server.logins()[0], "user:pass");
        let before = (server.mails().len(), server.logins().len());
        for ca_file in [None, Some(stranger.ca_file())] {
            let misled = SmtpTransport::open(&url, ca_file.as_deref(), BOUND).unwrap();
            let sent = misled.send(&mail(1, "ana@example.com")).await;
            let refused = matches!(&sent, Err(SendError::Retry { reason: why, .. }) if why.to_lowercase().contains("certificate"));
            assert!(refused, "{scheme}: {sent:?}");
        }
        assert_eq!((server.mails().len(), server.logins().len()), before, "neither mail nor password went to it");
    }
    let missing = std::path::Path::new("/nonexistent/ca.pem");
    let said = format!("{:#}", SmtpTransport::open("smtps://127.0.0.1", Some(missing), BOUND).unwrap_err());
    assert!(said.contains("mail.ca_file /nonexistent/ca.pem"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_starttls_no_mail_and_no_password_leaves() {
    let server = smtp::start().await.unwrap();
    let url = format!("smtp://user:password@127.0.0.1:{}", server.port());
    let sent = SmtpTransport::open(&url, None, BOUND).unwrap().send(&mail(1, "ana@example.com")).await;
    assert!(matches!(&sent, Err(SendError::Retry { reason: why, .. }) if why.contains("secure")), "{sent:?}");
    assert!(server.mails().is_empty() && server.logins().is_empty());
}

#[test]
fn a_url_nobody_can_send_to_is_explained_without_its_password() {
    for (url, told) in [
        ("http://user:canary@host", "accepted are file:, smtp://, smtps://, smtp+plain://"),
        ("smtp+plain://", "names no server"),
        ("canary", "starts with `nothing`"),
    ] {
        let said = format!("{:#}", SmtpTransport::open(url, None, BOUND).unwrap_err());
        assert!(said.contains(told) && !said.contains("canary"), "{said}");
    }
}
