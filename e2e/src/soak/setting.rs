//! The system that the storm comes over.

use anyhow::Context as _;
use testing::fake_clock::FakeClock;
use testing::proxy::Proxy;
use testing::s3::S3;
use testing::webhook_endpoint::WebhookEndpoint;

use super::plan::{Plan, StorageKind};
use super::schedules;
use crate::rabbitmq::ServerChoice;
use crate::stack::Stack;

/// How many of each process there are.
const GATEWAYS: usize = 2;
const WORKERS: usize = 3;
const NOTIFIERS: usize = 2;

/// A system, and the proxies before its servers.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) stack: Stack,
    pub(super) smtp_proxy: Proxy,
    /// Is told of what schedules bring, beside their readers.
    pub(super) endpoint: WebhookEndpoint,
    /// The wall clocks of gateways and of notifiers.
    pub(super) clocks: [FakeClock; 2],
    /// `None`: files rest in a folder.
    pub(super) storage: Option<(S3, Proxy)>,
}

/// Starts servers and processes.
pub(super) async fn prepare(plan: &Plan) -> anyhow::Result<Setting> {
    let smtp = testing::smtp::start().await?;
    let smtp_proxy = testing::proxy::start(format!("127.0.0.1:{}", smtp.port())).await?;
    let mut settings = vec![
        ("WAITLESS_MAIL__URL", smtp_proxy.url(&smtp.url())),
        ("WAITLESS_NOTIFIER__MAX_ATTEMPTS", "1000".to_owned()),
        // Long enough that a few seconds without a server do not use up the attempts of a report.
        ("WAITLESS_BROKER__RETRY_DELAYS", "500ms,2s,5s,10s".to_owned()),
        ("WAITLESS_STORAGE__TIMEOUT", "5s".to_owned()),
        ("WAITLESS_SERVICE__SHUTDOWN_GRACE", "3s".to_owned()),
    ];
    let endpoint = testing::webhook_endpoint::start().await?;
    settings.extend(schedules::settings(&endpoint));
    let clocks = [FakeClock::new()?, FakeClock::new()?];
    let mut storage = None;
    if plan.storage == StorageKind::S3 {
        let s3 = testing::s3::start().await?;
        let endpoint = s3.endpoint();
        let proxy = testing::proxy::start(endpoint.trim_start_matches("http://")).await?;
        settings.extend([
            ("WAITLESS_STORAGE__URL", s3.url()),
            ("WAITLESS_STORAGE__ENDPOINT", proxy.url(&endpoint)),
            ("WAITLESS_STORAGE__REGION", S3::REGION.to_owned()),
            ("WAITLESS_STORAGE__ACCESS_KEY_ID", S3::ACCESS_KEY_ID.to_owned()),
            ("WAITLESS_STORAGE__SECRET_ACCESS_KEY", S3::SECRET_ACCESS_KEY.to_owned()),
        ]);
        storage = Some((s3, proxy));
    }
    let own = ServerChoice::OwnServer(testing::rabbitmq::Options::default());
    let mut stack = Stack::prepare(own, settings).await;
    stack.smtp = smtp;
    for _ in 0..GATEWAYS {
        let gateway = clocks[0].set_in(stack.process("api")).start_ready().await?;
        stack.push_gateway(gateway);
    }
    for _ in 0..WORKERS {
        stack.add_worker().await;
    }
    for _ in 0..NOTIFIERS {
        stack.notifiers.push(clocks[1].set_in(stack.process("notifier")).start_ready().await?);
    }
    Ok(Setting { stack, smtp_proxy, endpoint, clocks, storage })
}

/// Names the servers with their versions.
pub(super) async fn versions(stack: &Stack) -> anyhow::Result<String> {
    let rows = stack.postgres.sql("show server_version").await?;
    let postgres = rows.first().and_then(|row| row[0].clone()).context("read the version of PostgreSQL")?;
    let postgres = postgres.split(' ').next().unwrap_or_default().to_owned();
    let rabbitmq = stack.rabbitmq.server().ctl(&["version"]).await?;
    Ok(format!("PostgreSQL {postgres}, RabbitMQ {}", rabbitmq.trim()))
}
