//! Mails: one a job and recipient, whatever happens to the notifier and the mail server.

use std::time::Duration;

use testing::eventually;
use testing::smtp::Behaviour;

use crate::client::quick;
use crate::rabbitmq::ServerChoice;
use crate::stack::{SOON, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_killed_between_accept_and_record_sends_again_under_the_same_message_id() {
    let mut stack = Stack::start(1).await;
    // The server takes the mail and keeps the sender waiting: nobody but the server knows.
    stack.smtp.behave(Behaviour::Slow(Duration::from_millis(1_500)), 1);
    let place = stack.client.note(&quick().with_mail());
    stack.client.try_once(place, &quick().with_mail(), None).await;
    let recipient = stack.client.operations()[place].recipient.clone().unwrap();
    eventually(SOON, "the server has taken the mail", async || stack.smtp.mails_to(&recipient).len() == 1).await;
    stack.notifiers.remove(0).kill();
    stack.add_notifier().await;
    // Others do not wait for the lease of the killed one.
    stack.client.submit_many(10, &quick().with_mail()).await;
    eventually(Duration::from_secs(10), "the others are told", async || stack.smtp.mails().len() >= 11).await;
    stack.settle().await;
    let mails = stack.smtp.mails_to(&recipient);
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].source, mails[1].source, "the same mail, to the byte");
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_wait_for_a_mail_server_that_is_down_and_one_bad_recipient_delays_nobody() {
    let smtp = testing::smtp::start().await.unwrap();
    let proxy = testing::proxy::start(format!("127.0.0.1:{}", smtp.port())).await.unwrap();
    let mail = vec![("WAITLESS_MAIL__URL", proxy.url(&smtp.url()))];
    let mut stack = Stack::prepare(ServerChoice::SharedServer, mail).await;
    stack.smtp = smtp;
    stack.add_gateway().await;
    stack.add_worker().await;
    stack.add_notifier().await;
    proxy.refuse();
    stack.client.submit_many(10, &quick().with_mail()).await;
    eventually(SOON, "mails were tried in vain", async || {
        let again = "select 1 from deliveries having min(attempt) >= 1 and count(*) = 10 and max(error) is not null";
        stack.postgres.sql(again).await.is_ok_and(|rows| rows.len() == 1)
    })
    .await;
    proxy.heal();
    // One is refused for a while, and once the connection is lost after the content.
    let place = stack.client.note(&quick().with_mail());
    let recipient = stack.client.operations()[place].recipient.clone().unwrap();
    stack.smtp.behave_to(&recipient, Behaviour::Answer(450), 2);
    stack.smtp.behave_to(&recipient, Behaviour::TakeThenClose, 1);
    stack.client.try_once(place, &quick().with_mail(), None).await;
    stack.client.submit_many(10, &quick().with_mail()).await;
    stack.settle().await;
    assert_eq!(stack.smtp.attempts(&recipient), 4, "twice refused, once unknown, once accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_loses_no_mail_and_one_that_was_given_up_is_sent_again_from_the_command_line() {
    let few = vec![("WAITLESS_NOTIFIER__MAX_ATTEMPTS", "2".to_owned())];
    let mut stack = Stack::prepare(ServerChoice::SharedServer, few).await;
    stack.add_gateway().await;
    stack.add_worker().await;
    stack.add_notifier().await;
    let before = stack.store.now().await.unwrap();
    stack.smtp.always_behave(Behaviour::RefuseSender("550 5.7.1 daily quota exceeded".to_owned()));
    stack.client.submit_many(3, &quick().with_mail()).await;
    let failed = "select error from deliveries where state = 'failed' and attempt = 2";
    let rows = eventually(SOON, "the mails are given up", async || {
        stack.postgres.sql(failed).await.ok().filter(|rows| rows.len() == 3)
    })
    .await;
    assert!(rows.iter().all(|row| row[0].as_deref().is_some_and(|why| why.contains("refuses the sender"))), "{rows:?}");
    let metrics = crate::stack::metrics_of(&stack.notifiers[0]).await;
    assert!(metrics.contains("waitless_sender_refused_total{channel=\"email\"} 6"), "{metrics}");
    assert!(stack.notifiers[0].log().contains("the other side refuses us"), "somebody is told");
    stack.smtp.behave_well();
    let mut command = tokio::process::Command::new(testing::process::built("waitless").await.unwrap());
    command.args(["send-again", "--failed-since", &before.to_rfc3339(), "--url", &stack.gateways[0].url()]);
    let output = command.args(["--key", &stack.client.key]).kill_on_drop(true).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3 mails are sent again.\n", "{output:?}");
    stack.settle().await;
    assert_eq!(stack.smtp.mails().len(), 3);
}
