//! `retell serve` as a process: it says when it is ready, keeps what it acknowledged, and ends.

use serde_json::{Value, json};

use crate::support::command_line::{Served, client, retell, retell_with};

fn envelope(id: &str, command: &Value) -> String {
    json!({"aggregate": {"type": "account", "id": id}, "command": command}).to_string()
}

#[tokio::test]
async fn a_service_keeps_what_it_acknowledged_through_every_kind_of_end() {
    let folder = tempfile::tempdir().expect("folder");
    let open = envelope("ann", &json!({"type": "OpenAccount", "owner": "Ann"}));
    let deposit = envelope("ann", &json!({"type": "DepositMoney", "amount": 5}));
    for (signal, code, line) in
        [("-TERM", Some(0), &open), ("-INT", Some(0), &deposit), ("-KILL", None, &deposit)]
    {
        let service = Served::start(folder.path()).await;
        let sent = client(service.address, &["send", "-"], line).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let (ended, printed) = service.end_by(signal).await;
        assert_eq!(ended, code, "{signal}");
        assert_eq!(printed, [""; 0], "the ready line is all that it prints");
    }
    let service = Served::start(folder.path()).await;
    let ten = envelope("ann", &json!({"type": "WithdrawMoney", "amount": 10}));
    let sent = client(service.address, &["send", "-"], &ten).await;
    assert_eq!(sent.code, 0, "{sent:?}");
    let sent = client(service.address, &["send", "-"], &ten).await;
    assert!(sent.stderr.contains("insufficient_funds"), "{sent:?}");
}

#[tokio::test]
async fn a_busy_port_names_the_setting_and_touches_nothing() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("address").to_string();
    let folder = tempfile::tempdir().expect("folder");
    let log = format!("embedded:{}/log", folder.path().display());
    let settings = [("RETELL_HTTP__LISTEN", address.as_str()), ("RETELL_LOG__URL", &log)];
    let ended = retell_with(&["serve"], &settings, "").await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("http.listen") && ended.stderr.contains(&address), "{ended:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
}

#[tokio::test]
async fn wrong_settings_are_wrong_usage_and_told_all_at_once() {
    let settings = [
        ("RETELL_HTTP__LISTEM", "x"),
        ("RETELL_LOG__PARTITIONS", "many"),
        ("RETELL_LOG__KAFKA__PROPERTIES__ACKS", "0"),
    ];
    for arguments in [&[][..], &["serve"], &["config"], &["status"], &["topic", "check"]] {
        let ended = retell_with(arguments, &settings, "").await;
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        let told = ended.stderr;
        assert!(told.contains("listem") && told.contains("log.partitions"), "{told}");
        let acks = "RETELL_LOG__KAFKA__PROPERTIES__ACKS: log.kafka.properties.acks: records must";
        assert!(told.contains(acks), "{told}");
    }
}

#[tokio::test]
async fn the_settings_in_effect_are_printed_without_secrets() {
    let url = ("RETELL_VIEWS__URL", "redis://:hunter2@127.0.0.1:1/0");
    let printed = retell_with(&["config"], &[url], "").await;
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(printed.stdout.contains("RETELL_VIEWS__URL"), "where it comes from: {printed:?}");
    assert!(!printed.stdout.contains("hunter2"), "{printed:?}");
    let printed = retell(&["config", "--json"], "").await;
    let settings: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!(settings["log"]["partitions"], 8);
}
