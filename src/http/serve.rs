//! Serves a router on a listener until it is told to stop, and lets requests end.
//!
//! When it returns, no connection of it is left.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::config::HttpConfig;
use crate::shutdown::Shutdown;

use super::patience::Patience;
use super::tls::{self, Tls};

/// How long to wait when the process has no room for another connection.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then gives the requests under way `http.drain_timeout_ms` to end.
///
/// At most `http.connections_max` connections are taken at once; who comes then waits until one
/// ends, or is turned away by the operating system.
///
/// # Errors
/// The certificate cannot be used. A failing accept is tried again, because ending would help
/// nobody.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
    config: &HttpConfig,
) -> io::Result<()> {
    let tls = Tls::open(&config.tls).await?;
    let acceptor = tls.as_ref().map(Tls::acceptor);
    let mut reloading = pin!(async {
        match tls {
            Some(tls) => tls.reload().await,
            None => pending().await,
        }
    });
    let mut connections = JoinSet::new();
    let mut stop = pin!(shutdown.requested());
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < config.connections_max => {
                match accepted {
                    Ok((stream, _)) => {
                        let (router, shutdown) = (router.clone(), shutdown.clone());
                        let (acceptor, idle) = (acceptor.clone(), config.idle_timeout);
                        connections.spawn(connected(stream, acceptor, router, shutdown, idle));
                    }
                    Err(error) => refused(&error).await,
                }
            },
            () = &mut reloading => {}
            Some(_) = connections.join_next() => {}
            () = &mut stop => break,
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(config.drain_timeout, ended).await.is_err() {
        let count = connections.len();
        tracing::warn!(count, "connections closed with requests under way, http.drain_timeout_ms");
        connections.shutdown().await;
    }
    Ok(())
}

/// Serves one connection, by TLS where there is a certificate.
async fn connected(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    shutdown: Shutdown,
    idle: Duration,
) {
    // An answer is one small packet; waiting for more of it would cost 40 ms.
    drop(stream.set_nodelay(true));
    let Some(acceptor) = acceptor else {
        return connection(stream, router, shutdown, idle).await;
    };
    match tls::accept(acceptor, stream, idle).await {
        Ok(stream) => connection(stream, router, shutdown, idle).await,
        Err(error) => tracing::trace!(%error, "a client did not come to terms"),
    }
}

/// Serves what a client sends and reads. It is closed when no request comes for `idle`, or nothing
/// of an answer is taken for as long.
async fn connection<S>(stream: S, router: Router, shutdown: Shutdown, idle: Duration)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle);
    // A client of HTTP/2 that is still there may keep its connection; one that is gone may not.
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(idle);
    let begun = Arc::new(Notify::new());
    let begins = begun.clone();
    let router = router.map_request(move |request| {
        begins.notify_one();
        request
    });
    let service = TowerToHyperService::new(router);
    let connection =
        builder.serve_connection_with_upgrades(TokioIo::new(Patience::new(stream, idle)), service);
    let mut connection = pin!(connection);
    // hyper's own limits begin only when the first bytes have said which HTTP it is.
    let mut first = pin!(tokio::time::timeout(idle, begun.notified()));
    let mut stop = pin!(shutdown.requested());
    let (mut is_new, mut is_closing, mut is_told) = (true, false, false);
    let ended = poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(Some(ended));
        }
        if is_new && let Poll::Ready(began) = first.as_mut().poll(context) {
            is_new = false;
            if began.is_err() {
                return Poll::Ready(None);
            }
        }
        // All connections wait for this, so that it is asked once, to be woken, and when it is
        // time; the task, and with it who is woken, stays the same.
        if !is_closing && (!is_told || shutdown.is_requested()) {
            is_told = true;
            if stop.as_mut().poll(context).is_ready() {
                is_closing = true;
                connection.as_mut().graceful_shutdown();
                return connection.as_mut().poll(context).map(Some);
            }
        }
        Poll::Pending
    });
    if let Some(Err(error)) = ended.await {
        tracing::trace!(%error, "a connection broke");
    }
}

/// A client that went away is nothing; no free file descriptor passes.
async fn refused(error: &io::Error) {
    let gone = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
    if !gone.contains(&error.kind()) {
        tracing::error!(%error, "a connection could not be accepted");
        tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
    }
}
