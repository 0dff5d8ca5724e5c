//! The bare handlers: one awaits one append, one does one Redis GET. No state, no checks.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use rdkafka::ClientConfig;
use rdkafka::client::DefaultClientContext;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::util::AsyncRuntime;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncCommands, IntoConnectionInfo};
use tokio::net::TcpListener;

use crate::consumer;
use crate::server::no_longer_wanted;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    kafka: String,
    #[arg(long)]
    redis: String,
    /// Where it appends.
    #[arg(long)]
    topic: String,
    #[arg(long)]
    partitions: u32,
    /// The topic with the record that it appends again and again.
    #[arg(long)]
    like: String,
}

/// rdkafka's own producer for asynchronous code.
type Appender = FutureProducer<DefaultClientContext, Tokio>;

struct Tokio;

struct Appending {
    producer: Appender,
    topic: String,
    partitions: u32,
    next: AtomicU32,
    record: consumer::Record,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let record = consumer::sample(&args.kafka, &args.like, "DepositMoney")?;
    let producer: Appender = ClientConfig::new()
        .set("bootstrap.servers", &args.kafka)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .create()?;
    producer.client().fetch_metadata(Some(&args.topic), Duration::from_secs(10))?;
    let (topic, partitions) = (args.topic, args.partitions);
    let appending =
        Arc::new(Appending { producer, topic, partitions, next: AtomicU32::new(0), record });
    for _ in 0..partitions {
        append(State(appending.clone()), Bytes::new()).await.ok().context("the first append")?;
    }
    // As the service does: small packets leave at once.
    let redis = args.redis.as_str().into_connection_info()?;
    let redis = redis.set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let client = redis::Client::open(redis)?;
    let redis = client.get_multiplexed_async_connection().await?;
    let router = Router::new()
        .route("/append", post(append))
        .with_state(appending)
        .merge(Router::new().route("/get/{key}", get(value)).with_state(redis))
        .route("/v1/traces", post(async |_: Bytes| "{}"));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    // As the service does.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).with_graceful_shutdown(no_longer_wanted()).await?;
    Ok(())
}

impl AsyncRuntime for Tokio {
    type Delay = Pin<Box<tokio::time::Sleep>>;

    fn spawn<T: Future<Output = ()> + Send + 'static>(task: T) {
        tokio::spawn(task);
    }

    fn delay_for(duration: Duration) -> Self::Delay {
        Box::pin(tokio::time::sleep(duration))
    }
}

async fn append(State(to): State<Arc<Appending>>, _: Bytes) -> Result<String, StatusCode> {
    let partition = to.next.fetch_add(1, Ordering::Relaxed) % to.partitions;
    let headers = OwnedHeaders::new_with_capacity(to.record.headers.len());
    let headers = to.record.headers.iter().fold(headers, |headers, (key, value)| {
        headers.insert(rdkafka::message::Header { key, value: Some(value) })
    });
    let record = FutureRecord::to(&to.topic)
        .partition(i32::try_from(partition).unwrap_or(0))
        .key(&to.record.key)
        .payload(&to.record.value)
        .headers(headers);
    match to.producer.send(record, Duration::ZERO).await {
        Ok(landed) => Ok(format!("{}@{}", landed.partition, landed.offset)),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn value(
    State(redis): State<MultiplexedConnection>,
    Path(key): Path<String>,
) -> Result<Bytes, StatusCode> {
    let mut redis = redis.clone();
    let value: Result<Option<Vec<u8>>, _> = redis.get(key).await;
    match value {
        Ok(Some(value)) => Ok(value.into()),
        Ok(None) => Err(StatusCode::NOT_FOUND),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}
