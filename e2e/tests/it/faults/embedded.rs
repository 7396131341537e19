//! Everything in one process on embedded backends keeps the same promises.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shared::config::Config;
use shared::job::{Caller, JobState};
use shared::outbox::Outbox;
use shared::store::Store;
use testing::eventually;
use testing::process::Process;

use crate::client::{Client, busy, quick};
use crate::history;
use crate::stack::{SOON, common_settings, wait_until_all_ended};

/// `waitless up` on a data folder, again and again.
struct Embedded {
    settings: Vec<(String, String)>,
    data: std::path::PathBuf,
    smtp: testing::smtp::Smtp,
}

impl Embedded {
    async fn prepare(folder: &Path) -> Self {
        let (smtp, data) = (testing::smtp::start().await.unwrap(), folder.join("data"));
        let mut settings = common_settings(folder);
        let more = [("WAITLESS_SERVICE__DATA_DIR", data.display().to_string()), ("WAITLESS_MAIL__URL", smtp.url())];
        settings.extend(more.map(|(name, value)| (name.to_owned(), value)));
        Self { settings, data, smtp }
    }

    async fn up(&self) -> Process {
        let builder = testing::process::binary("waitless").arg("up");
        let builder = self.settings.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
        builder.start_ready().await.unwrap()
    }

    fn key(&self) -> String {
        std::fs::read_to_string(self.data.join("api-key")).unwrap().trim().to_owned()
    }

    fn config(&self) -> Config {
        Config::from_layers(None, self.settings.clone().into_iter()).unwrap()
    }

    /// Reads the database from beside, as a backup would.
    async fn store(&self) -> Arc<dyn Store> {
        shared::store::open(&self.config().database, Outbox::new().0).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_one_process_killed_again_and_again_brings_every_job_once() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::prepare(folder.path()).await;
    let mut process = embedded.up().await;
    let client = Client::new(embedded.key());
    client.use_gateways(vec![process.url()]);
    let store = embedded.store().await;
    let submitting = client.clone();
    let submitting = tokio::spawn(async move {
        for _ in 0..20 {
            submitting.submit_many(4, &quick().with_mail()).await;
            submitting.submit(&busy().with_mail()).await;
        }
    });
    for _ in 0..2 {
        eventually(SOON, "a job runs", async || {
            store
                .job_counts()
                .await
                .is_ok_and(|counts| counts.iter().any(|(_, state, _)| *state == JobState::Processing))
        })
        .await;
        process.kill();
        process = embedded.up().await;
        client.use_gateways(vec![process.url()]);
    }
    submitting.await.unwrap();
    wait_until_all_ended(store.as_ref(), &client).await;
    process.terminate().unwrap();
    let status = process.wait(Duration::from_secs(20)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", process.log());
    let evidence = history::Evidence {
        store,
        mails: embedded.smtp.mails(),
        artifacts: embedded.data.join("artifacts"),
        config: embedded.config(),
        caller: Caller { tenant: "default".to_owned(), principal: "default".to_owned() },
    };
    let verdict = history::judge(&client.operations(), evidence).await;
    println!("{verdict}");
    assert!(verdict.is_clean(), "{verdict:#}");
}
