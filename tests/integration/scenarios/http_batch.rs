//! A batch: envelopes in, answers out, both at once, over real connections.

use std::time::Duration;

use retell::Partition;
use retell::ports::EventLog;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::app::{TestApp, memory_log};
use crate::support::writers::PATIENCE;

const NDJSON: &str = "application/x-ndjson";

fn envelope(kind: &str, id: &str, command: &Value) -> String {
    json!({"aggregate": {"type": kind, "id": id}, "command": command}).to_string() + "\n"
}

fn open(id: &str) -> String {
    envelope("account", id, &json!({"type": "OpenAccount", "owner": "Ann"}))
}

fn deposit(id: &str, amount: u64) -> String {
    envelope("account", id, &json!({"type": "DepositMoney", "amount": amount}))
}

async fn send(app: &TestApp, lines: String) -> Vec<Value> {
    let request = app.request(reqwest::Method::POST, "/commands").header("content-type", NDJSON);
    let answer = app.ask(request.body(lines)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, NDJSON), "{answer:?}");
    let text = std::str::from_utf8(&answer.body).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A connection that begins a batch and goes on with chunks.
async fn begin(app: &TestApp) -> TcpStream {
    let mut stream = TcpStream::connect(app.address).await.expect("connected");
    let head = format!(
        "POST /commands HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// The lines of an answer with its head and the lengths of its chunks left out.
fn results(answer: &str) -> Vec<Value> {
    let lines = answer.lines().filter(|line| line.starts_with("{\"line\""));
    lines.map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn each_line_has_its_answer_in_order_and_a_bad_one_stops_no_other() {
    let app = TestApp::spawn().await;
    let expecting = |version: u64| {
        let mut line: Value = serde_json::from_str(&deposit("ann", 1)).expect("JSON");
        line["expected_version"] = json!(version);
        line["key"] = json!(format!("k-{version}"));
        line.to_string() + "\n"
    };
    let lines = [
        open("ann"),
        "\n".to_owned(),
        "oops\n".to_owned(),
        deposit("ann", 5),
        open("ann"),
        envelope("acount", "ann", &json!({"type": "X"})),
        deposit("ann", 0).replace("DepositMoney", "Deposit"),
        expecting(7),
        expecting(2),
        envelope("slow", "x", &json!({"type": "Panic"})),
        deposit("ann", 6).trim_end().to_owned(),
    ];
    let results = send(&app, lines.concat()).await;
    let seen: Vec<_> = results.iter().map(|r| (r["line"].as_u64(), r["status"].as_u64())).collect();
    let statuses = [200, 400, 200, 422, 404, 400, 412, 200, 500, 200];
    let numbers = [1, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    let wanted: Vec<_> =
        numbers.into_iter().zip(statuses).map(|(n, s)| (Some(n), Some(s))).collect();
    assert_eq!(seen, wanted, "{results:?}");
    assert_eq!(results[2]["version"], 2);
    assert_eq!(results[2]["events"][0]["data"], json!({"amount": 5, "balance": 5}));
    assert_eq!(results[1]["code"], "bad_line");
    assert_eq!(results[3]["type"], "urn:retell:problem:refused");
    assert_eq!(results[6]["current_version"], 2);
    assert_eq!(results[7]["command_id"], "k-2");
    assert!(results[3]["command_id"].is_string() && results[3]["instance"].is_string());
    assert_eq!(results[9]["version"], 4);
}

#[tokio::test]
async fn what_is_for_one_command_is_refused_for_a_batch() {
    let app = TestApp::spawn().await;
    let post = || app.request(reqwest::Method::POST, "/commands").body(open("ann"));
    for (header, value) in [("Idempotency-Key", "k"), ("If-Match", "*"), ("If-None-Match", "*")] {
        let request = post().header("content-type", NDJSON).header(header, value);
        let detail = app.ask(request).await.problem(400, "bad_header");
        assert!(detail.contains(header), "{detail}");
    }
    let json = post().header("content-type", "application/json");
    let detail = app.ask(json).await.problem(415, "unsupported_media_type");
    assert!(detail.contains(NDJSON), "{detail}");
    let page = post().header("content-type", NDJSON).header("accept", "text/html");
    app.ask(page).await.problem(406, "not_acceptable");
    app.open_account("ann", "Ann").await.ok();
}

/// The queue of the writer has room for one: the batch waits, in order, and loses nothing.
#[tokio::test]
async fn a_full_queue_slows_a_batch_down_and_changes_no_order() {
    let app = TestApp::spawn_with(|config| {
        config.write.queue_len_max = 1;
        config.write.in_flight_max = 2;
    })
    .await;
    let mut lines = open("ann");
    (1..=300).for_each(|amount| lines.push_str(&deposit("ann", amount)));
    let results = send(&app, lines).await;
    assert_eq!(results.len(), 301);
    for (at, result) in results.iter().enumerate() {
        assert_eq!(result["version"], at + 1, "{result}");
    }
}

#[tokio::test]
async fn a_client_gets_the_answer_to_a_line_before_it_writes_the_next() {
    let app = TestApp::spawn().await;
    let stream = begin(&app).await;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    for round in 1..=3 {
        let line = if round == 1 { open("ann") } else { deposit("ann", 1) };
        write.write_all(chunk(&line).as_bytes()).await.expect("sent");
        let answer = async {
            loop {
                let line = lines.next_line().await.expect("read").expect("more");
                if let Some(answer) = results(&line).pop() {
                    return answer;
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
        assert_eq!((&answer["line"], &answer["version"]), (&json!(round), &json!(round)));
    }
}

#[tokio::test]
async fn a_client_may_write_all_before_it_reads_anything() {
    let app = TestApp::spawn().await;
    let mut stream = begin(&app).await;
    let mut lines = open("ann");
    (0..900).for_each(|_| lines.push_str(&deposit("ann", 1)));
    let body = chunk(&lines) + "0\r\n\r\n";
    let writing = stream.write_all(body.as_bytes());
    tokio::time::timeout(PATIENCE, writing).await.expect("taken in time").expect("sent");
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, reading).await.expect("answered in time").expect("read");
    let results = results(&answer);
    assert_eq!(results.len(), 901);
    assert_eq!(results[900]["version"], 901);
}

/// Commands that count in the log.
async fn committed(log: &impl EventLog) -> u64 {
    let mut sum = 0;
    for partition in 0..4 {
        sum += log.end(Partition(partition)).await.expect("end").0;
    }
    sum - 4 // a claim each
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_and_goes_on_when_it_does() {
    let log = memory_log();
    let unread_max = 16;
    let app = TestApp::spawn_on(std::sync::Arc::new(log.clone()), |config| {
        config.http.batch_unread_len_max = unread_max;
    })
    .await;
    let stream = begin(&app).await;
    let (mut read, mut write) = stream.into_split();
    // Events of 16 KiB: their answers fill every buffer on the way back long before the end.
    let text = "x".repeat(16 * 1024);
    let count = 4_000_usize;
    let writing = tokio::spawn(async move {
        for id in 0..count {
            let command = json!({"type": "ProduceMessage", "text": text});
            let line = chunk(&envelope("message", &format!("m{id}"), &command));
            write.write_all(line.as_bytes()).await.expect("sent");
        }
        write.write_all(b"0\r\n\r\n").await.expect("sent");
        write
    });
    // It stands still: the same number twice, some time apart, far from the end.
    let mut before = u64::MAX;
    let still = async {
        loop {
            let now = committed(&log).await;
            if now == before && now > 0 {
                return now;
            }
            eprintln!("{now} of {count} done");
            before = now;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let still = tokio::time::timeout(PATIENCE, still).await.expect("it stands still");
    assert!(still < count as u64, "{still} were done with no answer read");
    assert!(!writing.is_finished());
    let mut answer = Vec::new();
    let reading = read.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, reading).await.expect("answered in time").expect("read");
    assert_eq!(results(&String::from_utf8_lossy(&answer)).len(), count);
    drop(writing.await.expect("no panic"));
}

#[tokio::test]
async fn a_client_that_goes_away_changes_nothing_that_was_taken() {
    let app = TestApp::spawn_with(|config| {
        config.write.decide_timeout = Duration::from_secs(60);
    })
    .await;
    let mut stream = begin(&app).await;
    let lines = [
        envelope("slow", "x", &json!({"type": "Wait"})),
        envelope("slow", "x", &json!({"type": "Go"})),
        open("ann"),
    ];
    stream.write_all(chunk(&lines.concat()).as_bytes()).await.expect("sent");
    // The last line was taken, so the others were.
    app.eventually("/projections/accounts/ann", |answer| answer.status == 200).await;
    drop(stream);
    app.go.notify_one();
    let go = app.command("slow", "x", &json!({"type": "Go"})).await.ok();
    assert_eq!(go.json()["version"], 3, "both lines were done");
}

#[tokio::test]
async fn a_line_that_is_too_long_and_a_body_that_breaks_off_are_told() {
    let app = TestApp::spawn_with(|config| config.http.body_bytes_max = 1_000).await;
    let long = "x".repeat(5_000) + "\n";
    let results = send(&app, open("ann") + &long + &deposit("ann", 1)).await;
    assert_eq!(results[1]["code"], "line_too_long");
    assert_eq!((&results[1]["status"], &results[2]["version"]), (&json!(413), &json!(2)));
}

#[tokio::test]
async fn a_batch_that_falls_silent_is_ended() {
    let app = TestApp::spawn_with(|config| {
        config.http.idle_timeout = Duration::from_millis(200);
    })
    .await;
    let mut stream = begin(&app).await;
    stream.write_all(chunk(&open("ann")).as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, reading).await.expect("ended in time").expect("read");
    let results = results(&answer);
    assert_eq!(results[0]["status"], 200);
    assert_eq!(
        (&results[1]["status"], &results[1]["code"]),
        (&json!(408), &json!("body_too_slow"))
    );
}
