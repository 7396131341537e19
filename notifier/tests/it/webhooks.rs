//! The event becomes a request to an endpoint, at least once and under one identity, and no endpoint waits for another. On both stacks.

use std::sync::Arc;
use std::time::Duration;

use configuration::Webhook;
use model::delivery::{DeliveryState, Notify};
use model::job::Job;
use model::retry_schedule::RetrySchedule;
use model::webhook::WebhookSecret;
use notifier::{DeliveryOutcome, webhook};
use serde_json::Value;
use store::FailedDeliveries;
use testing::eventually;
use testing::webhook_endpoint::{self, EndpointBehaviour, WebhookEndpoint};
use tokio::sync::Notify as Signal;

use crate::fixture::{Fixture, SOON, Stack};
use crate::notify::on_both_stacks;
use crate::scripted_channels::SendsThenHangs;
use crate::webhook_answers::{SECRET, settings};

on_both_stacks!(
    a_finished_report_is_told_to_its_endpoint_beside_its_mails,
    a_request_that_failed_is_repeated_under_its_id,
    a_request_repeated_after_a_kill_is_the_same_request,
    an_endpoint_that_asks_to_be_left_alone_is_left_alone_beyond_the_longest_queue,
    an_endpoint_that_never_takes_it_is_given_up_on_and_told_by_hand,
    a_silent_endpoint_delays_no_other,
    being_told_to_stop_loses_no_request,
);

/// Settings of an endpoint that is tried again soon.
fn hasty(endpoint: &WebhookEndpoint) -> Webhook {
    let delays = [100, 200].map(Duration::from_millis).to_vec();
    Webhook { retry_delays: RetrySchedule::new(delays).unwrap(), ..settings(endpoint) }
}

async fn fixture_with(stack: Stack, webhooks: Vec<(&str, Webhook)>) -> Fixture {
    Fixture::open_with(stack, |config| {
        config.webhooks = webhooks.into_iter().map(|(name, webhook)| (name.to_owned(), webhook)).collect();
        config.notifier.concurrency = 2;
    })
    .await
}

async fn submit(fixture: &Fixture, webhook: &str) -> Job {
    fixture.finish(&fixture.submit_notifying(vec![Notify::by_webhook(webhook)], None).await).await
}

async fn a_finished_report_is_told_to_its_endpoint_beside_its_mails(stack: Stack) {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let mut fixture = fixture_with(stack, vec![("erp", hasty(&endpoint))]).await;
    fixture.run().await;
    let notify = vec![Notify::by_email("ana@example.com"), Notify::by_webhook("erp")];
    let job = fixture.finish(&fixture.submit_notifying(notify, None).await).await;
    let ended = fixture.ended(&job).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:?}");
    let delivery = ended.iter().find(|delivery| delivery.recipient == "erp").unwrap();
    let requests = endpoint.taken();
    assert_eq!((requests.len(), fixture.smtp.mails_to("ana@example.com").len()), (1, 1));
    assert_eq!(requests[0].header("webhook-id"), delivery.id.to_string());
    let timestamp = requests[0].header("webhook-timestamp").parse().unwrap();
    let secret = WebhookSecret::read(SECRET).unwrap();
    let signature = secret.sign(&delivery.id.to_string(), timestamp, requests[0].body.as_bytes());
    assert_eq!(requests[0].header("webhook-signature"), signature);
    let event: Value = serde_json::from_str(&requests[0].body).unwrap();
    assert_eq!(event["id"], format!("{}/{}", job.id, delivery.seq));
    // The link in it opens the artifact.
    let token = event["data"]["files"][0]["link"].as_str().unwrap().rsplit_once('/').unwrap().1;
    let link = fixture.backends.store.find_link(model::access::hash_token(token)).await.unwrap().unwrap();
    assert_eq!(link.artifact, job.artifacts[0]);
    assert!(!requests[0].body.contains("canary"), "{}", requests[0].body);
}

async fn a_request_that_failed_is_repeated_under_its_id(stack: Stack) {
    let endpoint = webhook_endpoint::start().await.unwrap();
    endpoint.behave(EndpointBehaviour::status(503), 1);
    endpoint.behave(EndpointBehaviour::status(404), 1);
    endpoint.behave(EndpointBehaviour::TakeThenClose, 1);
    let mut fixture = fixture_with(stack, vec![("erp", hasty(&endpoint))]).await;
    fixture.run().await;
    let job = submit(&fixture, "erp").await;
    let delivery = fixture.ended(&job).await.remove(0);
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Sent, 4));
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 4);
    for request in &asked {
        assert_eq!((request.header("webhook-id"), &request.body), (asked[0].header("webhook-id"), &asked[0].body));
    }
}

async fn a_request_repeated_after_a_kill_is_the_same_request(stack: Stack) {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let mut fixture = fixture_with(stack, vec![("erp", hasty(&endpoint))]).await;
    let job = submit(&fixture, "erp").await;
    let id = fixture.deliveries(&job).await.remove(0).id;
    let sent = Arc::new(Signal::new());
    let channel = Arc::new(SendsThenHangs { channel: webhook::open(&fixture.config).unwrap(), sent: sent.clone() });
    let notifier = fixture.notifier(channel).with_lease(Duration::from_secs(1));
    let killed = tokio::spawn(async move { notifier.notify(id).await });
    sent.notified().await;
    killed.abort();
    fixture.run().await;
    let delivery = fixture.ended(&job).await.remove(0);
    assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Sent, 2));
    let taken = endpoint.taken();
    assert_eq!(taken.len(), 2, "this is the documented unknown window");
    assert_eq!(taken[0].header("webhook-id"), id.to_string());
    assert_eq!((taken[0].header("webhook-id"), &taken[0].body), (taken[1].header("webhook-id"), &taken[1].body));
}

async fn an_endpoint_that_asks_to_be_left_alone_is_left_alone_beyond_the_longest_queue(stack: Stack) {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let busy = EndpointBehaviour::Answer(429, "Retry-After: 7200\r\n".to_owned(), "slow down".to_owned());
    endpoint.behave(busy, 1);
    let fixture = fixture_with(stack, vec![("erp", hasty(&endpoint))]).await;
    let notifier = fixture.notifier(webhook::open(&fixture.config).unwrap());
    let (first, second) = (submit(&fixture, "erp").await, submit(&fixture, "erp").await);
    let store = &fixture.backends.store;
    for job in [&first, &second] {
        let id = fixture.deliveries(job).await.remove(0).id;
        assert_eq!(notifier.notify(id).await, DeliveryOutcome::RetryLater);
        let put_off = fixture.deliveries(job).await.remove(0);
        let left = (put_off.next_attempt_at.unwrap() - store.now().await.unwrap()).num_seconds();
        assert!((7_100..=7_200).contains(&left), "{left}");
    }
    assert_eq!(endpoint.asked().len(), 1, "the second one hears of it without asking");
    let said = fixture.deliveries(&first).await.remove(0).error.unwrap();
    assert_eq!(said, "the endpoint answered 429 Too Many Requests: slow down");
}

async fn an_endpoint_that_never_takes_it_is_given_up_on_and_told_by_hand(stack: Stack) {
    let endpoint = webhook_endpoint::start().await.unwrap();
    endpoint.behave(EndpointBehaviour::Answer(422, String::new(), "no such order".to_owned()), 3);
    let mut fixture = fixture_with(stack, vec![("erp", Webhook { max_attempts: 3, ..hasty(&endpoint) })]).await;
    fixture.run().await;
    let job = submit(&fixture, "erp").await;
    let failed = fixture.ended(&job).await.remove(0);
    assert_eq!((failed.state, failed.attempt), (DeliveryState::Failed, 3));
    let said = failed.error.unwrap();
    assert!(said.contains("given up after 3 tries") && said.ends_with("no such order"), "{said}");
    fixture.backends.store.send_again("acme", FailedDeliveries::One(failed.id), 1).await.unwrap();
    let sent = fixture.reaches(&job, "erp", DeliveryState::Sent).await;
    assert_eq!((sent.id, sent.attempt), (failed.id, 4));
    assert_eq!(endpoint.taken()[0].header("webhook-id"), failed.id.to_string());
    endpoint.behave(EndpointBehaviour::status(410), 1);
    let gone = submit(&fixture, "erp").await;
    let gone = fixture.ended(&gone).await.remove(0);
    assert_eq!((gone.state, gone.attempt), (DeliveryState::Failed, 1));
}

async fn a_silent_endpoint_delays_no_other(stack: Stack) {
    let (silent, alive) = (webhook_endpoint::start().await.unwrap(), webhook_endpoint::start().await.unwrap());
    silent.always_behave(Some(EndpointBehaviour::Silence));
    let dead = Webhook { timeout: Duration::from_secs(50), concurrency: 3, ..hasty(&silent) };
    let mut fixture = fixture_with(stack, vec![("dead", dead), ("erp", hasty(&alive))]).await;
    fixture.run().await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(submit(&fixture, "dead").await);
    }
    eventually(SOON, "the silent one is asked", async || silent.asked().len() == 3).await;
    for _ in 0..20 {
        let job = submit(&fixture, "erp").await;
        let delivery = fixture.ended(&job).await.remove(0);
        assert_eq!((delivery.state, delivery.attempt), (DeliveryState::Sent, 1));
    }
    // All the while the same three were under way, and nobody was asked for the others.
    assert_eq!((silent.asked().len(), silent.most_under_way(), alive.taken().len()), (3, 3, 20));
    for job in &waiting {
        assert!(fixture.deliveries(job).await[0].attempt <= 1);
    }
}

async fn being_told_to_stop_loses_no_request(stack: Stack) {
    let endpoint = webhook_endpoint::start().await.unwrap();
    endpoint.behave(EndpointBehaviour::status(500), 2);
    let narrow = Webhook { concurrency: 1, ..hasty(&endpoint) };
    let mut fixture = fixture_with(stack, vec![("erp", narrow)]).await;
    fixture.run().await;
    for _ in 0..10 {
        submit(&fixture, "erp").await;
    }
    eventually(SOON, "the first one is asked for", async || !endpoint.asked().is_empty()).await;
    let config = fixture.config.clone();
    let _keep = fixture.stop().await;
    // Another one finds what was left in the line.
    let (backends, background) = runtime::Backends::open(&config).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let moving = tokio::spawn(background.run_until_stopped(stop.clone()));
    let application = notifier::Application::build(&config, backends).await.unwrap();
    let running = tokio::spawn(application.run_until_stopped(stop.clone()));
    eventually(SOON, "everything is told", async || endpoint.taken().len() == 10).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    moving.await.unwrap();
    let ids: std::collections::BTreeSet<_> =
        endpoint.taken().iter().map(|one| one.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 10, "each once");
}
