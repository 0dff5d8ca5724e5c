//! `retell serve`: the service with the shipped domains, until it is told to stop.
//!
//! The port is taken before anything is opened, so that a second service by mistake touches
//! nothing of the first.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::config::{Config, LogFormat, TelemetryConfig};
use crate::http::Door;
use crate::shutdown::{Shutdown, request_on_signal};
use crate::spans;
use crate::telemetry::{self, Collector, Lines};

use super::threads::Threads;
use super::{Outcome, say, settings};

/// Spans that wait for the collector, at most.
const SPANS_LEN_MAX: usize = 4_096;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Settings over the defaults; `retell config` prints them all
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let config = settings::load(args.config.as_deref())?;
    let threads = Threads::start(&config)?;
    let others = [&threads.projections, &threads.replays].map(|it| it.handle().clone());
    threads.requests.block_on(serve(config, others))
}

async fn serve(config: Config, [projections, replays]: [Handle; 2]) -> anyhow::Result<Outcome> {
    let shutdown = Shutdown::default();
    let lines = match config.telemetry.format {
        LogFormat::Text => Lines::Text,
        LogFormat::Json => Lines::Json,
    };
    telemetry::start(&config.telemetry.filter, lines)?;
    request_on_signal(&shutdown).context("no signal handler")?;
    let listener = bind(config.http.listen).await?;
    let address = listener.local_addr().context("the listener has no address")?;
    let app = App::builder(config).shipped().projections_on(projections).replays_on(replays);
    let app = app.build().await?;
    let traces = Traces::start(&app.config().telemetry, app.door().node.id);
    let drain_timeout = app.config().http.drain_timeout;
    let scheme = if app.config().http.tls.is_used() { "https" } else { "http" };
    let announced = tokio::spawn(announce(app.door(), format!("{scheme}://{address}")));
    let router = app.router();
    let served = app.serve(listener, router, shutdown).await;
    announced.abort();
    if let Some(traces) = traces {
        traces.end(drain_timeout).await;
    }
    served?;
    Ok(Outcome::Done)
}

/// Traces that are sent where the settings say, on a task of its own.
struct Traces {
    end: Shutdown,
    sending: JoinHandle<()>,
}

impl Traces {
    fn start(config: &TelemetryConfig, node: String) -> Option<Self> {
        let url = Some(config.traces_url.clone()).filter(|url| !url.is_empty())?;
        let (end, spans) =
            (Shutdown::default(), spans::start(config.traces_percent, SPANS_LEN_MAX));
        let sending = tokio::spawn(Collector { url, node }.run(spans, end.clone()));
        Some(Self { end, sending })
    }

    /// Sends what is left: of the last requests somebody wants to know most.
    async fn end(self, patience: Duration) {
        self.end.request();
        if tokio::time::timeout(patience, self.sending).await.is_err() {
            tracing::warn!("the last traces were not taken in time, http.drain_timeout_ms");
        }
    }
}

async fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "{listen} is in use, perhaps by another retell; set http.listen (or \
             RETELL_HTTP__LISTEN) to another address, port 0 picks a free one"
        ),
        _ => anyhow!("cannot listen on {listen}: {error}; set http.listen to another address"),
    })
}

/// Says once that the service can be used.
async fn announce(door: Door, address: String) {
    door.ready().await;
    if let Err(error) = say(&format!("retell is ready on {address}")) {
        tracing::warn!(%error, "standard output does not take the line that says ready");
    }
}
