//! A batch: envelopes in, answers out, both at once, over real connections.

use std::time::Duration;

use retell::log::Partitions;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::support::app::TestApp;
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
    begin_on(TcpStream::connect(app.address).await.expect("connected")).await
}

async fn begin_on(mut stream: TcpStream) -> TcpStream {
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
    for decided in [3, 6] {
        assert_eq!(results[decided]["version"], 2);
        let has = results[decided]["position"].as_str().expect("a position");
        let position = results[2]["position"].as_str().expect("a position");
        assert!(has >= position, "{has} has not what is at {position}");
    }
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

/// Ids whose accounts are in the partition of the aggregate `slow/x`, or are not.
fn ids(beside: bool) -> impl Iterator<Item = String> {
    let partitions = Partitions::new(4).expect("some");
    let is_beside =
        move |id: &str| partitions.of(&format!("account/{id}")) == partitions.of("slow/x");
    (0..).map(|i| format!("a{i}")).filter(move |id| is_beside(id) == beside)
}

/// Far more than what the buffers between the two hold.
const MANY: usize = 2_500;

/// A message of 16 KB; its answer is as long.
fn message(number: usize) -> String {
    let command = json!({"type": "ProduceMessage", "text": "ö".repeat(8_000)});
    envelope("message", &format!("m{number}"), &command)
}

/// A connection that keeps little for a client that does not read.
async fn begin_with_a_small_buffer(app: &TestApp) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(8 * 1024).expect("a small buffer");
    let stream = socket.connect(app.address).await.expect("connected");
    stream.set_nodelay(true).expect("no delay"); // that would look like standing still
    begin_on(stream).await
}

/// Writes a batch of many messages, if it is let; counts those that it has sent. Gives back what
/// it wrote to: a client that closes that is gone, for hyper.
async fn write_many(
    mut write: OwnedWriteHalf,
    sent: watch::Sender<usize>,
) -> std::io::Result<OwnedWriteHalf> {
    for number in 0..MANY {
        write.write_all(chunk(&message(number)).as_bytes()).await?;
        sent.send_replace(number + 1);
    }
    write.write_all(b"0\r\n\r\n").await?;
    Ok(write)
}

/// Returns once no line is taken from the batch any more, however much else the service does.
async fn stands_still(app: &TestApp, sent: &watch::Receiver<usize>) -> usize {
    for _ in 0..1_000 {
        let before = *sent.borrow();
        for _ in 0..300 {
            app.open_account("ann", "Ann").await; // or is refused, which takes as long
        }
        if before > 0 && *sent.borrow() == before {
            return before;
        }
    }
    panic!("{} lines are taken, and still more", *sent.borrow())
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_and_goes_on_when_it_does() {
    let app = TestApp::spawn_with(|config| config.http.batch_unread_len_max = 16).await;
    let (read, write) = begin_with_a_small_buffer(&app).await.into_split();
    let (sender, sent) = watch::channel(0);
    let writing = tokio::spawn(write_many(write, sender));
    let taken = stands_still(&app, &sent).await;
    assert!(taken < MANY && !writing.is_finished(), "all {taken} were taken with none read");
    let mut lines = BufReader::new(read).lines();
    let reading = async {
        let mut count = 0;
        while let Some(line) = lines.next_line().await.expect("read") {
            let Some(answer) = results(&line).pop() else { continue };
            count += 1;
            assert_eq!((&answer["line"], &answer["status"]), (&json!(count), &json!(200)));
            assert_eq!(answer["aggregate"]["id"], format!("m{}", count - 1));
        }
        count
    };
    let both = async { tokio::join!(reading, writing) };
    let (count, write) = tokio::time::timeout(PATIENCE, both).await.expect("answered in time");
    assert_eq!(count, MANY);
    drop(write.expect("no panic").expect("sent"));
}

/// L8: its connection breaks, and what it kept in memory is free.
#[tokio::test]
async fn a_client_that_never_reads_does_not_hold_its_connection() {
    let app = TestApp::spawn_with(|config| {
        config.http.idle_timeout = Duration::from_millis(300);
        config.http.batch_unread_len_max = 16;
    })
    .await;
    let (_read, write) = begin_with_a_small_buffer(&app).await.into_split();
    let (sender, sent) = watch::channel(0);
    let written = tokio::time::timeout(PATIENCE, write_many(write, sender)).await;
    written.expect("it ends in time").expect_err("the connection breaks");
    assert!(*sent.borrow() < MANY, "it was read to its end");
    app.open_account("ann", "Ann").await.ok();
}

/// Nor do the commands that wait for it: a part of them is turned away.
#[tokio::test]
async fn a_slow_aggregate_does_not_hold_back_the_others_of_its_partition() {
    let app = TestApp::spawn_with(|config| {
        config.write.decide_timeout = Duration::from_secs(60);
        config.write.in_flight_max = 16;
    })
    .await;
    let go = envelope("slow", "x", &json!({"type": "Go"}));
    let beside = ids(true).take(4).collect::<Vec<_>>();
    // In this order they come to their writer.
    let mut lines = envelope("slow", "x", &json!({"type": "Wait"})) + &go.repeat(30);
    beside.iter().for_each(|id| lines.push_str(&open(id)));
    let mut stream = begin(&app).await;
    let body = chunk(&lines) + "0\r\n\r\n";
    stream.write_all(body.as_bytes()).await.expect("sent");
    for id in &beside {
        let view = format!("/projections/accounts/{id}");
        app.eventually(&view, |answer| answer.status == 200).await;
    }
    app.go.notify_one();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, reading).await.expect("answered in time").expect("read");
    let results = results(&answer);
    assert_eq!(results.len(), 35, "{}", results[results.len() - 1]);
    for (at, result) in results.iter().enumerate() {
        // One was decided, a quarter of 16 waited.
        match at {
            0..=4 => assert_eq!(result["version"], at + 1, "{result}"),
            5..=30 => assert_eq!(result["code"], "queue_full", "{result}"),
            _ => assert_eq!(result["status"], 200, "{result}"),
        }
    }
}

/// A partition that stands still is waited for once; lines of others get their answers.
#[tokio::test]
async fn a_partition_that_stands_still_does_not_hold_the_lines_of_others() {
    let app = TestApp::spawn_with(|config| {
        config.http.request_timeout = Duration::from_millis(500);
        config.write.decide_timeout = Duration::from_secs(60);
        config.write.queue_len_max = 1;
        config.write.in_flight_max = 1;
    })
    .await;
    // Waiting for each would take longer than the test does.
    let beside: Vec<_> = ids(true).take(100).collect();
    let apart: Vec<_> = ids(false).take(9).collect();
    let mut lines = envelope("slow", "x", &json!({"type": "Wait"}));
    beside.iter().chain(&apart).for_each(|id| lines.push_str(&open(id)));
    let results = tokio::time::timeout(PATIENCE, send(&app, lines)).await.expect("in time");
    assert_eq!(results.len(), 1 + beside.len() + apart.len());
    assert_eq!(results[0]["code"], "outcome_unknown", "{}", results[0]);
    for result in &results[1..=beside.len()] {
        assert_eq!((&result["status"], &result["code"]), (&json!(503), &json!("queue_full")));
        assert_eq!(result["retry_after"], 1);
    }
    for result in &results[1 + beside.len()..] {
        assert_eq!(result["status"], 200, "{result}");
    }
    app.go.notify_one();
    let wait = results[0]["command_id"].as_str().expect("id");
    app.eventually(&format!("/commands/slow/x/{wait}"), |answer| answer.status == 200).await;
    for id in &beside[..3] {
        let opened = app.open_account(id, "Ann").await.ok();
        assert_eq!(opened.json()["version"], 1, "what was answered 503 was not done");
    }
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
