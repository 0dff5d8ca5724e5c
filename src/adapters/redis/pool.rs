//! Connections to Redis: a bb8 pool of connections that each carry many commands at once.
//!
//! Invariant: nobody holds a connection of the pool while waiting for an answer. A clone is taken
//! and the pool has its connection back at once, so callers never wait for each other. The pool
//! gives out the connection that came back last: callers at the same time then share one, and
//! their commands travel in one packet (measured: three times as many as when they are spread).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bb8_redis::bb8::{self, ErrorSink, ManageConnection, QueueStrategy};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind, RedisError, TlsCertificates, Value,
};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::config::{RedisConfig, RedisUrl};
use crate::ports::StoreError;

use super::fault::breaks_connection;
use super::slots::Address;

pub(super) struct Pool {
    pool: bb8::Pool<Connector>,
    /// Why the last attempt to connect has failed. Whoever waits for a connection learns of it
    /// here, instead of waiting until its time is over.
    failed: watch::Receiver<Option<RedisError>>,
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    client: Client,
    config: AsyncConnectionConfig,
    /// Where connections are served, whoever is the first to need one.
    runtime: Handle,
}

/// Tells the callers that wait. The pool tells it of a failure when it is ready for the next
/// attempt: who learned of it earlier would wait for the one that is over.
#[derive(Debug)]
struct Failures(watch::Sender<Option<RedisError>>);

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NoConnection {
    /// An attempt has failed.
    Failed(RedisError),
    /// It was there, and has ended; the pool makes another one.
    Ended,
}

/// A connection, and whether somebody found it broken. Clones are the same connection.
#[derive(Clone)]
pub(super) struct Shared {
    connection: MultiplexedConnection,
    is_broken: Arc<AtomicBool>,
}

impl Pool {
    pub(super) fn new(connector: Connector, config: &RedisConfig) -> Self {
        let (failures, failed) = watch::channel(None);
        let pool = bb8::Pool::builder()
            .max_size(config.connections.max(1))
            .connection_timeout(config.connect_timeout)
            .queue_strategy(QueueStrategy::Lifo)
            // A connection breaks when it breaks, not with age.
            .idle_timeout(None)
            .max_lifetime(None)
            // The next call tries again; nobody tries while nobody calls.
            .retry_connection(false)
            .error_sink(Box::new(Failures(failures)))
            .build_unchecked(connector);
        Self { pool, failed }
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> u32 {
        self.pool.state().connections
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn call(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        let mut shared = self.shared().await?;
        let answer = shared.connection.send_packed_command(cmd).await;
        shared.judged(answer)
    }

    /// The same, about a slot that is on its way to this server.
    pub(super) async fn call_asking(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        let mut shared = self.shared().await?;
        let mut both = redis::pipe();
        both.cmd("ASKING").add_command(cmd.clone());
        let answers = shared.connection.send_packed_commands(&both, 1, 1).await;
        shared.judged(answers.map(|mut answers| answers.pop().unwrap_or(Value::Nil)))
    }

    async fn shared(&self) -> Result<Shared, RedisError> {
        // From here on no failure is missed: the attempt that this call waits for may be over
        // before it begins to wait.
        let mut failed = self.failed.clone();
        failed.mark_unchanged();
        let too_late = || RedisError::from((ErrorKind::Io, "no connection to Redis in time"));
        tokio::select! {
            biased;
            // The pool tells of failures by the other way.
            pooled = self.pool.get() => Ok(pooled.map_err(|_| too_late())?.clone()),
            Ok(()) = failed.changed() => Err(failed.borrow().clone().unwrap_or_else(too_late)),
        }
    }
}

impl Shared {
    /// The answer, or the error that it is.
    fn judged(&self, answer: Result<Value, RedisError>) -> Result<Value, RedisError> {
        let answer = answer.and_then(Value::extract_error);
        if answer.as_ref().is_err_and(breaks_connection) {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        answer
    }
}

impl Connector {
    /// A connector to each server that a URL names.
    pub(super) fn to_each(url: &RedisUrl, config: &RedisConfig) -> Result<Vec<Self>, StoreError> {
        url.servers().iter().map(|server| Self::new(server, config)).collect()
    }

    fn new(url: &str, config: &RedisConfig) -> Result<Self, StoreError> {
        let authority = authority(&config.ca_file)?;
        let open = |info: ConnectionInfo| match &authority {
            Some(authority) if is_tls(&info) => {
                let root_cert = Some(authority.clone());
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
            _ => Client::open(info),
        };
        let client = connection_info(url).and_then(open).map_err(|error| {
            // The URL is not shown: it may hold a password.
            StoreError::Settings(vec![format!("views.url is no URL of a Redis: {error}")])
        })?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout))
            .set_response_timeout(Some(config.response_timeout));
        Ok(Self { client, config, runtime: Handle::current() })
    }

    /// The same to another server.
    pub(super) fn to(&self, address: &Address) -> Result<Self, RedisError> {
        let info = self.client.get_connection_info().clone();
        let Address { host, port } = address.clone();
        let to = match info.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                let (insecure, tls_params) = (*insecure, tls_params.clone());
                ConnectionAddr::TcpTls { host, port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        Ok(Self { client: Client::open(info.set_addr(to))?, ..self.clone() })
    }

    /// Where its server is.
    pub(super) fn address(&self) -> Option<Address> {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some(Address { host: host.clone(), port: *port })
            }
            _ => None,
        }
    }

    /// A new connection; `pushed` is told what Redis says unasked, and when the connection ends.
    pub(super) async fn connect_with(
        &self,
        pushed: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, RedisError> {
        let config = self.config.clone().set_push_sender(move |push| {
            pushed(push);
            Ok::<(), redis::aio::SendError>(())
        });
        let client = self.client.clone();
        let connect =
            async move { client.get_multiplexed_async_connection_with_config(&config).await };
        let gone = |gone: JoinError| RedisError::from(io::Error::other(gone));
        self.runtime.spawn(connect).await.map_err(gone)?
    }
}

/// The authority of its own that Redis has, in PEM.
fn authority(file: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let read = (!file.is_empty()).then(|| std::fs::read(file)).transpose();
    read.map_err(|error| {
        StoreError::Settings(vec![format!("views.redis.ca_file: cannot read {file}: {error}")])
    })
}

fn is_tls(info: &ConnectionInfo) -> bool {
    matches!(info.addr(), ConnectionAddr::TcpTls { .. })
}

/// Protocol 3 tells when a connection ends while nobody waits for an answer.
fn connection_info(url: &str) -> Result<ConnectionInfo, RedisError> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

impl ManageConnection for Connector {
    type Connection = Shared;
    type Error = NoConnection;

    async fn connect(&self) -> Result<Shared, NoConnection> {
        let is_broken = Arc::new(AtomicBool::new(false));
        let breaks = Arc::clone(&is_broken);
        let connected = self.connect_with(move |push| {
            if push.kind == PushKind::Disconnection {
                breaks.store(true, Ordering::Relaxed);
            }
        });
        let connection = connected.await.map_err(NoConnection::Failed)?;
        Ok(Shared { connection, is_broken })
    }

    async fn is_valid(&self, shared: &mut Shared) -> Result<(), NoConnection> {
        if self.has_broken(shared) { Err(NoConnection::Ended) } else { Ok(()) }
    }

    fn has_broken(&self, shared: &mut Shared) -> bool {
        shared.is_broken.load(Ordering::Relaxed)
    }
}

impl ErrorSink<NoConnection> for Failures {
    fn sink(&self, error: NoConnection) {
        if let NoConnection::Failed(error) = error {
            self.0.send_replace(Some(error));
        }
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<NoConnection>> {
        Box::new(Self(self.0.clone()))
    }
}
