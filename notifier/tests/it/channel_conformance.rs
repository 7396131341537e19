//! The conformance suite of [`DeliveryChannel`]: what every channel must do, whatever it sends through. A channel joins it in
//! `channels.rs`, with a [`Receiver`] and a line.

use std::time::{Duration, Instant};

use model::artifact::Format;
use model::delivery::{Delivery, DeliveryEvent};
use notifier::channel::{DeliveryAttempt, DeliveryChannel, SendError};
use notifier::compose::Composer;

use crate::facts::{artifact, config, delivery, id, ready};

/// What a channel may take beyond its limit: for a thread to be found, and an answer to be passed on.
const MARGIN: Duration = Duration::from_secs(3);

/// The other side of a channel, as the suite drives it.
pub(crate) trait Receiver {
    /// The channel that sends to it.
    fn channel(&self) -> &dyn DeliveryChannel;
    /// Whom it accepts.
    fn recipient(&self) -> String;
    /// Whom it refuses for good.
    fn refused_recipient(&self) -> String;
    /// What has arrived.
    fn received(&self) -> Vec<Received>;
    /// Fails from now on, in a way that may pass.
    fn fail(&mut self);
    /// Says nothing from now on.
    fn fall_silent(&mut self);
    /// Takes what it is given from now on, and keeps the answer.
    fn lose_answers(&mut self);
    /// Does as it should again, and has taken what it was given meanwhile.
    async fn recover(&mut self);
    /// Cannot be reached from now on.
    fn go_away(&mut self);
}

/// Something that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// By which the other side can see that two are one.
    pub(crate) identity: String,
    pub(crate) content: String,
}

/// Makes a test of each rule for one channel; `$receiver` opens one.
macro_rules! conforms {
    ($receiver:expr) => {
        $crate::channel_conformance::conforms!($receiver;
            what_is_sent_arrives_once,
            a_recipient_that_is_refused_is_refused_for_good,
            what_fails_for_now_may_be_tried_again,
            a_receiver_that_is_silent_costs_the_time_limit_and_no_more,
            what_was_sent_and_not_answered_goes_out_again_under_the_same_identity,
            a_receiver_that_has_gone_away_is_seen_before_anything_is_sent,
        );
    };
    ($receiver:expr; $($rule:ident),+ $(,)?) => {
        $(#[test]
        fn $rule() {
            $crate::channel_conformance::run(async {
                let mut receiver = $receiver.await;
                $crate::channel_conformance::$rule(&mut receiver).await;
            });
        })+
    };
}
pub(crate) use conforms;

/// Runs a rule with one thread for what blocks, so that a receiver on this machine can be made silent by keeping it busy.
pub(crate) fn run(rule: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(1).build();
    runtime.unwrap().block_on(rule);
}

async fn send(receiver: &impl Receiver, number: u128, recipient: &str) -> Result<(), SendError> {
    let composer = Composer::new(&config()).unwrap();
    let facts = ready(vec![artifact(2, Format::Csv, 12_345, 175)]);
    let delivery = Delivery { id: id(number), recipient: recipient.to_owned(), ..delivery(DeliveryEvent::Done) };
    let content = composer.compose(&delivery, &facts).unwrap();
    let brand = composer.brand(&delivery.tenant);
    receiver.channel().send(DeliveryAttempt { delivery: &delivery, facts: &facts, content: &content, brand }).await
}

pub(crate) async fn what_is_sent_arrives_once(receiver: &mut impl Receiver) {
    let recipient = receiver.recipient();
    send(receiver, 1, &recipient).await.unwrap();
    let received = receiver.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(received[0].identity.contains(&id(1).to_string()), "{received:?}");
    futures_util::future::try_join_all((2..22).map(|number| send(receiver, number, &recipient))).await.unwrap();
    for number in 1..22 {
        let whole = receiver.received();
        let those = whole.iter().filter(|one| one.identity.contains(&id(number).to_string()));
        assert_eq!(those.count(), 1, "{number}");
    }
}

pub(crate) async fn a_recipient_that_is_refused_is_refused_for_good(receiver: &mut impl Receiver) {
    let refused = receiver.refused_recipient();
    for number in 1..3 {
        let sent = send(receiver, number, &refused).await;
        assert!(matches!(sent, Err(SendError::Rejected(_))), "{sent:?}");
    }
    assert_eq!(receiver.received(), []);
}

pub(crate) async fn what_fails_for_now_may_be_tried_again(receiver: &mut impl Receiver) {
    let recipient = receiver.recipient();
    receiver.fail();
    let sent = send(receiver, 1, &recipient).await;
    assert!(matches!(sent, Err(SendError::Retry { .. })), "{sent:?}");
    receiver.recover().await;
    assert_eq!(receiver.received(), []);
    send(receiver, 1, &recipient).await.unwrap();
    assert_eq!(receiver.received().len(), 1);
}

pub(crate) async fn a_receiver_that_is_silent_costs_the_time_limit_and_no_more(receiver: &mut impl Receiver) {
    let recipient = receiver.recipient();
    receiver.fall_silent();
    let started = Instant::now();
    let sent = send(receiver, 1, &recipient).await;
    let took = started.elapsed();
    assert!(matches!(sent, Err(SendError::Retry { .. } | SendError::Unknown(_))), "{sent:?}");
    assert!(took < receiver.channel().time_limit() + MARGIN, "{took:?}");
}

pub(crate) async fn what_was_sent_and_not_answered_goes_out_again_under_the_same_identity(
    receiver: &mut impl Receiver,
) {
    let recipient = receiver.recipient();
    receiver.lose_answers();
    let sent = send(receiver, 1, &recipient).await;
    assert!(matches!(sent, Err(SendError::Unknown(_))), "{sent:?}");
    receiver.recover().await;
    let first = receiver.received();
    assert_eq!(first.len(), 1, "it had arrived: {first:?}");
    send(receiver, 1, &recipient).await.unwrap();
    for received in receiver.received() {
        assert_eq!(received, first[0], "not one byte differs");
    }
}

pub(crate) async fn a_receiver_that_has_gone_away_is_seen_before_anything_is_sent(receiver: &mut impl Receiver) {
    receiver.channel().check().await.unwrap();
    receiver.go_away();
    let seen = receiver.channel().check().await.unwrap_err();
    assert!(!seen.is_empty() && !seen.contains('\n'), "{seen:?}");
    receiver.recover().await;
    assert_eq!(receiver.received(), [], "a look sends nothing");
}
