//! The event becomes a mail, once, whatever happens on the way. On both stacks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use model::access::hash_token;
use model::delivery::{Channel, DeliveryEvent, DeliveryState};
use model::message::Queue;
use model::retry_schedule::RetrySchedule;
use notifier::DeliveryOutcome;
use notifier::channel::SendError;
use store::Changed;
use testing::eventually;
use testing::smtp::Behaviour;
use tokio::sync::Notify;

use crate::fixture::{Fixture, SOON, Stack};
use crate::scripted_channels::{Answers, SendsThenHangs};

const ANA: &str = "ana@example.com";

/// Each scenario is a test on either stack, named after it.
macro_rules! on_both_stacks {
    ($($scenario:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(super::Stack::Embedded).await;
            })*
        }
        mod production {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(super::Stack::Production).await;
            })*
        }
    };
}

pub(crate) use on_both_stacks;

on_both_stacks!(
    a_finished_report_is_mailed_once_however_often_it_is_rung,
    a_failed_report_is_told_with_its_reason,
    a_mail_sent_again_after_a_kill_is_the_same_mail,
    a_notifier_that_lost_its_lease_settles_nothing,
    a_refusal_for_now_is_tried_again_until_it_is_taken,
    a_refusal_for_good_ends_the_delivery,
    a_refusal_of_the_sender_waits_until_it_is_mended,
    a_delivery_that_failed_and_is_sent_again_has_as_many_tries_as_a_new_one,
    a_server_that_never_takes_it_is_given_up_on,
    one_bad_recipient_of_three_delays_no_other,
    an_address_with_a_line_break_is_refused_and_nobody_is_asked,
    a_cancelled_job_sends_nothing,
    a_replayed_job_that_ends_again_tells_again,
    a_message_nobody_can_read_is_put_aside,
    being_told_to_stop_loses_no_mail,
    a_late_report_is_told_once_and_its_file_comes_in_a_mail_of_its_own,
    a_report_that_has_ended_is_not_called_late_any_more,
    a_late_mail_sent_again_after_a_kill_is_the_same_mail,
    a_receiver_that_asks_to_be_left_alone_is_left_alone_that_long,
    what_may_have_arrived_is_tried_again,
);

async fn a_finished_report_is_mailed_once_however_often_it_is_rung(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    let job = fixture.finish(&fixture.submit(&[ANA]).await).await;
    let delivery = fixture.ended(&job).await.remove(0);
    fixture.ring(delivery.id, 5).await;
    let other = fixture.finish(&fixture.submit(&["bob@example.com"]).await).await;
    // The queue is in order: when the next one has been sent, the five have been looked at.
    fixture.ended(&other).await;
    assert_eq!((delivery.state, delivery.attempt, delivery.event), (DeliveryState::Sent, 1, DeliveryEvent::Done));
    let mails = fixture.smtp.mails_to(ANA);
    assert_eq!((mails.len(), fixture.smtp.attempts(ANA)), (1, 1));
    let mail = &mails[0];
    assert_eq!(mail.subject(), "Your report is ready: Revenue by nation and year");
    assert_eq!(mail.message_id(), format!("<{}@example.com>", delivery.id));
    assert_eq!(mail.header("Auto-Submitted").unwrap(), "auto-generated");
    assert_eq!(mail.header("X-Waitless-Trace").unwrap(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(!mail.source.contains("canary"));
    // The link in it opens the artifact.
    let text = mail.text();
    let token = text.split("https://reports.example.com/d/").nth(1).unwrap().split_whitespace().next().unwrap();
    let link = fixture.backends.store.find_link(hash_token(token)).await.unwrap().unwrap();
    assert_eq!(link.artifact, job.artifacts[0]);
}

async fn a_failed_report_is_told_with_its_reason(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    let job = fixture.fail(&fixture.submit(&[ANA]).await).await;
    fixture.ended(&job).await;
    let mail = fixture.smtp.mails_to(ANA).remove(0);
    assert_eq!(mail.subject(), "Your report could not be made: Revenue by nation and year");
    assert!(mail.text().contains("division by zero in line 3"), "{}", mail.text());
}

async fn late_fixture(stack: Stack) -> Fixture {
    Fixture::open_with(stack, |config| config.mail.late_after = Some(Duration::from_millis(100))).await
}

async fn a_late_report_is_told_once_and_its_file_comes_in_a_mail_of_its_own(stack: Stack) {
    let mut fixture = late_fixture(stack).await;
    fixture.run().await;
    let in_time = fixture.submit_told(&["bob@example.com"], Some(3_600_000)).await;
    let unknown = fixture.submit(&["eve@example.com"]).await;
    let job = fixture.submit_told(&[ANA], Some(50)).await;
    let delivery = fixture.reaches(&job, ANA, DeliveryState::Sent).await;
    assert_eq!((delivery.event, delivery.seq, delivery.attempt), (DeliveryEvent::Late, 0, 1));
    let mail = fixture.smtp.mails_to(ANA).remove(0);
    assert_eq!(mail.subject(), "Your report takes longer than expected: Revenue by nation and year");
    assert_eq!(mail.message_id(), format!("<{}@example.com>", delivery.id));
    assert!(mail.text().contains("Waiting for its turn") && !mail.source.contains("canary"), "{}", mail.text());
    fixture.ring(delivery.id, 3).await;
    let job = fixture.finish(&job).await;
    eventually(SOON, "the mail with the file", async || fixture.smtp.mails_to(ANA).len() == 2).await;
    let mails = fixture.smtp.mails_to(ANA);
    assert!(mails[1].subject().starts_with("Your report is ready"), "{}", mails[1].subject());
    assert!(mails[1].text().contains("had been expected."), "{}", mails[1].text());
    assert_ne!(mails[0].message_id(), mails[1].message_id());
    assert_eq!(fixture.ended(&job).await.len(), 2);
    for other in [in_time, unknown] {
        assert_eq!(fixture.deliveries(&other).await, []);
    }
    assert_eq!(fixture.smtp.mails().len(), 2);
}

async fn a_report_that_has_ended_is_not_called_late_any_more(stack: Stack) {
    let fixture = late_fixture(stack).await;
    let job = fixture.submit_told(&[ANA], Some(50)).await;
    let late = fixture.reaches(&job, ANA, DeliveryState::Pending).await;
    let job = fixture.finish(&job).await;
    let notifier = fixture.notifier(fixture.patient_email());
    assert_eq!(notifier.notify(late.id).await, DeliveryOutcome::Overtaken);
    assert_eq!(notifier.notify(late.id).await, DeliveryOutcome::NothingToDo);
    let left = fixture.deliveries(&job).await;
    assert_eq!(left.iter().map(|delivery| delivery.event).collect::<Vec<_>>(), [DeliveryEvent::Done]);
    assert_eq!(fixture.smtp.attempts(ANA), 0);
}

async fn a_late_mail_sent_again_after_a_kill_is_the_same_mail(stack: Stack) {
    let mut fixture = late_fixture(stack).await;
    let job = fixture.submit_told(&[ANA], Some(50)).await;
    let late = fixture.reaches(&job, ANA, DeliveryState::Pending).await;
    send_and_die(&fixture, late.id, Duration::from_secs(1)).await;
    // Meanwhile it got further: what is sent again says what it said before.
    fixture.begin(&job).await;
    fixture.run().await;
    let late = fixture.reaches(&job, ANA, DeliveryState::Sent).await;
    assert_eq!(late.attempt, 2);
    let mails = fixture.smtp.mails_to(ANA);
    assert_eq!(mails.len(), 2, "this is the documented unknown window");
    assert_eq!(mails[0], mails[1], "not one byte differs");
}

async fn a_receiver_that_asks_to_be_left_alone_is_left_alone_that_long(stack: Stack) {
    let [minute, hour] = [60, 3600].map(Duration::from_secs);
    let delays = RetrySchedule::new(vec![minute, hour]).unwrap();
    let fixture = Fixture::open_with(stack, |config| config.broker.retry_delays = delays).await;
    for (asked, at_least, at_most) in [
        (None, minute * 4 / 5, minute),
        (Some(minute / 4), minute * 4 / 5, minute),
        (Some(minute * 20), minute * 20, minute * 20),
        (Some(hour * 3), hour, hour),
    ] {
        let job = fixture.finish(&fixture.submit(&[ANA]).await).await;
        let id = fixture.deliveries(&job).await.remove(0).id;
        let answer = SendError::Retry { reason: "429 not so often".to_owned(), after: asked };
        let before = fixture.backends.store.now().await.unwrap();
        assert_eq!(fixture.notifier(Arc::new(Answers(answer))).notify(id).await, DeliveryOutcome::RetryLater);
        let after = fixture.backends.store.now().await.unwrap();
        let delivery = fixture.deliveries(&job).await.remove(0);
        assert_eq!((delivery.state, delivery.error.as_deref()), (DeliveryState::Pending, Some("429 not so often")));
        let due = delivery.next_attempt_at.unwrap();
        // A millisecond either way: a database may keep no more than those.
        assert!(due + TimeDelta::milliseconds(1) >= before + at_least, "{asked:?}: {due} {before}");
        assert!(due - TimeDelta::milliseconds(1) <= after + at_most, "{asked:?}: {due} {after}");
    }
}

async fn what_may_have_arrived_is_tried_again(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    fixture.smtp.behave_to(ANA, Behaviour::TakeThenClose, 1);
    let job = fixture.finish(&fixture.submit(&[ANA]).await).await;
    let delivery = fixture.ended(&job).await.remove(0);
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Sent, 2));
    let mails = fixture.smtp.mails_to(ANA);
    assert_eq!(mails.len(), 2, "this is the documented unknown window");
    assert_eq!(mails[0], mails[1], "not one byte differs");
}

/// Sends the job's only delivery and is killed before it settles.
async fn send_and_be_killed(fixture: &Fixture, lease: Duration) -> uuid::Uuid {
    let job = fixture.finish(&fixture.submit(&[ANA]).await).await;
    let delivery = fixture.deliveries(&job).await.remove(0);
    send_and_die(fixture, delivery.id, lease).await;
    job.id
}

/// Sends a delivery and is killed before it settles.
async fn send_and_die(fixture: &Fixture, id: uuid::Uuid, lease: Duration) {
    let sent = Arc::new(Notify::new());
    let notifier = fixture
        .notifier(Arc::new(SendsThenHangs { channel: fixture.patient_email(), sent: sent.clone() }))
        .with_lease(lease);
    let killed = tokio::spawn(async move { notifier.notify(id).await });
    sent.notified().await;
    killed.abort();
}

async fn a_mail_sent_again_after_a_kill_is_the_same_mail(stack: Stack) {
    let mut fixture = Fixture::open(stack).await;
    let job_id = send_and_be_killed(&fixture, Duration::from_secs(1)).await;
    fixture.run().await;
    let job = fixture.backends.store.job_by_id(job_id).await.unwrap().unwrap();
    let delivery = fixture.ended(&job).await.remove(0);
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Sent, 2));
    let mails = fixture.smtp.mails_to(ANA);
    assert_eq!(mails.len(), 2, "this is the documented unknown window");
    assert_eq!(mails[0].message_id(), mails[1].message_id());
    assert_eq!(mails[0], mails[1], "not one byte differs");
}

async fn a_notifier_that_lost_its_lease_settles_nothing(stack: Stack) {
    let mut fixture = Fixture::open(stack).await;
    let job = fixture.finish(&fixture.submit(&[ANA]).await).await;
    let id = fixture.deliveries(&job).await.remove(0).id;
    fixture.smtp.behave(Behaviour::Slow(Duration::from_millis(1500)), 1);
    let slow = fixture.notifier(fixture.patient_email()).with_lease(Duration::from_millis(500));
    let slow = tokio::spawn(async move { slow.notify(id).await });
    eventually(SOON, "the slow one has begun", async || fixture.smtp.attempts(ANA) == 1).await;
    fixture.run().await;
    let delivery = fixture.reaches(&job, ANA, DeliveryState::Sent).await;
    assert_eq!(slow.await.unwrap(), DeliveryOutcome::TooLate);
    assert_eq!(fixture.deliveries(&job).await, [delivery]);
}

async fn a_refusal_for_now_is_tried_again_until_it_is_taken(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    fixture.smtp.behave_to(ANA, Behaviour::Answer(450), 1);
    fixture.smtp.behave_to(ANA, Behaviour::Answer(421), 1);
    fixture.smtp.behave_to(ANA, Behaviour::AnswerData(451), 1);
    let job = fixture.finish(&fixture.submit(&[ANA]).await).await;
    let delivery = fixture.ended(&job).await.remove(0);
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Sent, 4));
    assert_eq!((fixture.smtp.mails_to(ANA).len(), fixture.smtp.attempts(ANA)), (1, 4));
}

async fn a_refusal_for_good_ends_the_delivery(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    fixture.smtp.always_behave_to(ANA, Behaviour::Answer(550));
    fixture.smtp.always_behave_to("bob@example.com", Behaviour::AnswerData(554));
    let job = fixture.finish(&fixture.submit(&[ANA, "bob@example.com"]).await).await;
    for delivery in fixture.ended(&job).await {
        assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Failed, 1));
        assert!(delivery.error.unwrap().contains("the mail server refuses"));
    }
    assert_eq!((fixture.smtp.attempts(ANA), fixture.smtp.mails().len()), (1, 0));
}

async fn a_refusal_of_the_sender_waits_until_it_is_mended(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    fixture.smtp.always_behave(Behaviour::RefuseSender("550 5.7.1 over quota".to_owned()));
    let job = fixture.finish(&fixture.submit(&[ANA]).await).await;
    let delivery = eventually(SOON, "two tries", async || {
        let delivery = fixture.deliveries(&job).await.remove(0);
        (delivery.attempt >= 2 && delivery.state == DeliveryState::Pending).then_some(delivery)
    })
    .await;
    assert!(delivery.error.unwrap().contains("the mail server refuses the sender"));
    fixture.smtp.behave_well();
    assert_eq!(fixture.ended(&job).await.remove(0).state, DeliveryState::Sent);
    assert_eq!(fixture.smtp.mails_to(ANA).len(), 1);
}

async fn a_delivery_that_failed_and_is_sent_again_has_as_many_tries_as_a_new_one(stack: Stack) {
    let mut fixture = Fixture::open(stack).await;
    fixture.config.notifier.max_attempts = 2;
    fixture.run().await;
    fixture.smtp.always_behave(Behaviour::Answer(450));
    let job = fixture.finish(&fixture.submit(&[ANA]).await).await;
    let failed = fixture.ended(&job).await.remove(0);
    assert_eq!((failed.state, failed.attempt), (DeliveryState::Failed, 2));
    let again = async || {
        let which = store::FailedDeliveries::One(failed.id);
        assert_eq!(fixture.backends.store.send_again(&job.caller.tenant, which, 1).await.unwrap(), 1);
    };
    again().await;
    eventually(SOON, "two tries more", async || {
        let delivery = fixture.deliveries(&job).await.remove(0);
        (delivery.state == DeliveryState::Failed && delivery.attempt == 4).then_some(())
    })
    .await;
    fixture.smtp.behave_well();
    again().await;
    let sent = fixture.ended(&job).await.remove(0);
    assert_eq!((sent.state, sent.attempt), (DeliveryState::Sent, 5));
    assert_eq!(fixture.smtp.mails_to(ANA)[0].message_id(), format!("<{}@example.com>", failed.id));
}

async fn a_server_that_never_takes_it_is_given_up_on(stack: Stack) {
    let mut fixture = Fixture::open(stack).await;
    fixture.config.notifier.max_attempts = 3;
    fixture.run().await;
    fixture.smtp.always_behave(Behaviour::Answer(450));
    let job = fixture.finish(&fixture.submit(&[ANA]).await).await;
    let delivery = fixture.ended(&job).await.remove(0);
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Failed, 3));
    assert!(delivery.error.clone().unwrap().contains("given up after 3 tries"), "{delivery:?}");
}

async fn one_bad_recipient_of_three_delays_no_other(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    fixture.smtp.always_behave_to(ANA, Behaviour::Silence);
    let started = Instant::now();
    let job = fixture.finish(&fixture.submit(&["bob@example.com", ANA, "eve@example.com"]).await).await;
    fixture.reaches(&job, "bob@example.com", DeliveryState::Sent).await;
    fixture.reaches(&job, "eve@example.com", DeliveryState::Sent).await;
    assert!(started.elapsed() < fixture.config.mail.timeout, "{:?}", started.elapsed());
    // And the silent one ends as well, once the server speaks again.
    eventually(SOON, "the silent server was tried again", async || fixture.smtp.attempts(ANA) >= 2).await;
    fixture.smtp.behave_well();
    assert_eq!(fixture.ended(&job).await.len(), 3);
    assert_eq!((fixture.smtp.mails().len(), fixture.smtp.mails_to(ANA).len()), (3, 1));
}

async fn an_address_with_a_line_break_is_refused_and_nobody_is_asked(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    eventually(SOON, "the notifier has looked whether the server answers", async || fixture.smtp.connections() == 1)
        .await;
    let job = fixture.finish(&fixture.submit(&["ana@example.com\r\nRCPT TO:<eve@example.com>"]).await).await;
    let delivery = fixture.ended(&job).await.remove(0);
    assert_eq!((delivery.state, fixture.smtp.connections()), (DeliveryState::Failed, 1));
    assert!(delivery.error.unwrap().contains("not a mail address"));
}

async fn a_cancelled_job_sends_nothing(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    let job = fixture.submit(&[ANA]).await;
    assert!(matches!(fixture.backends.store.cancel(&job.caller, job.id).await.unwrap(), Changed::Yes(_)));
    let other = fixture.finish(&fixture.submit(&["bob@example.com"]).await).await;
    fixture.ended(&other).await;
    assert_eq!(fixture.deliveries(&job).await, []);
    assert_eq!(fixture.smtp.attempts(ANA), 0);
}

async fn a_replayed_job_that_ends_again_tells_again(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    let job = fixture.fail(&fixture.submit(&[ANA]).await).await;
    fixture.ended(&job).await;
    assert!(matches!(fixture.backends.store.replay(&job.caller, job.id).await.unwrap(), Changed::Yes(_)));
    let job = fixture.finish(&job).await;
    eventually(SOON, "the second mail", async || fixture.smtp.mails_to(ANA).len() == 2).await;
    fixture.ended(&job).await;
    let mails = fixture.smtp.mails_to(ANA);
    let subjects: Vec<_> = mails.iter().map(testing::smtp::Mail::subject).collect();
    assert!(subjects[0].starts_with("Your report could not be made"), "{subjects:?}");
    assert!(subjects[1].starts_with("Your report is ready"), "{subjects:?}");
    assert_ne!(mails[0].message_id(), mails[1].message_id());
}

async fn a_message_nobody_can_read_is_put_aside(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    let wrong = model::message::OutboxMessage {
        id: uuid::Uuid::now_v7(),
        route: model::message::Route::now(Queue::Notify(Channel::Email)),
        message: model::message::Message::RunJob { job_id: uuid::Uuid::now_v7() },
        traceparent: None,
    };
    for published in fixture.backends.broker.publish(&[wrong]).await {
        published.unwrap();
    }
    eventually(SOON, "it is among the dead letters", async || {
        fixture.backends.broker.depth(Queue::Dead).await.is_some_and(|depth| depth.ready == 1)
    })
    .await;
    let job = fixture.finish(&fixture.submit(&[ANA]).await).await;
    assert_eq!(fixture.ended(&job).await[0].state, DeliveryState::Sent);
}

async fn being_told_to_stop_loses_no_mail(stack: Stack) {
    let fixture = Fixture::start(stack).await;
    fixture.smtp.always_behave(Behaviour::Slow(Duration::from_millis(300)));
    let recipients: Vec<String> = (0..20).map(|number| format!("r{number}@example.com")).collect();
    let job = fixture.finish(&fixture.submit(&recipients.iter().map(String::as_str).collect::<Vec<_>>()).await).await;
    eventually(SOON, "the first mails are being sent", async || fixture.smtp.connections() >= 5).await;
    let backends = fixture.backends.clone();
    let before = backends.store.deliveries_of_job(job.id).await.unwrap();
    let (smtp, _keep) = fixture.stop().await;
    let after = backends.store.deliveries_of_job(job.id).await.unwrap();
    let sent = |all: &[model::delivery::Delivery]| all.iter().filter(|d| d.state == DeliveryState::Sent).count();
    // What had begun was finished and settled; the rest waits, untouched.
    assert_eq!(sent(&after), smtp.mails().len());
    assert!(sent(&after) >= sent(&before) && sent(&after) < 20, "{}", sent(&after));
    assert!(after.iter().all(|d| matches!(d.state, DeliveryState::Sent | DeliveryState::Pending)), "{after:?}");
}
