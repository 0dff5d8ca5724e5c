//! What a policy adds: from the acknowledgement of an event to that of what followed from it.
//!
//! A reader of the topic sees both records, each as soon as it is acknowledged: the time between
//! them is the policy's and that of its command.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use hdrhistogram::Histogram;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;

use crate::consumer;
use crate::load;
use crate::measured::{Fact, Measured};
use crate::stage::{ALL_PROJECTIONS, PARTITIONS, Stage};
use crate::steps::{self, Request};

const MESSAGES_PER_SECOND: u32 = 500;
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("policies: {MESSAGES_PER_SECOND} messages/s");
    let topic = stage.topic("policies");
    let service = stage.service(&topic, PARTITIONS, ALL_PROJECTIONS)?;
    let send = |prefix: &'static str| Request {
        status: 200,
        write: move |number, _| steps::produce_message(&format!("{prefix}-{number}")),
    };
    load::measure_paced(stage, &service, 64, MESSAGES_PER_SECOND, send("warm")).await?;
    let reader = consumer::at_end(&stage.kafka, &topic, PARTITIONS)?;
    let lasts = stage.seconds * u32::try_from(stage.rounds)?;
    let reading = tokio::task::spawn_blocking(move || read(&reader, lasts));
    let mut failed = 0;
    // Each turn has a warm-up of a quarter, so that the load lasts longer than the reading.
    for round in 0..stage.rounds {
        let send = send(["a", "b", "c", "d", "e"][round % 5]);
        let sample = load::measure_paced(stage, &service, 64, MESSAGES_PER_SECOND, send).await?;
        failed += sample.failed;
    }
    let delays = reading.await??;
    let millis = |quantile| delays.value_at_quantile(quantile) as f64 / 1_000.0;
    measured.facts.push(Fact {
        what: format!(
            "from an event's acknowledgement to that of the event of the command that a policy \
             issued for it, {MESSAGES_PER_SECOND} messages/s"
        ),
        figure: format!(
            "p50 {:.2} ms, p99 {:.2} ms of {}, {failed} failed",
            millis(0.5),
            millis(0.99),
            delays.len()
        ),
        goal: "p50 5 ms".to_owned(),
    });
    service.stop()
}

/// The times between the first and the second record of each message, in microseconds.
fn read(reader: &BaseConsumer, lasts: Duration) -> anyhow::Result<Histogram<u64>> {
    let mut delays = Histogram::new_with_bounds(1, 60_000_000, 3)?;
    let mut produced = HashMap::new();
    let mut began = None;
    while began.is_none_or(|began: Instant| began.elapsed() < lasts) {
        let message = match reader.poll(PATIENCE) {
            None => bail!("no record in time"),
            Some(Err(KafkaError::PartitionEOF(_))) => continue,
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(message)) => message,
        };
        let now = Instant::now();
        began.get_or_insert(now);
        let key = message.key().unwrap_or_default();
        match produced.remove(key) {
            None => drop(produced.insert(key.to_vec(), now)),
            Some(then) => {
                let micros = (now - then).as_micros();
                delays.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
            }
        }
    }
    Ok(delays)
}
