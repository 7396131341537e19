//! Webhooks from the configuration file to the endpoint, through the built binary and HTTP.

use std::path::PathBuf;
use std::process::Stdio;

use model::webhook::WebhookSecret;
use serde_json::{Value, json};
use testing::eventually;
use testing::webhook_endpoint::{self, EndpointBehaviour, EndpointRequest, WebhookEndpoint};

use crate::service::{DEADLINE, Sandbox, Service, output_text};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT_SECRET: &str = "whsec_c2VjcmV0cyBhcmUgcm90YXRlZCBub3cgYW5kIHRoZW4=";

/// A section of the configuration that leads to an endpoint of a test.
fn section(name: &str, endpoint: &WebhookEndpoint, tenants: &str) -> String {
    format!(
        "[webhooks.{name}]\nurl = \"{}\"\nsecrets = [\"{NEXT_SECRET}\", \"{SECRET}\"]\ntenants = {tenants}\nallow_http = true\n\
         allow_private = true\ntimeout = \"1s\"\nretry_delays = [\"100ms\", \"200ms\"]\nmax_attempts = 3\n",
        endpoint.url()
    )
}

struct Caller {
    key: String,
    client: reqwest::Client,
    address: String,
}

impl Caller {
    fn of(sandbox: &Sandbox, service: &Service) -> Self {
        let key = std::fs::read_to_string(sandbox.path("data/api-key")).unwrap().trim().to_owned();
        Self { key, client: reqwest::Client::new(), address: service.address.clone() }
    }

    async fn submit(&self, webhook: &str) -> (u16, Value) {
        let body = json!({"report": "counting", "notify": [{"channel": "webhook", "to": webhook}]});
        let request = self.client.post(format!("{}/v1/jobs", self.address)).bearer_auth(&self.key);
        let answer = request.header("Idempotency-Key", format!("key-{webhook}")).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn deliveries(&self) -> Value {
        let url = format!("{}/v1/admin/deliveries", self.address);
        self.client.get(url).bearer_auth(&self.key).send().await.unwrap().json::<Value>().await.unwrap()["deliveries"]
            .take()
    }
}

fn is_signed(request: &EndpointRequest, secret: &str) -> bool {
    let (id, timestamp) = (request.header("webhook-id"), request.header("webhook-timestamp").parse().unwrap());
    let signature = WebhookSecret::read(secret).unwrap().sign(id, timestamp, request.body.as_bytes());
    request.header("webhook-signature").split(' ').any(|one| one == signature)
}

async fn told(endpoint: &WebhookEndpoint, requests: usize) -> Vec<EndpointRequest> {
    eventually(DEADLINE, "the endpoint is told", async || {
        let taken = endpoint.taken();
        if taken.len() >= requests { Ok(taken) } else { Err(format!("{:?}", endpoint.asked())) }
    })
    .await
}

#[tokio::test]
async fn an_endpoint_of_the_configuration_is_told_of_a_job_by_a_signed_request_with_a_link() {
    let (endpoint, foreign) = (webhook_endpoint::start().await.unwrap(), webhook_endpoint::start().await.unwrap());
    let sandbox = Sandbox::with_counting();
    sandbox.configure(&[section("erp", &endpoint, "[\"*\"]"), section("theirs", &foreign, "[\"globex\"]")].concat());
    // Whoever the environment names is asked for nothing.
    let behind = |command: &mut tokio::process::Command| {
        for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
            command.env(name, "http://127.0.0.1:1");
        }
        command.env_remove("NO_PROXY").env_remove("no_proxy");
    };
    let service = sandbox.up_with(behind).await;
    let caller = Caller::of(&sandbox, &service);
    let (status, job) = caller.submit("erp").await;
    assert_eq!(status, 202, "{job}");
    let request = told(&endpoint, 1).await.remove(0);
    assert!(is_signed(&request, SECRET) && is_signed(&request, NEXT_SECRET), "{request:?}");
    let event: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!((&event["type"], &event["subject"]), (&json!("dev.waitless.job.done"), &job["id"]));
    let link = event["data"]["files"][0]["link"].as_str().unwrap();
    let file = caller.client.get(link).send().await.unwrap();
    assert_eq!(file.status(), 200);
    let delivery = eventually(DEADLINE, "it is settled", async || {
        let delivery = caller.deliveries().await[0].take();
        if delivery["state"] == "sent" { Ok(delivery) } else { Err(delivery.to_string()) }
    })
    .await;
    assert_eq!((&delivery["channel"], &delivery["to"]), (&json!("webhook"), &json!("erp")));
    assert_eq!(delivery["id"], request.header("webhook-id"));
    // Somebody else's endpoint is as unknown as none, and what to do is told.
    let answers = [caller.submit("theirs").await, caller.submit("nobodys").await];
    let details = answers.each_ref().map(|(status, said)| {
        assert_eq!((*status, &said["errors"][0]["pointer"]), (422, &json!("/notify/0/to")), "{said}");
        said["errors"][0]["detail"].as_str().unwrap()
    });
    assert_eq!(details[0], details[1]);
    assert!(details[0].contains("[webhooks.<name>]") && !details[0].contains("globex"), "{}", details[0]);
    assert_eq!((foreign.asked().len(), endpoint.asked().len()), (0, 1));
    assert_eq!(service.stop().await, 0);
    assert!(!sandbox.log().contains(link.rsplit_once('/').unwrap().1), "a link is in the log");
}

#[tokio::test]
async fn what_an_endpoint_says_is_shown_and_a_failed_delivery_is_sent_again_by_hand() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    endpoint.behave(EndpointBehaviour::Answer(422, String::new(), "no such customer".to_owned()), 3);
    let sandbox = Sandbox::with_counting();
    sandbox.configure(&section("erp", &endpoint, "[\"*\"]"));
    let service = sandbox.up().await;
    let caller = Caller::of(&sandbox, &service);
    sandbox.say(&["run", "counting", "--out", "a.csv", "--webhook", "erp"]).await;
    let failed = eventually(DEADLINE, "it is given up", async || {
        let delivery = caller.deliveries().await[0].take();
        if delivery["state"] == "failed" { Ok(delivery) } else { Err(delivery.to_string()) }
    })
    .await;
    let said = failed["error"].as_str().unwrap();
    assert!(said.contains("422 Unprocessable Entity: no such customer"), "{said}");
    sandbox.say(&["send-again", failed["id"].as_str().unwrap()]).await;
    assert_eq!(told(&endpoint, 1).await[0].header("webhook-id"), failed["id"]);
    let doctor = output_text(&sandbox.output(&["doctor"]).await);
    assert!(doctor.contains("webhook erp") && doctor.contains("2 secrets sign"), "{doctor}");
    assert!(!doctor.contains(SECRET), "{doctor}");
}

#[tokio::test]
async fn a_service_that_is_killed_while_an_endpoint_is_silent_tells_it_again_under_the_same_id() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    endpoint.behave(EndpointBehaviour::Silence, 1);
    let sandbox = Sandbox::with_counting();
    // The next one listens elsewhere, and its links are to lead to the same place.
    let steady = "[service]\npublic_url = \"http://reports.example.com\"\n[sweeper]\ngrace = \"500ms\"\n";
    sandbox.configure(&format!("{}{steady}", section("erp", &endpoint, "[\"*\"]")));
    let service = sandbox.up().await;
    assert_eq!(Caller::of(&sandbox, &service).submit("erp").await.0, 202);
    eventually(DEADLINE, "the endpoint has the request", async || endpoint.asked().len() == 1).await;
    service.kill().await;
    let service = sandbox.up().await;
    let again = told(&endpoint, 1).await.remove(0);
    let first = endpoint.asked().remove(0);
    assert_eq!((again.header("webhook-id"), &again.body), (first.header("webhook-id"), &first.body));
    assert!(is_signed(&again, SECRET));
    assert_eq!(service.stop().await, 0);
}

/// Runs the example of a language from the documentation over a request that was sent.
async fn run_example(language: &str, program: &str, request: &EndpointRequest) -> bool {
    let page = std::fs::read_to_string(documentation()).unwrap();
    let begin = format!("```{language}\n");
    let example = page.split_once(&begin).and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    let (ending, call) = match language {
        "python" => ("py", "import os\nverify(os.environ['BODY'].encode(), os.environ, [os.environ['SECRET']])\n"),
        _ => ("mjs", "await verify(process.env.BODY, process.env, [process.env.SECRET]);\n"),
    };
    let file = folder.path().join(format!("example.{ending}"));
    let sdk = documentation().with_file_name("../api/web/sdk/webhook.js");
    let example = example.replace("@waitless/client/webhook", sdk.to_str().unwrap());
    std::fs::write(&file, format!("{example}\n{call}")).unwrap();
    let mut command = tokio::process::Command::new(program);
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        command.env(name, request.header(name));
    }
    let command = command.arg(&file).env("BODY", &request.body).env("SECRET", SECRET).stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let said = output_text(&output);
    assert!(output.status.success() || said.contains("signed"), "{language}: {said}");
    output.status.success()
}

fn documentation() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/WEBHOOKS.md")
}

#[tokio::test]
async fn the_examples_of_the_documentation_verify_what_the_service_signs() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let sandbox = Sandbox::with_counting();
    sandbox.configure(&section("erp", &endpoint, "[\"*\"]"));
    let service = sandbox.up().await;
    assert_eq!(Caller::of(&sandbox, &service).submit("erp").await.0, 202);
    let request = told(&endpoint, 1).await.remove(0);
    let altered = EndpointRequest { body: request.body.replace("done", "gone"), ..request.clone() };
    for (language, program) in [("js", "node"), ("python", "python3")] {
        assert!(run_example(language, program, &request).await, "{language}");
        assert!(!run_example(language, program, &altered).await, "{language} takes what nobody signed");
    }
}
