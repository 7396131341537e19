//! The event becomes a mail, once, whatever happens on the way. On both stacks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use model::access::hash_token;
use model::delivery::{DeliveryState, Occasion};
use model::message::Queue;
use notifier::Outcome;
use notifier::mail::{Mail, Mailer, SendError, Smtp};
use store::Changed;
use testing::eventually;
use testing::smtp::Behaviour;
use tokio::sync::Notify;

use crate::stage::{SOON, Stack, Stage};

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

on_both_stacks!(
    a_finished_report_is_mailed_once_however_often_it_is_rung,
    a_failed_report_is_told_with_its_reason,
    a_mail_sent_again_after_a_kill_is_the_same_mail,
    a_notifier_that_lost_its_lease_settles_nothing,
    a_refusal_for_now_is_tried_again_until_it_is_taken,
    a_refusal_for_good_ends_the_delivery,
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
);

async fn a_finished_report_is_mailed_once_however_often_it_is_rung(stack: Stack) {
    let stage = Stage::start(stack).await;
    let job = stage.finish(&stage.submit(&[ANA]).await).await;
    let delivery = stage.ended(&job).await.remove(0);
    stage.ring(delivery.id, 5).await;
    let other = stage.finish(&stage.submit(&["bob@example.com"]).await).await;
    // The queue is in order: when the next one has been sent, the five have been looked at.
    stage.ended(&other).await;
    assert_eq!((delivery.state, delivery.attempt, delivery.event), (DeliveryState::Sent, 1, Occasion::Done));
    let mails = stage.smtp.mails_to(ANA);
    assert_eq!((mails.len(), stage.smtp.attempts(ANA)), (1, 1));
    let mail = &mails[0];
    assert_eq!(mail.subject(), "Your report is ready: Revenue by nation and year");
    assert_eq!(mail.message_id(), format!("<{}@example.com>", delivery.id));
    assert_eq!(mail.header("Auto-Submitted").unwrap(), "auto-generated");
    assert_eq!(mail.header("X-Waitless-Trace").unwrap(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(!mail.source.contains("canary"));
    // The link in it opens the artifact.
    let text = mail.text();
    let token = text.split("https://reports.example.com/d/").nth(1).unwrap().split_whitespace().next().unwrap();
    let link = stage.backends.store.find_link(hash_token(token)).await.unwrap().unwrap();
    assert_eq!(link.artifact, job.artifacts[0]);
}

async fn a_failed_report_is_told_with_its_reason(stack: Stack) {
    let stage = Stage::start(stack).await;
    let job = stage.fail(&stage.submit(&[ANA]).await).await;
    stage.ended(&job).await;
    let mail = stage.smtp.mails_to(ANA).remove(0);
    assert_eq!(mail.subject(), "Your report could not be made: Revenue by nation and year");
    assert!(mail.text().contains("division by zero in line 3"), "{}", mail.text());
}

async fn late_stage(stack: Stack) -> Stage {
    Stage::set_with(stack, |config| config.mail.late_after = Some(Duration::from_millis(100))).await
}

async fn a_late_report_is_told_once_and_its_file_comes_in_a_mail_of_its_own(stack: Stack) {
    let mut stage = late_stage(stack).await;
    stage.run().await;
    let in_time = stage.submit_told(&["bob@example.com"], Some(3_600_000)).await;
    let unknown = stage.submit(&["eve@example.com"]).await;
    let job = stage.submit_told(&[ANA], Some(50)).await;
    let delivery = stage.reaches(&job, ANA, DeliveryState::Sent).await;
    assert_eq!((delivery.event, delivery.seq, delivery.attempt), (Occasion::Late, 0, 1));
    let mail = stage.smtp.mails_to(ANA).remove(0);
    assert_eq!(mail.subject(), "Your report takes longer than expected: Revenue by nation and year");
    assert_eq!(mail.message_id(), format!("<{}@example.com>", delivery.id));
    assert!(mail.text().contains("Waiting for its turn") && !mail.source.contains("canary"), "{}", mail.text());
    stage.ring(delivery.id, 3).await;
    let job = stage.finish(&job).await;
    eventually(SOON, "the mail with the file", async || stage.smtp.mails_to(ANA).len() == 2).await;
    let mails = stage.smtp.mails_to(ANA);
    assert!(mails[1].subject().starts_with("Your report is ready"), "{}", mails[1].subject());
    assert!(mails[1].text().contains("had been expected."), "{}", mails[1].text());
    assert_ne!(mails[0].message_id(), mails[1].message_id());
    assert_eq!(stage.ended(&job).await.len(), 2);
    for other in [in_time, unknown] {
        assert_eq!(stage.deliveries(&other).await, []);
    }
    assert_eq!(stage.smtp.mails().len(), 2);
}

async fn a_report_that_has_ended_is_not_called_late_any_more(stack: Stack) {
    let stage = late_stage(stack).await;
    let job = stage.submit_told(&[ANA], Some(50)).await;
    let late = stage.reaches(&job, ANA, DeliveryState::Pending).await;
    let job = stage.finish(&job).await;
    let smtp = Smtp::open(&stage.smtp.url(), None, Duration::from_secs(5)).unwrap();
    let notifier = stage.notifier(Arc::new(smtp));
    assert_eq!(notifier.notify(late.id).await, Outcome::Overtaken);
    assert_eq!(notifier.notify(late.id).await, Outcome::NothingToDo);
    let left = stage.deliveries(&job).await;
    assert_eq!(left.iter().map(|delivery| delivery.event).collect::<Vec<_>>(), [Occasion::Done]);
    assert_eq!(stage.smtp.attempts(ANA), 0);
}

async fn a_late_mail_sent_again_after_a_kill_is_the_same_mail(stack: Stack) {
    let mut stage = late_stage(stack).await;
    let job = stage.submit_told(&[ANA], Some(50)).await;
    let late = stage.reaches(&job, ANA, DeliveryState::Pending).await;
    send_and_die(&stage, late.id, Duration::from_secs(1)).await;
    // Meanwhile it got further: what is sent again says what it said before.
    stage.begin(&job).await;
    stage.run().await;
    let late = stage.reaches(&job, ANA, DeliveryState::Sent).await;
    assert_eq!(late.attempt, 2);
    let mails = stage.smtp.mails_to(ANA);
    assert_eq!(mails.len(), 2, "this is the documented unknown window");
    assert_eq!(mails[0], mails[1], "not one byte differs");
}

/// Sends, and then never comes back: what the world sees of a process that is killed before it can settle.
#[derive(Debug)]
struct SendsThenHangs {
    smtp: Smtp,
    sent: Arc<Notify>,
}

#[async_trait]
impl Mailer for SendsThenHangs {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        self.smtp.send(mail).await?;
        self.sent.notify_one();
        std::future::pending().await
    }

    fn kind(&self) -> &'static str {
        "smtp"
    }
}

/// Sends the job's only delivery and is killed before it settles.
async fn send_and_be_killed(stage: &Stage, lease: Duration) -> uuid::Uuid {
    let job = stage.finish(&stage.submit(&[ANA]).await).await;
    let delivery = stage.deliveries(&job).await.remove(0);
    send_and_die(stage, delivery.id, lease).await;
    job.id
}

/// Sends a delivery and is killed before it settles.
async fn send_and_die(stage: &Stage, id: uuid::Uuid, lease: Duration) {
    let sent = Arc::new(Notify::new());
    let smtp = Smtp::open(&stage.smtp.url(), None, Duration::from_secs(5)).unwrap();
    let notifier = stage.notifier(Arc::new(SendsThenHangs { smtp, sent: sent.clone() })).with_lease(lease);
    let killed = tokio::spawn(async move { notifier.notify(id).await });
    sent.notified().await;
    killed.abort();
}

async fn a_mail_sent_again_after_a_kill_is_the_same_mail(stack: Stack) {
    let mut stage = Stage::set(stack).await;
    let job_id = send_and_be_killed(&stage, Duration::from_secs(1)).await;
    stage.run().await;
    let job = stage.backends.store.job_by_id(job_id).await.unwrap().unwrap();
    let delivery = stage.ended(&job).await.remove(0);
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Sent, 2));
    let mails = stage.smtp.mails_to(ANA);
    assert_eq!(mails.len(), 2, "this is the documented unknown window");
    assert_eq!(mails[0].message_id(), mails[1].message_id());
    assert_eq!(mails[0], mails[1], "not one byte differs");
}

async fn a_notifier_that_lost_its_lease_settles_nothing(stack: Stack) {
    let mut stage = Stage::set(stack).await;
    let job = stage.finish(&stage.submit(&[ANA]).await).await;
    let id = stage.deliveries(&job).await.remove(0).id;
    stage.smtp.behave(Behaviour::Slow(Duration::from_millis(1500)), 1);
    let smtp = Smtp::open(&stage.smtp.url(), None, Duration::from_secs(5)).unwrap();
    let slow = stage.notifier(Arc::new(smtp)).with_lease(Duration::from_millis(500));
    let slow = tokio::spawn(async move { slow.notify(id).await });
    eventually(SOON, "the slow one has begun", async || stage.smtp.attempts(ANA) == 1).await;
    stage.run().await;
    let delivery = stage.reaches(&job, ANA, DeliveryState::Sent).await;
    assert_eq!(slow.await.unwrap(), Outcome::TooLate);
    assert_eq!(stage.deliveries(&job).await, [delivery]);
}

async fn a_refusal_for_now_is_tried_again_until_it_is_taken(stack: Stack) {
    let stage = Stage::start(stack).await;
    stage.smtp.behave_to(ANA, Behaviour::Answer(450), 1);
    stage.smtp.behave_to(ANA, Behaviour::Answer(421), 1);
    stage.smtp.behave_to(ANA, Behaviour::AnswerData(451), 1);
    let job = stage.finish(&stage.submit(&[ANA]).await).await;
    let delivery = stage.ended(&job).await.remove(0);
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Sent, 4));
    assert_eq!((stage.smtp.mails_to(ANA).len(), stage.smtp.attempts(ANA)), (1, 4));
}

async fn a_refusal_for_good_ends_the_delivery(stack: Stack) {
    let stage = Stage::start(stack).await;
    stage.smtp.always_behave_to(ANA, Behaviour::Answer(550));
    stage.smtp.always_behave_to("bob@example.com", Behaviour::AnswerData(554));
    let job = stage.finish(&stage.submit(&[ANA, "bob@example.com"]).await).await;
    for delivery in stage.ended(&job).await {
        assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Failed, 1));
        assert!(delivery.error.unwrap().contains("the mail server refuses"));
    }
    assert_eq!((stage.smtp.attempts(ANA), stage.smtp.mails().len()), (1, 0));
}

async fn a_server_that_never_takes_it_is_given_up_on(stack: Stack) {
    let mut stage = Stage::set(stack).await;
    stage.config.notifier.max_attempts = 3;
    stage.run().await;
    stage.smtp.always_behave(Behaviour::Answer(450));
    let job = stage.finish(&stage.submit(&[ANA]).await).await;
    let delivery = stage.ended(&job).await.remove(0);
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Failed, 3));
    assert!(delivery.error.clone().unwrap().contains("given up after 3 tries"), "{delivery:?}");
}

async fn one_bad_recipient_of_three_delays_no_other(stack: Stack) {
    let stage = Stage::start(stack).await;
    stage.smtp.always_behave_to(ANA, Behaviour::Silence);
    let started = Instant::now();
    let job = stage.finish(&stage.submit(&["bob@example.com", ANA, "eve@example.com"]).await).await;
    stage.reaches(&job, "bob@example.com", DeliveryState::Sent).await;
    stage.reaches(&job, "eve@example.com", DeliveryState::Sent).await;
    assert!(started.elapsed() < stage.config.mail.timeout, "{:?}", started.elapsed());
    // And the silent one ends as well, once the server speaks again.
    eventually(SOON, "the silent server was tried again", async || stage.smtp.attempts(ANA) >= 2).await;
    stage.smtp.behave_well();
    assert_eq!(stage.ended(&job).await.len(), 3);
    assert_eq!((stage.smtp.mails().len(), stage.smtp.mails_to(ANA).len()), (3, 1));
}

async fn an_address_with_a_line_break_is_refused_and_nobody_is_asked(stack: Stack) {
    let stage = Stage::start(stack).await;
    let job = stage.finish(&stage.submit(&["ana@example.com\r\nRCPT TO:<eve@example.com>"]).await).await;
    let delivery = stage.ended(&job).await.remove(0);
    assert_eq!((delivery.state, stage.smtp.connections()), (DeliveryState::Failed, 0));
    assert!(delivery.error.unwrap().contains("not a mail address"));
}

async fn a_cancelled_job_sends_nothing(stack: Stack) {
    let stage = Stage::start(stack).await;
    let job = stage.submit(&[ANA]).await;
    assert!(matches!(stage.backends.store.cancel(&job.caller, job.id).await.unwrap(), Changed::Yes(_)));
    let other = stage.finish(&stage.submit(&["bob@example.com"]).await).await;
    stage.ended(&other).await;
    assert_eq!(stage.deliveries(&job).await, []);
    assert_eq!(stage.smtp.attempts(ANA), 0);
}

async fn a_replayed_job_that_ends_again_tells_again(stack: Stack) {
    let stage = Stage::start(stack).await;
    let job = stage.fail(&stage.submit(&[ANA]).await).await;
    stage.ended(&job).await;
    assert!(matches!(stage.backends.store.replay(&job.caller, job.id).await.unwrap(), Changed::Yes(_)));
    let job = stage.finish(&job).await;
    eventually(SOON, "the second mail", async || stage.smtp.mails_to(ANA).len() == 2).await;
    stage.ended(&job).await;
    let mails = stage.smtp.mails_to(ANA);
    let subjects: Vec<_> = mails.iter().map(testing::smtp::Mail::subject).collect();
    assert!(subjects[0].starts_with("Your report could not be made"), "{subjects:?}");
    assert!(subjects[1].starts_with("Your report is ready"), "{subjects:?}");
    assert_ne!(mails[0].message_id(), mails[1].message_id());
}

async fn a_message_nobody_can_read_is_put_aside(stack: Stack) {
    let stage = Stage::start(stack).await;
    let wrong = model::message::OutboxMessage {
        id: uuid::Uuid::now_v7(),
        route: model::message::Route::now(Queue::Notify(model::delivery::Channel::Email)),
        message: model::message::Message::RunJob { job_id: uuid::Uuid::now_v7() },
        traceparent: None,
    };
    for published in stage.backends.broker.publish(&[wrong]).await {
        published.unwrap();
    }
    eventually(SOON, "it is among the dead letters", async || {
        stage.backends.broker.depth(Queue::Dead).await.is_some_and(|depth| depth.ready == 1)
    })
    .await;
    let job = stage.finish(&stage.submit(&[ANA]).await).await;
    assert_eq!(stage.ended(&job).await[0].state, DeliveryState::Sent);
}

async fn being_told_to_stop_loses_no_mail(stack: Stack) {
    let stage = Stage::start(stack).await;
    stage.smtp.always_behave(Behaviour::Slow(Duration::from_millis(300)));
    let recipients: Vec<String> = (0..20).map(|number| format!("r{number}@example.com")).collect();
    let job = stage.finish(&stage.submit(&recipients.iter().map(String::as_str).collect::<Vec<_>>()).await).await;
    eventually(SOON, "the first mails are being sent", async || stage.smtp.connections() >= 4).await;
    let backends = stage.backends.clone();
    let before = backends.store.deliveries_of_job(job.id).await.unwrap();
    let (smtp, _keep) = stage.stop().await;
    let after = backends.store.deliveries_of_job(job.id).await.unwrap();
    let sent = |all: &[model::delivery::Delivery]| all.iter().filter(|d| d.state == DeliveryState::Sent).count();
    // What had begun was finished and settled; the rest waits, untouched.
    assert_eq!(sent(&after), smtp.mails().len());
    assert!(sent(&after) >= sent(&before) && sent(&after) < 20, "{}", sent(&after));
    assert!(after.iter().all(|d| matches!(d.state, DeliveryState::Sent | DeliveryState::Pending)), "{after:?}");
}
