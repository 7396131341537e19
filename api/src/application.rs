//! The gateway as a whole: built, bound to its port, run until it is told to stop.

use std::any::Any;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Server};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use configuration::Config;
use runtime::Backends;
use runtime::Catalogue;
use runtime::keep_report_limits;
use runtime::probes::Probes;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::own_address::AcceptedAt;
use crate::schedules::scheduler;
use crate::service_status::StatusBoard;
use crate::{cors, routes, trace};

/// After the last answer, connections have this long to take it in, in seconds.
const CLOSE_SECONDS: u64 = 1;

/// A client that takes nothing for as long as so many pings, and at least for [`MIN_SILENCE`], is cut off, whatever it was sent: a
/// stream, a file, an answer. It would hold its place for ever otherwise.
const SILENT_PINGS: u32 = 4;

/// See [`SILENT_PINGS`].
const MIN_SILENCE: Duration = Duration::from_secs(2);

/// A gateway that is bound to its port.
#[derive(Debug)]
pub struct Application {
    listener: TcpListener,
    /// Metrics, on a port of their own.
    metrics: Option<Probes>,
    gateway: web::Data<Gateway>,
    threads: usize,
    close_after: Duration,
    grace: Duration,
}

impl Application {
    /// Binds the port and reads the catalogue. Must be called inside the multi-threaded runtime.
    ///
    /// # Errors
    /// When the port is taken or the catalogue cannot be read.
    pub async fn build(config: &Config, backends: Backends) -> anyhow::Result<Self> {
        let catalogue = Catalogue::open(&config.catalogue).context("open the catalogue")?;
        let listener = TcpListener::bind(config.http.listen)
            .with_context(|| format!("listen on {}; is another process using it?", config.http.listen))?;
        let metrics = Probes::bind_telemetry(&config.telemetry, &backends).await?;
        if let Some(metrics) = &metrics {
            tracing::info!(port = metrics.port(), "metrics have a port of their own");
        }
        let threads = match config.http.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let gateway = web::Data::new(Gateway::new(config, backends, catalogue)?);
        let (close_after, grace) = (config.http.close_after.unwrap_or_default(), config.service.shutdown_grace);
        Ok(Self { listener, metrics, gateway, threads, close_after, grace })
    }

    /// Returns the port, also where the configuration asked for any.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.local_addr().map_or(0, |address| address.port())
    }

    /// Returns the port of the metrics, where there is one.
    #[must_use]
    pub fn metrics_port(&self) -> Option<u16> {
        self.metrics.as_ref().map(Probes::port)
    }

    /// Makes an address, below the gateway's own, that signs a browser in with this key: once, and for an hour at most.
    #[must_use]
    pub fn sign_in_link(&self, key: &str) -> String {
        format!("/login#once={}", self.gateway.sessions.make_one_time_token(key))
    }

    /// Serves until stopped: then is not ready, goes on for `http.close_after`, takes no new connections, lets watchers go, and
    /// finishes what is under way within the grace.
    ///
    /// # Errors
    /// When the server cannot start or breaks.
    pub async fn run_until_stopped(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let ended = CancellationToken::new();
        let _ends_with_us = ended.clone().drop_guard();
        let gateway = self.gateway.clone();
        let (hub, catalogue) = (gateway.hub.clone(), gateway.catalogue.clone());
        let forecaster = gateway.forecaster.clone();
        forecaster.read_queue_first().await;
        tokio::spawn(forecaster.run_until_stopped(gateway.broker.clone(), hub.clone(), ended.clone()));
        tokio::spawn(hub.run_until_stopped(gateway.broker.clone(), ended.clone()));
        tokio::spawn(gateway.lifelines.clone().run_until_stopped(ended.clone()));
        tokio::spawn(gateway.issuers.clone().run_until_stopped(ended.clone()));
        let (counting, until) = (gateway.clone(), ended.clone());
        tokio::spawn(async move { counting.refusals.run_until_stopped(counting.store.as_ref(), until).await });
        let (store, known) = (Arc::clone(&gateway.store), Arc::clone(&catalogue));
        tokio::spawn(keep_report_limits(store, move || known.snapshot(), ended.clone()));
        tokio::spawn(catalogue.keep_fresh(ended.clone()));
        let _scheduling =
            gateway.runtime.spawn(scheduler::run_until_stopped(gateway.clone().into_inner(), ended.clone()));
        tokio::spawn(StatusBoard::run_until_stopped(gateway.clone(), ended.clone()));
        if let Some(metrics) = self.metrics.take() {
            tokio::spawn(metrics.run_until_stopped(ended));
        }
        let (close_after, grace) = (self.close_after, self.grace);
        let server = self.serve().context("start the HTTP server")?;
        let handle = server.handle();
        let mut serving = tokio::spawn(server);
        tokio::select! {
            broken = &mut serving => return broken.context("run the HTTP server")?.context("serve HTTP"),
            () = stop.cancelled() => {}
        }
        gateway.stopping.cancel();
        // Whoever sends requests here needs a moment to learn that this gateway is not ready, and would be refused meanwhile.
        tokio::select! {
            broken = &mut serving => return broken.context("run the HTTP server")?.context("serve HTTP"),
            () = tokio::time::sleep(close_after) => {}
        }
        gateway.draining.cancel();
        handle.pause().await;
        if tokio::time::timeout(grace, gateway.in_flight.wait_until_none()).await.is_err() {
            tracing::warn!("some requests did not finish within service.shutdown_grace and are cut off");
        }
        handle.stop(true).await;
        gateway.refusals.write(gateway.store.as_ref()).await;
        serving.await.context("stop the HTTP server")?.context("serve HTTP")
    }

    fn serve(self) -> std::io::Result<Server> {
        let gateway = self.gateway;
        let silence = MIN_SILENCE.max(gateway.http.ping_every * SILENT_PINGS);
        let app = move || {
            App::new()
                .app_data(gateway.clone())
                .wrap(from_fn(cors::answer))
                .wrap(from_fn(trace::follow))
                .configure(routes::register)
        };
        // Idle connections are kept longer than load balancers keep theirs, so that it is never us who closes one in use.
        Ok(HttpServer::new(app)
            .workers(self.threads)
            .keep_alive(Duration::from_secs(75))
            .client_request_timeout(Duration::from_secs(10))
            .shutdown_timeout(CLOSE_SECONDS)
            .disable_signals()
            .on_connect(move |connection, data| prepare_connection(connection, data, silence))
            .listen(self.listener)?
            .run())
    }
}

/// Keeps with a connection where it was accepted, and has the system end it when its client takes nothing any more.
fn prepare_connection(connection: &dyn Any, data: &mut Extensions, silence: Duration) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    if let Ok(address) = stream.local_addr() {
        data.insert(AcceptedAt(address));
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(silence)) {
        tracing::debug!(%error, "a connection has no bound on how long its client may take nothing");
    }
}
