//! Two tenants on one system: nothing of the one is ever told to the other.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use model::job::{Caller, JobState};
use testing::eventually;
use testing::process::Process;
use uuid::Uuid;

use crate::client::{Client, quick, slow};
use crate::stack::{SOON, Stack, make_key, metrics_of};

/// A tenant, what it listens to, and what is its own.
struct Tenant {
    client: Client,
    heard: Arc<Mutex<String>>,
    listening: tokio::task::JoinHandle<()>,
    jobs: Vec<Uuid>,
}

impl Tenant {
    /// Listens to all of its events and submits, with mails.
    async fn start(client: Client) -> Self {
        let (heard, feed) = (Arc::<Mutex<String>>::default(), client.feed().await);
        let (noted, mut chunks) = (Arc::clone(&heard), feed.bytes_stream());
        let listening = tokio::spawn(async move {
            while let Some(Ok(chunk)) = chunks.next().await {
                noted.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk));
            }
        });
        Self { client, heard, listening, jobs: Vec::new() }
    }

    async fn submit(&mut self) {
        self.jobs = self.client.submit_many(6, &quick().with_mail()).await;
        self.jobs.push(self.client.submit(&slow(300).with_mail()).await);
    }

    fn recipients(&self) -> Vec<String> {
        self.client.operations().iter().filter_map(|operation| operation.recipient.clone()).collect()
    }

    /// Everything that tells of this tenant: jobs, recipients, files and links.
    async fn words(&self, stack: &Stack) -> BTreeSet<String> {
        let mut words: BTreeSet<String> = self.recipients().into_iter().collect();
        words.insert(self.client.key.clone());
        for id in &self.jobs {
            words.insert(id.to_string());
            words.extend(stack.job(*id).await.artifacts.into_iter().map(|artifact| artifact.object_key));
            words.extend(self.links(*id).await);
        }
        words
    }

    /// The paths of a job's links.
    async fn links(&self, id: Uuid) -> Vec<String> {
        let job = self.client.get(&format!("/v1/jobs/{id}")).await.json::<serde_json::Value>().await.unwrap();
        let artifacts = job["artifacts"].as_array().unwrap().iter();
        artifacts.map(|one| format!("/d/{}", one["link"].as_str().unwrap().rsplit_once('/').unwrap().1)).collect()
    }

    /// Everything the system told this tenant or its recipients.
    async fn told(&self, stack: &Stack) -> Vec<(String, String)> {
        let mut told = vec![("the feed".to_owned(), self.heard.lock().unwrap().clone())];
        for path in ["/v1/jobs", "/v1/reports", "/v1/admin/dead-letters", "/v1/admin/deliveries", "/v1/admin/queues"] {
            let answer = self.client.get(path).await;
            assert_eq!(answer.status(), 200, "{path}");
            told.push((path.to_owned(), answer.text().await.unwrap()));
        }
        for mail in self.recipients().iter().flat_map(|to| stack.smtp.mails_to(to)) {
            told.push(("a mail".to_owned(), format!("{}\n{}\n{}", mail.source, mail.text(), mail.html())));
        }
        told
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_on_one_system_hear_nothing_of_each_other() {
    let stack = Stack::start(2).await;
    let stranger = Caller { tenant: "zenith".to_owned(), principal: "zoe".to_owned() };
    let other = Client::new(make_key(stack.store.as_ref(), stranger).await);
    other.use_gateways(stack.gateways.iter().map(Process::url).collect());
    let mut tenants = [Tenant::start(stack.client.clone()).await, Tenant::start(other).await];
    let [one, two] = &mut tenants;
    tokio::join!(one.submit(), two.submit());
    for tenant in &tenants {
        for id in &tenant.jobs {
            stack.wait_for(*id, JobState::Done).await;
            eventually(SOON, "the feed tells of the job's end", async || {
                let heard = tenant.heard.lock().unwrap();
                let told = heard.split("\n\n").any(|one| one.contains("event: done") && one.contains(&id.to_string()));
                if told { Ok(()) } else { Err(heard.clone()) }
            })
            .await;
        }
        for recipient in tenant.recipients() {
            eventually(SOON, "the mail is there", async || stack.smtp.mails_to(&recipient).len() == 1).await;
        }
    }
    for (own, foreign) in [(&tenants[0], &tenants[1]), (&tenants[1], &tenants[0])] {
        let words = foreign.words(&stack).await;
        assert!(words.len() > foreign.jobs.len() * 3, "{words:?}");
        for (place, text) in own.told(&stack).await {
            let found = words.iter().find(|word| text.contains(*word));
            assert_eq!(found, None, "{place} of another tenant: {text}");
        }
        for id in &foreign.jobs {
            for path in ["", "/events", "/artifacts/csv", "/artifacts/csv/receipt"] {
                let status = own.client.get(&format!("/v1/jobs/{id}{path}")).await.status();
                assert_eq!(status, 404, "{path} of another tenant's job");
            }
        }
        // A link is for whoever has it, and opens its own file only.
        for link in foreign.links(foreign.jobs[0]).await {
            assert!(own.client.get(&link).await.status().is_success());
        }
    }
    let processes = stack.gateways.iter().chain(&stack.workers).chain(&stack.notifiers);
    for process in processes {
        let metrics = metrics_of(process).await;
        for tenant in &tenants {
            let words = tenant.words(&stack).await;
            let found = words.iter().map(String::as_str).chain(["acme", "zenith"]).find(|word| metrics.contains(word));
            assert_eq!(found, None, "a metric tells of a tenant: {metrics}");
        }
        tenants.iter().for_each(|tenant| assert!(!tenant.listening.is_finished(), "a feed ended"));
    }
}
