//! Logs, metrics and traces of a process.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::log_repeats::{RepeatReporter, WithoutRepeats, leave_out_repeats};
use configuration::{LogFormat, Telemetry, is_loopback};
use model::trace::TraceContext;

/// Seconds; from the quickest answer to the longest report.
const BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0, 3600.0];

/// As the exporter's own client has it.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps telemetry running; on drop, spans that are still queued are sent.
#[derive(Debug)]
pub struct Guard {
    traces: Option<SdkTracerProvider>,
    metrics: Metrics,
    /// Tells of what was left out of the log, in the end too.
    _repeats: Option<RepeatReporter>,
}

/// Renders this process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

static METRICS: std::sync::OnceLock<Metrics> = std::sync::OnceLock::new();

/// Starts logs to standard error, metrics, and traces where an OTLP endpoint is configured. Once a process.
///
/// # Errors
/// When telemetry was started before, or the endpoint is not a URL.
pub fn start(config: &Telemetry, role: &str) -> anyhow::Result<Guard> {
    let metrics = start_metrics()?;
    let traces = config.otlp_endpoint.as_deref().map(|endpoint| open_exporter(config, endpoint, role)).transpose()?;
    // lapin logs as an error what is expected of it, such as a queue that is not there yet; ours say what matters.
    let quiet = if config.log.contains("lapin") { "" } else { ",lapin=off" };
    let filter = format!("{}{quiet}", config.log).parse::<EnvFilter>().context("parse telemetry.log")?;
    let (repeats, reporter) = config.log_repeats.map(leave_out_repeats).transpose()?.unzip();
    let log = match config.log_format {
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
        }
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr).boxed()
        }
    };
    let otel = traces.as_ref().map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("waitless")));
    let log = match repeats {
        Some(filter) => WithoutRepeats { log, filter }.boxed(),
        None => log,
    };
    tracing_subscriber::registry().with(filter).with(log).with(otel).try_init().context("start logging")?;
    Ok(Guard { traces, metrics, _repeats: reporter })
}

impl Guard {
    /// Returns the handle that renders this process's metrics.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.traces.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "some spans were not exported");
        }
    }
}

/// Starts the recorder of metrics, once a process; later calls change nothing.
fn start_metrics() -> anyhow::Result<Metrics> {
    if let Some(metrics) = METRICS.get() {
        return Ok(metrics.clone());
    }
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?;
    let handle = Metrics(builder.install_recorder().context("start metrics")?);
    Ok(METRICS.get_or_init(|| handle).clone())
}

/// Returns this process's metrics in the Prometheus text format; empty when telemetry was never started.
#[must_use]
pub fn render_metrics() -> String {
    METRICS
        .get()
        .map(|metrics| {
            metrics.0.run_upkeep();
            metrics.0.render()
        })
        .unwrap_or_default()
}

fn open_exporter(config: &Telemetry, endpoint: &str, role: &str) -> anyhow::Result<SdkTracerProvider> {
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')));
    if is_loopback(endpoint) {
        exporter = exporter.with_http_client(client_without_proxy()?);
    }
    let exporter = exporter.build().context("open the OTLP exporter named by telemetry.otlp_endpoint")?;
    let resource = Resource::builder().with_service_name(format!("{}-{role}", config.service_name)).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// Makes a client for a collector on this machine, on a thread of its own, because it may not be made on one that runs tasks.
fn client_without_proxy() -> anyhow::Result<reqwest::blocking::Client> {
    let make = || reqwest::blocking::Client::builder().no_proxy().timeout(EXPORT_TIMEOUT).build();
    let made = std::thread::spawn(make).join().map_err(|_panic| anyhow::anyhow!("the thread panicked"));
    made.and_then(|made| Ok(made?)).context("prepare the client of telemetry.otlp_endpoint")
}

/// Makes `span` a child of the trace that a request or message came with.
pub fn continue_trace(span: &tracing::Span, traceparent: Option<&str>) {
    let Some(parent) = traceparent.and_then(|header| header.parse::<TraceContext>().ok()) else { return };
    let flags = if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, id) = (TraceId::from(parent.trace_id), SpanId::from(parent.span_id));
    let remote = SpanContext::new(trace, id, flags, true, TraceState::default());
    // Fails only where no exporter is configured, and then nobody would see the span.
    let _unseen = span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote));
}
