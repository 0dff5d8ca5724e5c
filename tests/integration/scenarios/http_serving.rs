//! What holds for every request, and how the door closes.

use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::app::TestApp;
use crate::support::writers::PATIENCE;

#[tokio::test]
async fn a_request_keeps_its_name_or_gets_one() {
    let app = TestApp::spawn().await;
    let named = app.request(Method::GET, "/health/live").header("x-request-id", "order-7");
    assert_eq!(app.ask(named).await.header("x-request-id"), "order-7");
    let problem = app.request(Method::GET, "/nowhere").header("x-request-id", "order-8");
    let problem = app.ask(problem).await;
    assert_eq!(problem.json()["instance"], "order-8");
    let strange = app.request(Method::GET, "/health/live").header("x-request-id", "two words");
    let made = app.ask(strange).await;
    assert_ne!(made.header("x-request-id"), "two words");
    assert_ne!(app.get("/health/live").await.header("x-request-id"), made.header("x-request-id"));
}

#[tokio::test]
async fn everything_is_below_the_base_path() {
    let app = TestApp::spawn_with(|config| config.http.base_path = "/bank".to_owned()).await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.view("accounts", "ann", &opened).await.ok();
    app.get("/").await.ok();
    let started = app.ask(app.request(Method::POST, "/admin/replays")).await;
    assert!(started.header("location").starts_with("replays/"), "relative: it is nested anywhere");
    let outside =
        app.raw(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(outside.starts_with("HTTP/1.1 404 "), "{outside}");
    assert!(outside.contains("\"no_such_route\""), "{outside}");
    app.get("/nowhere").await.problem(404, "no_such_route");
}

#[tokio::test]
async fn requests_under_way_end_before_the_service_does() {
    let app = TestApp::spawn().await;
    let mut under_way = under_way(&app).await;
    app.shutdown.request();
    until_closed(&app).await;
    under_way.write_all(OPEN.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).await.expect("an answer, and the end");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    app.stopped().await.expect("a clean end");
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_hold_the_service() {
    let app = TestApp::spawn_with(|config| {
        config.http.drain_timeout = Duration::from_millis(50);
    })
    .await;
    let mut under_way = under_way(&app).await;
    app.stop().await.expect("an end in time");
    let mut answer = Vec::new();
    drop(under_way.read_to_end(&mut answer).await);
    assert_eq!(String::from_utf8_lossy(&answer), "", "its connection is closed");
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_its_request() {
    let app = TestApp::spawn_with(|config| {
        config.http.request_timeout = Duration::from_millis(50);
    })
    .await;
    let mut answer = vec![0; 12];
    under_way(&app).await.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_service() {
    let app = TestApp::spawn_with(|config| {
        config.http.drain_timeout = Duration::from_secs(60);
    })
    .await;
    let mut idle = TcpStream::connect(app.address).await.expect("connected");
    idle.write_all(WHOLE.as_bytes()).await.expect("sent");
    let mut answer = [0; 15];
    idle.read_exact(&mut answer).await.expect("answered");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    app.stop().await.expect("an end in time");
}

/// Whatever a connection began with, it is closed when no request comes of it.
#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let app = TestApp::spawn_with(|config| {
        config.http.idle_timeout = Duration::from_millis(50);
    })
    .await;
    let begins = ["", "P", "PRI * HTTP/2.0\r\n", "GET /health/live HTTP/1.1\r\nHo", "\r\n", WHOLE];
    for begin in begins {
        let mut idle = TcpStream::connect(app.address).await.expect("connected");
        idle.write_all(begin.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, idle.read_to_end(&mut answer)).await;
        ended.unwrap_or_else(|_| panic!("{begin:?} holds a connection")).expect("an end");
        let is_answer = answer.starts_with(b"HTTP/1.1 200 OK");
        assert_eq!(is_answer, begin == WHOLE, "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn a_request_under_way_is_no_idle_connection() {
    let app = TestApp::spawn_with(|config| {
        config.http.idle_timeout = Duration::from_millis(50);
    })
    .await;
    let mut under_way = under_way(&app).await;
    let mut idle = TcpStream::connect(app.address).await.expect("connected");
    assert_eq!(idle.read(&mut [0]).await.expect("an end"), 0, "the later one is closed");
    under_way.write_all(OPEN.as_bytes()).await.expect("sent");
    let mut answer = [0; 15];
    under_way.read_exact(&mut answer).await.expect("answered");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

const WHOLE: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
const OPEN: &str = r#"{"type":"OpenAccount","owner":"Ann"}"#;

/// A command whose body the service waits for.
async fn under_way(app: &TestApp) -> TcpStream {
    let mut stream = TcpStream::connect(app.address).await.expect("connected");
    let head = format!(
        "POST /commands/account/ann HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        OPEN.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut go_on).await.expect("asked to go on");
    assert!(go_on.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&go_on));
    stream
}

/// Returns once the service takes no more connections.
async fn until_closed(app: &TestApp) {
    let closing = async { while TcpStream::connect(app.address).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), closing).await.expect("it closes its port");
}
