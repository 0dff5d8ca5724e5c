//! Secrets are in the settings and nowhere else: not where a service tells of itself, and not where
//! it says what went wrong. Nothing of what it needs is there, so that it has much to say.

use serde_json::json;

use crate::support::callers::{AUDIENCE, Caller, ISSUER, KeyFile, Signer, claims};
use crate::support::certificates::text;
use crate::support::command_line::retell_with;
use crate::support::process::Process;

/// The password of every address and server.
const PASSWORD: &str = "hunter2";

/// Where nobody listens.
const REDIS: &str = "redis://ann:hunter2@127.0.0.1:1/0";

#[tokio::test]
async fn no_secret_is_in_a_log_line_an_answer_a_number_or_the_settings() {
    let secret = "a secret of thirty-two bytes or more";
    let (ann, bob) = (Caller::new("ann", "admin,write,read,audit"), Caller::new("bob", "read"));
    let keys = KeyFile::of(&[&ann, &bob]);
    let folder = tempfile::tempdir().expect("a folder");
    let secret_file = folder.path().join("secret");
    std::fs::write(&secret_file, secret).expect("written");
    let (keys_file, secret_file) = (text(&keys.path()), text(&secret_file));
    let settings = [
        ("RETELL_LOG__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
        ("RETELL_LOG__KAFKA__PROPERTIES__SASL_MECHANISM", "PLAIN"),
        ("RETELL_LOG__KAFKA__PROPERTIES__SASL_USERNAME", "ann"),
        ("RETELL_LOG__KAFKA__PROPERTIES__SASL_PASSWORD", PASSWORD),
        ("RETELL_AUTH__KEYS_FILE", keys_file.as_str()),
        ("RETELL_AUTH__JWT__ISSUER", ISSUER),
        ("RETELL_AUTH__JWT__AUDIENCE", AUDIENCE),
        ("RETELL_AUTH__JWT__SECRET_FILE", secret_file.as_str()),
        ("RETELL_AUTH__JWT__JWKS", "https://ann:hunter2@127.0.0.1:1/jwks"),
        ("RETELL_TELEMETRY__TRACES_URL", "http://ann:hunter2@127.0.0.1:1/v1/traces"),
        ("RETELL_TELEMETRY__TRACES_PERCENT", "100"),
        ("RETELL_TELEMETRY__FILTER", "debug,retell=trace"),
    ];
    let mut service = Process::start_with("127.0.0.1:1", "t", REDIS, &settings).await;
    service.eventually("/health/live", |answer| answer.status == 200).await;
    let given = claims(&["admin"], &json!({}));
    let token = Signer::es256("k").token_by_secret(secret.as_bytes(), &given);
    let unknown = Signer::es256("k").token(&given);
    let mut told = String::new();
    for path in [
        "/health/ready",
        "/metrics",
        "/admin/status",
        "/admin/me",
        "/projections/accounts/ann",
        "/events?partition=0",
        "/openapi.json",
    ] {
        for bearer in [&ann.key, &bob.key, &token, &unknown, "rtl_none", "x.y.z"] {
            told += &String::from_utf8_lossy(&service.get_as(bearer, path).await.body);
        }
    }
    service.terminate();
    let (_, log) = service.ended().await;
    // It did come to the point where each could have been said.
    for said in ["auth.jwt.jwks", "the collector takes no traces", "DEBUG", "librdkafka"] {
        assert!(log.contains(said), "{said} is not in\n{log}");
    }
    for said in ["not_ready", "retell_http_answers_total", "bad_credentials", "missing_role"] {
        assert!(told.contains(said), "{said} is not in\n{told}");
    }
    let addresses = [("RETELL_VIEWS__URL", REDIS), ("RETELL_LOG__URL", "kafka://127.0.0.1:1/t")];
    let settings = [&settings[..], &addresses].concat();
    let mut shown = String::new();
    for arguments in [&["config"][..], &["config", "--json"]] {
        let printed = retell_with(arguments, &settings, "").await;
        assert_eq!(printed.code, 0, "{printed:?}");
        shown += &printed.stdout;
    }
    assert_eq!(shown.matches("ann:***@127.0.0.1:1").count(), 6, "{shown}");
    for secret in [PASSWORD, secret, &ann.key, &bob.key, &token, &unknown] {
        for (place, text) in [("log", &log), ("answers", &told), ("settings", &shown)] {
            assert!(!text.contains(secret), "{place}: {secret}: {text}");
        }
    }
}

#[tokio::test]
async fn a_setting_that_is_wrong_is_told_without_its_secret() {
    for (name, value) in [
        ("RETELL_VIEWS__URL", "redis://ann:hunter2@host:port/0"),
        ("RETELL_VIEWS__URL", "ann:hunter2@host"),
        ("RETELL_LOG__URL", "kafka://ann:hunter2@host:9092/t"),
        ("RETELL_TELEMETRY__TRACES_URL", "ann:hunter2@host"),
        ("RETELL_AUTH__JWT__JWKS", "http://ann:hunter2@issuer.example/jwks"),
        ("RETELL_LOG__KAFKA__PROPERTIES__SASL_JAAS_CONFIG", "password=hunter2"),
        ("RETELL_LOG__KAFKA__PROPERTIES__ACKS_PASSWORD", "hunter2"),
    ] {
        for arguments in [&["config"][..], &["config", "--json"], &["topic", "check"]] {
            let ended = retell_with(arguments, &[(name, value)], "").await;
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!said.contains(PASSWORD), "{arguments:?}: {name}: {said}");
        }
    }
}
