//! A real Redis by TLS with a user of its own, a real Kafka by TLS with SASL, and a service on both
//! whose words hold no secret.

use retell::adapters::kafka::KafkaLog;
use retell::adapters::redis::RedisViews;
use retell::config::LogConfig;
use retell::ports::{EventLog, StoreError, ViewStore};
use serde_json::json;

use crate::support::callers::{AUDIENCE, Caller, ISSUER, KeyFile, Signer, claims};
use crate::support::certificates::{CertificateAuthority, text};
use crate::support::command_line::retell_with;
use crate::support::kafka::{OwnBroker, free_port, new_log_at, new_topic};
use crate::support::log::{P0, append_one, record};
use crate::support::log_config;
use crate::support::process::Process;
use crate::support::redis::RedisServer;

/// A Redis that is reached by TLS at the port, as ann with this password.
fn redis(authority: &CertificateAuthority, port: u16) -> RedisServer {
    let (port, ca) = (port.to_string(), text(&authority.file("ca.pem")));
    let (cert, key) = (text(&authority.file("cert.pem")), text(&authority.file("key.pem")));
    RedisServer::start(&[
        "--",
        "--tls-port",
        &port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
        "--user",
        "ann",
        "on",
        ">s3cret",
        "~*",
        "&*",
        "+@all",
    ])
}

/// The settings of ann at a Kafka whose authority is this one.
fn sasl(authority: &CertificateAuthority, password: &str) -> LogConfig {
    let mut config = log_config(1);
    let ca = text(&authority.file("ca.pem"));
    config.kafka.properties = [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", ca.as_str()),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "ann"),
        ("sasl.password", password),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_spoken_to_by_tls_and_as_a_user_of_its_own() {
    let (authority, port) = (CertificateAuthority::new(), free_port());
    authority.issue();
    let _redis = redis(&authority, port);
    let url = |login: &str| format!("rediss://{login}@127.0.0.1:{port}/0");
    let mut config = crate::support::default_config().views.redis;
    config.ca_file = text(&authority.file("ca.pem"));
    let ann = RedisViews::connect(&url("ann:s3cret"), "tls", &config).expect("a URL");
    ann.check().await.expect("it answers, and has the right settings");

    let wrong = RedisViews::connect(&url("ann:s3cre7"), "tls", &config).expect("a URL");
    let refused = wrong.check().await.expect_err("a wrong password");
    assert!(!format!("{refused} {refused:?}").contains("s3cre7"), "{refused:?}");
    let stranger = CertificateAuthority::new();
    config.ca_file = text(&stranger.file("ca.pem"));
    let other = RedisViews::connect(&url("ann:s3cret"), "tls", &config).expect("a URL");
    let refused = other.check().await.expect_err("another authority");
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    config.ca_file = "/nowhere/ca.pem".to_owned();
    let gone = RedisViews::connect(&url("ann:s3cret"), "tls", &config).err().expect("no file");
    assert!(gone.to_string().contains("views.redis.ca_file"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_is_spoken_to_by_tls_and_sasl_and_nothing_says_a_secret() {
    let (authority, port) = (CertificateAuthority::new(), free_port());
    authority.issue();
    let (_kafka, brokers) = OwnBroker::start_secured(&authority);
    let log = new_log_at(&new_topic(&brokers), &sasl(&authority, "s3cret")).await;
    let mut appender = log.appender(P0).await.expect("an appender");
    append_one(&mut *appender, record("over TLS")).await;
    let wrong = KafkaLog::connect(&new_topic(&brokers), &sasl(&authority, "s3cre7"));
    let refused = wrong.expect("settings").check().await.expect_err("a wrong password");
    assert!(!format!("{refused} {refused:?}").contains("s3cre7"), "{refused:?}");

    let _redis = redis(&authority, port);
    let ann = Caller::new("ann", "admin,write");
    let secret = "a secret of thirty-two bytes or more";
    let keys = KeyFile::of(&[&ann]);
    let secret_file = authority.file("secret");
    std::fs::write(&secret_file, secret).expect("written");
    let ca = text(&authority.file("ca.pem"));
    let (keys_file, secret_file) = (text(&keys.path()), text(&secret_file));
    let views = format!("rediss://ann:s3cret@127.0.0.1:{port}/0");
    let settings = [
        ("RETELL_VIEWS__REDIS__CA_FILE", ca.as_str()),
        ("RETELL_LOG__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SASL_SSL"),
        ("RETELL_LOG__KAFKA__PROPERTIES__SSL_CA_LOCATION", ca.as_str()),
        ("RETELL_LOG__KAFKA__PROPERTIES__SASL_MECHANISM", "PLAIN"),
        ("RETELL_LOG__KAFKA__PROPERTIES__SASL_USERNAME", "ann"),
        ("RETELL_LOG__KAFKA__PROPERTIES__SASL_PASSWORD", "s3cret"),
        ("RETELL_AUTH__KEYS_FILE", keys_file.as_str()),
        ("RETELL_AUTH__JWT__ISSUER", ISSUER),
        ("RETELL_AUTH__JWT__AUDIENCE", AUDIENCE),
        ("RETELL_AUTH__JWT__SECRET_FILE", secret_file.as_str()),
        ("RETELL_TELEMETRY__FILTER", "debug,retell=trace"),
    ];
    let topic = new_topic(&brokers).topic;
    let service = Process::start_with(&brokers, &topic, &views, &settings).await.ready().await;
    let given = claims(&["admin"], &json!({}));
    let token = Signer::es256("k").token_by_secret(secret.as_bytes(), &given);
    let mut said = String::new();
    for (bearer, status) in [(ann.key.as_str(), 200), (token.as_str(), 200), ("x.y.z", 401)] {
        let answer = service.get_as(bearer, "/admin/status").await;
        assert_eq!(answer.status, status, "{answer:?}");
        said += &String::from_utf8_lossy(&answer.body);
    }
    let url = ("RETELL_VIEWS__URL", views.as_str());
    let printed = retell_with(&["config"], &[&settings[..], &[url]].concat(), "").await;
    assert!(printed.stdout.contains("sasl.password"), "{printed:?}");
    said += &printed.stdout;
    said += &service.said();
    assert!(said.contains("TRACE") || said.contains("DEBUG"), "it says much");
    for secret in ["s3cret", ann.key.as_str(), token.as_str(), secret] {
        assert!(!said.contains(secret), "{secret}");
    }
}
