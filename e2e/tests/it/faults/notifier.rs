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
