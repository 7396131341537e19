//! Each channel, on each kind of receiver, keeps the contract.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use configuration::{Config, Secret};
use model::delivery::Channel;
use notifier::channel::DeliveryChannel;
use notifier::registry;
use testing::eventually;
use testing::smtp::{self, Behaviour, Mail, Smtp};
use testing::webhook_endpoint::{self, EndpointBehaviour, EndpointRequest, WebhookEndpoint};

use crate::channel_conformance::{Received, Receiver};
use crate::facts::config;
use crate::webhook_answers::{open_webhooks, settings};

const SOON: Duration = Duration::from_secs(30);

/// Opens the channel of mails as the notifier does, on `url`.
fn open(url: String) -> Arc<dyn DeliveryChannel> {
    let mut config = config();
    config.mail.url = Secret::new(url);
    config.mail.timeout = Duration::from_secs(1);
    config.mail.allow = vec!["@example.com".to_owned()];
    let channels = registry::open_all(&config).unwrap();
    channels.into_iter().find(|channel| channel.channel() == Channel::Email).unwrap()
}

fn received(mail: &Mail) -> Received {
    // A server may end the last line; nothing else is its to change.
    Received { identity: mail.message_id(), content: mail.source.trim_end().to_owned() }
}

struct MailServer {
    server: Option<Smtp>,
    taken: Vec<Mail>,
    channel: Arc<dyn DeliveryChannel>,
}

impl MailServer {
    async fn start() -> Self {
        let server = smtp::start().await.unwrap();
        server.always_behave_to("nobody@example.com", Behaviour::Answer(550));
        let channel = open(server.url());
        Self { server: Some(server), taken: Vec::new(), channel }
    }

    fn behave(&self, behaviour: Behaviour) {
        self.server.as_ref().unwrap().behave(behaviour, 1);
    }
}

impl Receiver for MailServer {
    fn channel(&self) -> &dyn DeliveryChannel {
        self.channel.as_ref()
    }

    fn recipient(&self) -> String {
        "ana@example.com".to_owned()
    }

    fn refused_recipient(&self) -> String {
        "nobody@example.com".to_owned()
    }

    fn received(&self) -> Vec<Received> {
        self.server.as_ref().map_or_else(|| self.taken.clone(), Smtp::mails).iter().map(received).collect()
    }

    fn fail(&mut self) {
        self.behave(Behaviour::Answer(450));
    }

    fn fall_silent(&mut self) {
        self.behave(Behaviour::Silence);
    }

    fn lose_answers(&mut self) {
        self.behave(Behaviour::TakeThenClose);
    }

    async fn recover(&mut self) {}

    fn go_away(&mut self) {
        self.taken = self.server.take().unwrap().mails();
    }
}

struct MailFolder {
    path: PathBuf,
    channel: Arc<dyn DeliveryChannel>,
    /// Keeps the only thread busy that writes files.
    busy: Option<Sender<()>>,
    _keep: tempfile::TempDir,
}

impl MailFolder {
    async fn make() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let path = keep.path().join("mails");
        let channel = open(format!("file:{}", path.display()));
        Self { path, channel, busy: None, _keep: keep }
    }
}

impl Receiver for MailFolder {
    fn channel(&self) -> &dyn DeliveryChannel {
        self.channel.as_ref()
    }

    fn recipient(&self) -> String {
        "ana@example.com".to_owned()
    }

    fn refused_recipient(&self) -> String {
        "ana@example.org".to_owned()
    }

    fn received(&self) -> Vec<Received> {
        let files = std::fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().path());
        let mails = files.filter(|file| file.extension().is_some_and(|ending| ending == "eml"));
        let read = |file| Mail { from: String::new(), to: Vec::new(), source: std::fs::read_to_string(file).unwrap() };
        mails.map(|file| received(&read(file))).collect()
    }

    fn fail(&mut self) {
        std::fs::remove_dir(&self.path).unwrap();
    }

    fn fall_silent(&mut self) {
        let (busy, wait) = std::sync::mpsc::channel();
        self.busy = Some(busy);
        tokio::task::spawn_blocking(move || wait.recv());
    }

    fn lose_answers(&mut self) {
        self.fall_silent();
    }

    async fn recover(&mut self) {
        if self.busy.take().is_some() {
            eventually(SOON, "what was handed over is written", async || !self.received().is_empty()).await;
        } else {
            std::fs::create_dir(&self.path).unwrap();
        }
    }

    fn go_away(&mut self) {
        std::fs::remove_dir(&self.path).unwrap();
    }
}

/// An endpoint that takes what it is told, and one that wants nothing any more.
struct Endpoints {
    open: Option<WebhookEndpoint>,
    taken: Vec<EndpointRequest>,
    channel: Arc<dyn DeliveryChannel>,
    _gone: WebhookEndpoint,
}

impl Endpoints {
    async fn start() -> Self {
        let (open, gone) = (webhook_endpoint::start().await.unwrap(), webhook_endpoint::start().await.unwrap());
        gone.always_behave(Some(EndpointBehaviour::status(410)));
        let channel = open_webhooks([("erp", settings(&open)), ("gone", settings(&gone))]);
        Self { open: Some(open), taken: Vec::new(), channel, _gone: gone }
    }

    fn behave(&self, behaviour: EndpointBehaviour) {
        self.open.as_ref().unwrap().behave(behaviour, 1);
    }
}

impl Receiver for Endpoints {
    fn channel(&self) -> &dyn DeliveryChannel {
        self.channel.as_ref()
    }

    fn recipient(&self) -> String {
        "erp".to_owned()
    }

    fn refused_recipient(&self) -> String {
        "gone".to_owned()
    }

    fn received(&self) -> Vec<Received> {
        let taken = self.open.as_ref().map_or_else(|| self.taken.clone(), WebhookEndpoint::taken);
        let received =
            |one: EndpointRequest| Received { identity: one.header("webhook-id").to_owned(), content: one.body };
        taken.into_iter().map(received).collect()
    }

    fn fail(&mut self) {
        self.behave(EndpointBehaviour::status(500));
    }

    fn fall_silent(&mut self) {
        self.behave(EndpointBehaviour::Silence);
    }

    fn lose_answers(&mut self) {
        self.behave(EndpointBehaviour::TakeThenClose);
    }

    async fn recover(&mut self) {}

    fn go_away(&mut self) {
        self.taken = self.open.take().unwrap().taken();
    }
}

mod an_endpoint {
    crate::channel_conformance::conforms!(super::Endpoints::start());
}

mod a_mail_server {
    crate::channel_conformance::conforms!(super::MailServer::start());
}

mod a_folder_of_mails {
    crate::channel_conformance::conforms!(super::MailFolder::make());
}

#[test]
fn every_channel_of_the_table_is_opened_under_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let opened = registry::open_all(&Config::embedded(folder.path()).unwrap()).unwrap();
    assert_eq!(opened.iter().map(|channel| channel.channel()).collect::<Vec<_>>(), Channel::ALL);
}
