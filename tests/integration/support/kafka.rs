//! Real brokers: the one that all tests share, and one of a test's own to be killed or paused.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use retell::adapters::SystemClock;
use retell::adapters::kafka::KafkaLog;
use retell::config::{KafkaAddress, LogConfig};
use retell::ports::{EventLog, Ids};
use tempfile::TempDir;

use super::certificates::{CertificateAuthority, text};
use super::writers::PATIENCE;

/// The brokers that all tests share; only topics of their own keep tests apart.
pub(crate) fn shared_brokers() -> String {
    std::env::var("RETELL_TEST_KAFKA")
        .expect("RETELL_TEST_KAFKA names the brokers for tests; `make test` starts one and sets it")
}

/// A topic that no other test uses.
pub(crate) fn new_topic(brokers: &str) -> KafkaAddress {
    let ids = Ids::new(Arc::new(SystemClock));
    KafkaAddress { brokers: brokers.to_owned(), topic: format!("test-{}", ids.next()) }
}

/// A new log on these brokers.
pub(crate) async fn new_log(brokers: &str, config: &LogConfig) -> KafkaLog {
    new_log_at(&new_topic(brokers), config).await
}

/// A new log at this address. Brokers that have just started may be slow to make a topic: as a
/// service does, this tries again.
pub(crate) async fn new_log_at(address: &KafkaAddress, config: &LogConfig) -> KafkaLog {
    let log = KafkaLog::connect(address, config).expect("the settings are right");
    let making = async {
        while let Err(error) = log.check().await {
            assert!(error.is_retryable(), "the topic cannot be made: {error}");
            eprintln!("the topic is not made yet: {error}");
        }
    };
    tokio::time::timeout(PATIENCE, making).await.expect("the topic is made in time");
    log
}

/// A client of librdkafka's own, as a stranger would use it.
pub(crate) fn stranger(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

/// Brokers that belong to one test and are gone with it.
pub(crate) struct OwnBroker {
    folder: TempDir,
    brokers: String,
}

impl OwnBroker {
    /// One broker.
    pub(crate) fn start() -> Self {
        Self::start_nodes(1)
    }

    /// So many brokers of one cluster, counted from 1.
    pub(crate) fn start_nodes(count: u32) -> Self {
        let folder = TempDir::with_prefix("retell-kafka-").expect("a folder for the broker");
        let count = count.to_string();
        let printed = dev_kafka("start", folder.path(), &["--nodes", &count]).expect("a start");
        let brokers = printed.trim().strip_prefix("kafka ").expect("dev/kafka prints the brokers");
        Self { brokers: brokers.to_owned(), folder }
    }

    /// One broker that has a door by TLS for ann, too; its address is `localhost:PORT`.
    pub(crate) fn start_secured(authority: &CertificateAuthority) -> (Self, String) {
        let ([plain, controller], secured) = (two_free_ports(), free_port());
        let keys = text(&authority.file("both.pem"));
        let settings = format!(
            "listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},\
             SASL_SSL://127.0.0.1:{secured}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://localhost:{secured}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,\
             SASL_SSL:SASL_SSL\n\
             sasl.enabled.mechanisms=PLAIN\n\
             listener.name.sasl_ssl.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_ann=\"s3cret\";\n\
             ssl.keystore.type=PEM\nssl.keystore.location={keys}\n"
        );
        let file = authority.file("kafka.properties");
        std::fs::write(&file, settings).expect("written");
        let folder = TempDir::with_prefix("retell-kafka-").expect("a folder for the broker");
        let arguments = ["--port", &plain.to_string(), "--settings", &text(&file)];
        dev_kafka("start", folder.path(), &arguments).expect("a start");
        (Self { brokers: format!("127.0.0.1:{plain}"), folder }, format!("localhost:{secured}"))
    }

    pub(crate) fn brokers(&self) -> &str {
        &self.brokers
    }

    /// kill -9 of all.
    pub(crate) async fn crash(&self) {
        self.run("kill", None).await;
    }

    /// kill -9 of one.
    pub(crate) async fn crash_node(&self, node: u32) {
        self.run("kill", Some(node)).await;
    }

    /// The same again, with the same data.
    pub(crate) async fn restart(&self) {
        self.run("restart", None).await;
    }

    /// Stops it for so long: its connections stay, its answers do not come.
    pub(crate) async fn pause_for(&self, duration: Duration) {
        self.run("pause", None).await;
        tokio::time::sleep(duration).await;
        self.run("resume", None).await;
    }

    async fn run(&self, verb: &'static str, node: Option<u32>) {
        let folder = self.folder.path().to_owned();
        let run = tokio::task::spawn_blocking(move || match node {
            None => dev_kafka(verb, &folder, &[]),
            Some(node) => dev_kafka(verb, &folder, &[&node.to_string()]),
        });
        run.await.expect("it does not panic").expect("dev/kafka does what it says");
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        // Not a panic: it would hide the one that may be under way.
        if let Err(said) = dev_kafka("remove", self.folder.path(), &[]) {
            eprintln!("{said}");
        }
    }
}

/// How far a consumer group is, as Kafka's own admin client has it: offset and lag by partition.
pub(crate) async fn group(brokers: &str, name: &str) -> Vec<(u64, u64)> {
    let (brokers, name) = (brokers.to_owned(), name.to_owned());
    let asked = move || dev_kafka("groups", Path::new(&brokers), &[&name]);
    let printed = tokio::task::spawn_blocking(asked).await.expect("no panic").expect("an answer");
    let numbers = |line: &str| {
        let mut words = line.split(' ').skip(1).map(|word| word.parse().expect("a number"));
        (words.next().expect("an offset"), words.next().expect("a lag"))
    };
    printed.lines().map(numbers).collect()
}

fn dev_kafka(verb: &str, folder: &Path, more: &[&str]) -> Result<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/kafka");
    let output = Command::new(script).arg(verb).arg(folder).args(more).output();
    let output = output.map_err(|error| format!("{script}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("dev/kafka {verb}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Two in a row.
fn two_free_ports() -> [u16; 2] {
    loop {
        let first = free_port();
        if let Some(second) = first.checked_add(1)
            && std::net::TcpListener::bind(("127.0.0.1", second)).is_ok()
        {
            return [first, second];
        }
    }
}
