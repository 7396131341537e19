//! What goes to an endpoint, what it may answer, and where no request ever goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use configuration::{Config, Secret, Webhook};
use model::artifact::Format;
use model::delivery::{Channel, Delivery, DeliveryEvent, Lateness};
use model::job::JobState;
use model::problem::{Problem, ProblemKind};
use model::progress::Progress;
use model::webhook::WebhookSecret;
use notifier::channel::{DeliveryAttempt, DeliveryChannel, SendError};
use notifier::compose::Composer;
use notifier::compose::facts::Facts;
use notifier::webhook;
use serde_json::{Value, json};
use testing::tls::CertificateAuthority;
use testing::webhook_endpoint::{self, EndpointBehaviour, EndpointRequest, WebhookEndpoint};

use crate::facts::{self, artifact, failed, id, ready};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT_SECRET: &str = "whsec_c2VjcmV0cyBhcmUgcm90YXRlZCBub3cgYW5kIHRoZW4=";

/// Settings of an endpoint of a test.
pub(crate) fn settings(endpoint: &WebhookEndpoint) -> Webhook {
    Webhook {
        allow_http: true,
        allow_private: true,
        timeout: Duration::from_secs(2),
        ..Webhook::at(endpoint.url(), SECRET)
    }
}

pub(crate) fn open_webhooks<const N: usize>(webhooks: [(&str, Webhook); N]) -> Arc<dyn DeliveryChannel> {
    webhook::open(&with_webhooks(webhooks)).unwrap()
}

fn with_webhooks<const N: usize>(webhooks: [(&str, Webhook); N]) -> Config {
    let mut config = facts::config();
    config.webhooks = webhooks.into_iter().map(|(name, webhook)| (name.to_owned(), webhook)).collect();
    config
}

async fn tell_of(channel: &dyn DeliveryChannel, facts: &Facts, delivery: Delivery) -> Result<(), SendError> {
    let composer = Composer::new(&facts::config()).unwrap();
    let content = composer.compose(&delivery, facts).unwrap();
    let brand = composer.brand(&delivery.tenant);
    channel.send(DeliveryAttempt { delivery: &delivery, facts, content: &content, brand }).await
}

fn delivery(event: DeliveryEvent) -> Delivery {
    Delivery { channel: Channel::Webhook, recipient: "erp".to_owned(), ..facts::delivery(event) }
}

async fn tell(channel: &dyn DeliveryChannel) -> Result<(), SendError> {
    tell_of(channel, &ready(vec![artifact(2, Format::Csv, 12_345, 175)]), delivery(DeliveryEvent::Done)).await
}

fn is_signed(request: &EndpointRequest, secret: &str) -> bool {
    let (id, timestamp) = (request.header("webhook-id"), request.header("webhook-timestamp").parse().unwrap());
    let signature = WebhookSecret::read(secret).unwrap().sign(id, timestamp, request.body.as_bytes());
    request.header("webhook-signature").split(' ').any(|one| one == signature)
}

#[tokio::test]
async fn a_request_is_a_cloud_event_signed_by_every_secret() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let secrets = vec![Secret::new(NEXT_SECRET), Secret::new(SECRET)];
    let channel = open_webhooks([("erp", Webhook { secrets, ..settings(&endpoint) })]);
    tell(channel.as_ref()).await.unwrap();
    let request = endpoint.taken().remove(0);
    assert_eq!(request.line, "POST /hooks/waitless?of=tests HTTP/1.1");
    assert_eq!(request.header("content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(request.header("webhook-id"), id(0xd1).to_string());
    let age = chrono::Utc::now().timestamp() - request.header("webhook-timestamp").parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "{age}");
    assert!(is_signed(&request, SECRET) && is_signed(&request, NEXT_SECRET));
    assert_eq!(request.header("webhook-signature").split(' ').count(), 2);
    assert!(!request.body.contains("canary") && !request.body.contains("principal"), "{}", request.body);
    let event: Value = serde_json::from_str(&request.body).unwrap();
    insta::assert_json_snapshot!(event, {".data.files[].link" => insta::dynamic_redaction(|link, _| {
        let token = link.as_str().unwrap().strip_prefix("https://reports.example.com/d/").unwrap();
        assert!(token.len() > 30, "{token}");
        "https://reports.example.com/d/…"
    })});
}

#[tokio::test]
async fn a_failure_and_a_delay_are_told_in_the_same_envelope() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let channel = open_webhooks([("erp", settings(&endpoint))]);
    let mut failure = failed(Problem::new(ProblemKind::QueryFailed, "division by zero"));
    // Made again since: what is told is still the failure.
    failure.job.artifacts = vec![artifact(2, Format::Csv, 1, 1)];
    tell_of(channel.as_ref(), &failure, delivery(DeliveryEvent::Failed)).await.unwrap();
    let late = Lateness { state: JobState::Processing, progress: Progress::default(), eta: None };
    let facts = facts::late(JobState::Processing, Progress::default(), None);
    tell_of(channel.as_ref(), &facts, Delivery { late: Some(late), seq: 0, ..delivery(DeliveryEvent::Late) })
        .await
        .unwrap();
    let told: Vec<Value> = endpoint.taken().iter().map(|one| serde_json::from_str(&one.body).unwrap()).collect();
    assert_eq!((&told[0]["type"], &told[0]["id"]), (&json!("dev.waitless.job.failed"), &json!(format!("{}/3", id(1)))));
    assert_eq!(
        (&told[0]["data"]["error"]["detail"], &told[0]["data"]["files"]),
        (&json!("division by zero"), &json!([]))
    );
    assert_eq!(
        (&told[1]["type"], &told[1]["id"]),
        (&json!("dev.waitless.job.late"), &json!(format!("{}/late", id(1))))
    );
    assert_eq!(told[1]["data"]["late"]["state"], "processing");
}

#[tokio::test]
async fn what_an_endpoint_answers_decides_what_becomes_of_the_delivery() {
    let elsewhere = webhook_endpoint::start().await.unwrap();
    let location = format!("Location: {}\r\n", elsewhere.url());
    let header = |line: &str| format!("{line}\r\n");
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (status, headers, after) in [
        (301, location.clone(), None),
        (307, location, None),
        (400, String::new(), None),
        (401, String::new(), None),
        (404, header("Retry-After: 60"), None),
        (409, String::new(), None),
        (422, String::new(), None),
        (429, header("Retry-After: 7"), seconds(7)),
        (429, String::new(), None),
        (500, header("Retry-After: 7"), None),
        (502, String::new(), None),
        (503, header("Retry-After: 172800"), seconds(86_400)),
        (504, String::new(), None),
    ] {
        let endpoint = webhook_endpoint::start().await.unwrap();
        let channel = open_webhooks([("erp", settings(&endpoint))]);
        endpoint.behave(EndpointBehaviour::Answer(status, headers, "{\n  \"why\": \"not now\"\r\n}".to_owned()), 1);
        let told = tell(channel.as_ref()).await;
        let Err(SendError::Retry { reason, after: asked }) = told else { panic!("{status}: {told:?}") };
        assert!(reason.contains(&status.to_string()) && reason.ends_with("{ \"why\": \"not now\" }"), "{reason}");
        assert_eq!(asked, after, "{status}");
    }
    assert_eq!(elsewhere.asked(), [], "nobody is led anywhere");
    let endpoint = webhook_endpoint::start().await.unwrap();
    let channel = open_webhooks([("erp", settings(&endpoint))]);
    for status in [200, 201, 202, 204, 299] {
        endpoint.behave(EndpointBehaviour::Answer(status, String::new(), String::new()), 1);
        assert_eq!(tell(channel.as_ref()).await, Ok(()), "{status}");
    }
    endpoint.behave(EndpointBehaviour::Answer(410, String::new(), "moved out".to_owned()), 1);
    let gone = tell(channel.as_ref()).await;
    assert_eq!(gone, Err(SendError::Rejected("the endpoint answered 410 Gone: moved out".to_owned())));
}

#[tokio::test]
async fn an_answer_costs_what_it_is_bounded_to_however_it_comes() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let channel = open_webhooks([("erp", settings(&endpoint))]);
    let ten_megabytes = "x".repeat(10 << 20);
    let drip = Some(Duration::from_millis(20));
    for (behaviour, is_told) in [
        (EndpointBehaviour::Endless(200, None), true),
        (EndpointBehaviour::Endless(200, drip), true),
        (EndpointBehaviour::CutInAnswer(200), true),
        (EndpointBehaviour::Endless(500, None), false),
        (EndpointBehaviour::Endless(500, drip), false),
        (EndpointBehaviour::CutInAnswer(500), false),
        (EndpointBehaviour::Answer(500, String::new(), ten_megabytes), false),
    ] {
        let shown = format!("{behaviour:?}").chars().take(60).collect::<String>();
        endpoint.behave(behaviour, 1);
        let started = Instant::now();
        let told = tell(channel.as_ref()).await;
        assert!(started.elapsed() < Duration::from_secs(5), "{shown}: {:?}", started.elapsed());
        match told {
            Ok(()) => assert!(is_told, "{shown}"),
            Err(SendError::Retry { reason, .. }) => assert!(!is_told && reason.len() < 400, "{shown}: {reason}"),
            Err(other) => panic!("{shown}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn links_that_an_endpoint_echoes_are_not_kept() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let channel = open_webhooks([("erp", settings(&endpoint))]);
    tell(channel.as_ref()).await.unwrap();
    let body = endpoint.taken().remove(0).body;
    let link = serde_json::from_str::<Value>(&body).unwrap()["data"]["files"][0]["link"].as_str().unwrap().to_owned();
    endpoint.behave(EndpointBehaviour::Answer(400, String::new(), format!("cannot use {link}")), 1);
    let said = tell(channel.as_ref()).await.unwrap_err().to_string();
    assert!(said.ends_with("cannot use https://reports.example.com/d/(hidden)"), "{said}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_gets_nothing() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let authority = CertificateAuthority::of(&["localhost"]).unwrap();
    let proxy = authority.in_front_of(endpoint.address()).await.unwrap();
    let at_proxy = Webhook {
        url: Secret::new(format!("https://localhost:{}/hooks", proxy.port())),
        allow_http: false,
        ..settings(&endpoint)
    };
    let trusting = Webhook { ca_file: Some(authority.ca_file()), ..at_proxy.clone() };
    let told = tell(open_webhooks([("erp", at_proxy)]).as_ref()).await;
    let Err(SendError::Retry { reason, after: None }) = told else { panic!("{told:?}") };
    assert!(reason.contains("cannot be reached") && reason.contains("certificate"), "{reason}");
    assert_eq!(endpoint.asked(), []);
    tell(open_webhooks([("erp", trusting)]).as_ref()).await.unwrap();
    assert_eq!(endpoint.taken().len(), 1);
}

#[tokio::test]
async fn nothing_goes_to_an_inner_address_whether_it_is_written_out_or_looked_up() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let port = endpoint.address().port();
    let outside = Webhook { allow_private: false, ..settings(&endpoint) };
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
    ] {
        let url = Secret::new(format!("http://{host}:{port}/hooks"));
        let refused = webhook::open(&with_webhooks([("erp", Webhook { url, ..outside.clone() })])).unwrap_err();
        assert!(format!("{refused:#}").contains("no address of the public internet"), "{host}: {refused:#}");
    }
    let url = Secret::new(format!("http://localhost:{port}/hooks"));
    let channel = open_webhooks([("erp", Webhook { url: url.clone(), ..outside })]);
    let told = tell(channel.as_ref()).await;
    let Err(SendError::Retry { reason, .. }) = told else { panic!("{told:?}") };
    assert!(reason.contains("localhost leads to") && reason.contains("public internet"), "{reason}");
    assert!(channel.check().await.unwrap_err().contains("public internet"));
    assert_eq!(endpoint.asked(), []);
    // The same name, where that is meant; and not without TLS where that is not.
    tell(open_webhooks([("erp", Webhook { url: url.clone(), ..settings(&endpoint) })]).as_ref()).await.unwrap();
    let plain = open_webhooks([("erp", Webhook { url, allow_http: false, ..settings(&endpoint) })]);
    assert!(matches!(tell(plain.as_ref()).await, Err(SendError::Retry { .. })));
    assert_eq!(endpoint.asked().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_left_alone_and_no_other_is() {
    let (dead, alive) = (webhook_endpoint::start().await.unwrap(), webhook_endpoint::start().await.unwrap());
    dead.always_behave(Some(EndpointBehaviour::status(500)));
    let channel = open_webhooks([("erp", settings(&dead)), ("wms", settings(&alive))]);
    for _ in 0..5 {
        tell(channel.as_ref()).await.unwrap_err();
    }
    dead.always_behave(None);
    let told = tell(channel.as_ref()).await;
    let Err(SendError::Retry { reason, after: Some(after) }) = told else { panic!("{told:?}") };
    assert!(reason.contains("is left alone") && after <= Duration::from_secs(30), "{reason}: {after:?}");
    assert_eq!(dead.asked().len(), 5);
    let other = Delivery { recipient: "wms".to_owned(), ..delivery(DeliveryEvent::Done) };
    tell_of(channel.as_ref(), &ready(vec![artifact(2, Format::Csv, 1, 1)]), other).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_any_more_is_waited_for_and_one_of_others_is_not() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let of_others = Webhook { tenants: vec!["globex".to_owned()], ..settings(&endpoint) };
    let channel = open_webhooks([("wms", of_others)]);
    assert!(matches!(tell(channel.as_ref()).await, Err(SendError::Retry { .. })));
    let foreign = Delivery { recipient: "wms".to_owned(), ..delivery(DeliveryEvent::Done) };
    let told = tell_of(channel.as_ref(), &ready(vec![artifact(2, Format::Csv, 1, 1)]), foreign).await;
    assert!(matches!(told, Err(SendError::Rejected(_))), "{told:?}");
    assert_eq!(endpoint.asked(), []);
}
