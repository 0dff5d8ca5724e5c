//! Commands from a topic, beside the same ones as lines of batches, in turn.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::batch;
use crate::consumer;
use crate::measured::{Fact, Measured, median};
use crate::stage::{ALL_PROJECTIONS, PARTITIONS, Stage};

const COMMANDS: u64 = 20_000;
const BATCHES: u64 = 4;
/// Turns of each that are not measured: until then brokers and service have not compiled, cached
/// and grown what a turn needs.
const WARM_UP: u64 = 8;
const GOAL: f64 = 0.5;
const PATIENCE: Duration = Duration::from_secs(30);
/// What begins the answer to a command that was done, behind the place of its message.
const DONE: &[u8] = b",\"status\":200,";

/// Who sends commands and waits for their answers.
struct Client {
    producer: ThreadedProducer<DefaultProducerContext>,
    results: BaseConsumer,
    topic: String,
}

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("inbox: {COMMANDS} commands, beside batches");
    let log = stage.topic("inbox");
    let (commands, results) = (format!("{log}.commands"), format!("{log}.results"));
    let settings = [
        ("RETELL_INBOX__ENABLED", "true"),
        ("RETELL_INBOX__TOPIC", &commands),
        ("RETELL_INBOX__RESULTS_TOPIC", &results),
        ("RETELL_INBOX__GROUP", &log),
    ];
    let service = stage.service_with(&log, PARTITIONS, ALL_PROJECTIONS, &settings)?;
    stage.fill(&service, 1_000, 10_000).await?;
    let mut client = Client::open(&stage.kafka, commands, &results)?;
    let (mut inboxes, mut batches) = (Vec::new(), Vec::new());
    let batch = async || {
        let line = batch::deposit_on_a_thousand;
        let sent = batch::send(service.address, BATCHES, COMMANDS / BATCHES, line).await?;
        ensure!(sent.undone == 0, "{} lines of a batch were not done", sent.undone);
        anyhow::Ok(sent.per_second)
    };
    for _ in 0..WARM_UP {
        batch().await?;
        client = tokio::task::spawn_blocking(move || client.turn()).await??.0;
    }
    batches.push(batch().await?);
    for _ in 0..stage.rounds.max(3) {
        let (again, per_second) = tokio::task::spawn_blocking(move || client.turn()).await??;
        client = again;
        inboxes.push(per_second);
        batches.push(batch().await?);
    }
    let turns = inboxes.iter().zip(batches.windows(2));
    let ratio = median(turns.map(|(inbox, around)| 2.0 * inbox / (around[0] + around[1])));
    measured.facts.push(Fact {
        what: format!(
            "{COMMANDS} commands from the inbox's topic, from the first sent to the last answer \
             read, beside as many lines of {BATCHES} batches; a second"
        ),
        figure: format!(
            "{:.0} beside {:.0}: {ratio:.2} times",
            median(inboxes.into_iter()),
            median(batches.into_iter())
        ),
        goal: format!("{GOAL:.2} times"),
    });
    service.stop()
}

impl Client {
    fn open(kafka: &str, topic: String, results: &str) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        let producer = config.set("bootstrap.servers", kafka).set("linger.ms", "1").create()?;
        // It stands at the end of each before anything is sent.
        let results = consumer::at_end(kafka, results, PARTITIONS)?;
        Ok(Self { producer, results, topic })
    }

    /// Sends all commands and waits for all answers; how many a second.
    fn turn(self) -> anyhow::Result<(Self, f64)> {
        let began = Instant::now();
        let mut line = String::new();
        for number in 0..COMMANDS {
            line.clear();
            batch::deposit_on_a_thousand(number, &mut line);
            let key = (number % 1_000).to_string();
            let record = BaseRecord::to(&self.topic).key(&key).payload(line.trim_end());
            if let Err((error, _)) = self.producer.send(record) {
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
                    bail!("librdkafka's queue does not take {COMMANDS} commands");
                }
                return Err(error.into());
            }
        }
        let mut answers = 0;
        while answers < COMMANDS {
            match self.results.poll(PATIENCE).context("answers are missing")? {
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(error) => return Err(error.into()),
                Ok(message) => {
                    let value = message.payload().unwrap_or_default();
                    let is_done = value.windows(DONE.len()).any(|window| window == DONE);
                    ensure!(is_done, "not done: {}", String::from_utf8_lossy(value));
                    answers += 1;
                }
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        self.producer.flush(PATIENCE)?;
        Ok((self, COMMANDS as f64 / seconds))
    }
}
