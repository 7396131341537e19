//! The broker's contract as tests: one function a rule, its name the rule. Every implementation passes all of them:
//!
//! ```text
//! async fn open(settings: config::Broker) -> (Arc<dyn Broker>, Arc<dyn Broker>, Keep) { … }
//! testing::test_broker!(open);
//! ```
//!
//! `open` opens the same fresh, empty broker twice, as two processes would (an in-process broker is its own neighbour), and
//! returns both with whatever must live as long as they do.
#![expect(clippy::unwrap_used, clippy::panic, reason = "every function here is the body of a test")]

pub mod broadcasts;
pub mod consumes;
mod fixture;
pub mod publishes;
pub mod settles;

pub use fixture::{BrokerFixture, SOON, broadcast, delivery_message, job_message, next, settings};

/// Expands to one test for each rule of the broker's contract.
#[macro_export]
macro_rules! test_broker {
    ($open:path) => {
        $crate::test_broker! { @rules $open;
            publishes: [
                what_is_published_is_delivered_as_it_was,
                messages_come_in_the_order_they_were_published,
                an_empty_batch_is_no_error,
                a_large_batch_is_confirmed_whole,
                batches_published_at_once_all_arrive,
                a_delayed_message_comes_to_its_own_queue_in_its_time,
                a_short_delay_is_not_held_up_by_a_long_one,
                a_delay_that_is_not_configured_waits_in_another_one,
                a_dead_letter_can_be_published,
                nothing_is_published_after_the_close,
            ]
            consumes: [
                at_most_prefetch_messages_are_out_at_once,
                two_consumers_share_a_queue,
                queues_are_apart,
                a_dropped_receiver_gives_back_what_it_had_not_taken,
                what_was_taken_can_be_settled_after_the_receiver_is_dropped,
                depth_counts_waiting_messages_and_consumers,
                a_healthy_broker_checks_out,
            ]
            settles: [
                an_acknowledged_message_is_gone,
                a_message_dropped_unsettled_comes_again,
                acknowledgements_out_of_order_are_all_kept,
                a_dead_lettered_message_keeps_body_and_id,
                a_message_that_comes_back_too_often_is_dead_lettered,
                settling_twice_is_harmless,
            ]
            broadcasts: [
                a_broadcast_reaches_every_process_once,
                a_broadcast_without_listeners_is_no_error,
                a_broadcast_comes_as_it_was_sent,
                a_late_listener_hears_only_what_comes_later,
                who_listens_for_cancels_hears_them_and_everything_once_somebody_else_wants_it,
            ]
        }
    };
    (@rules $open:path; $($theme:ident: [$($rule:ident,)*])*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let (here, there, keep) = $open($crate::broker_conformance::settings()).await;
                let fixture = $crate::broker_conformance::BrokerFixture { here, there };
                $crate::broker_conformance::$theme::$rule(fixture).await;
                drop(keep);
            }
        )*)*
    };
}

#[cfg(test)]
mod tests {
    /// A rule that is written but not listed would never run.
    #[test]
    fn every_rule_is_in_the_list() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/broker_conformance");
        let list = std::fs::read_to_string(folder.join("mod.rs")).unwrap();
        let mut rules = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for line in text.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let name = line.split(['(', '<']).next().unwrap();
                if line.contains("(fixture: BrokerFixture)") {
                    rules += 1;
                    assert!(list.contains(&format!("    {name},\n")), "{name} is not listed");
                }
            }
        }
        assert!(rules > 20, "only {rules} rules were found");
    }
}
