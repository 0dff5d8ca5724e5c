//! TLS on the listener: who is spoken to, with which certificate, and by whom not.

use std::time::Duration;

use reqwest::Method;
use reqwest::tls::TlsInfo;
use retell::app::AppError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::app::TestApp;
use crate::support::callers::put;
use crate::support::certificates::{CertificateAuthority, text};
use crate::support::command_line::retell_with;
use crate::support::writers::PATIENCE;

async fn serve(authority: &CertificateAuthority) -> TestApp {
    let (cert, key) = (text(&authority.file("cert.pem")), text(&authority.file("key.pem")));
    let app =
        TestApp::start_on(std::sync::Arc::new(crate::support::app::memory_log()), move |config| {
            (config.http.tls.certificate_file, config.http.tls.key_file) = (cert, key);
            config.http.tls.reload_interval = Duration::from_millis(5);
        })
        .await
        .by_tls(authority.client());
    app.ready().await;
    app
}

/// The certificate that a new connection is shown.
async fn shown(app: &TestApp, authority: &CertificateAuthority) -> Vec<u8> {
    let url = format!("https://{}/health/live", app.address);
    let answer = authority.client().get(url).send().await.expect("an answer");
    let info = answer.extensions().get::<TlsInfo>().expect("by TLS");
    info.peer_certificate().expect("a certificate").to_vec()
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served_and_told_to_stay_with_tls() {
    let authority = CertificateAuthority::new();
    authority.issue();
    let app = serve(&authority).await;
    app.open_account("ann", "Ann").await.ok();
    let live = app.get("/health/live").await.ok();
    assert_eq!(live.header("strict-transport-security"), "max-age=31536000");

    let url = format!("https://{}/health/live", app.address);
    let stranger = CertificateAuthority::new().client().get(&url).send().await;
    assert!(stranger.expect_err("another authority").is_connect());
    let plain = app.raw(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(!plain.contains("HTTP/1.1 200"), "{plain}");
    app.get("/health/live").await.ok();
    app.stop().await.expect("a clean end");
}

#[tokio::test]
async fn the_command_line_speaks_tls_with_an_authority_that_it_is_given() {
    let authority = CertificateAuthority::new();
    authority.issue();
    let app = serve(&authority).await;
    let url = format!("https://{}", app.address);
    let asked = ["status", "--url", &url, "--json"];
    let ca = text(&authority.file("ca.pem"));
    let ended = retell_with(&asked, &[("RETELL_CA_FILE", &ca)], "").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let ended = retell_with(&asked, &[], "").await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("certificate"), "{ended:?}");
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_a_wrong_one_never() {
    let authority = CertificateAuthority::new();
    authority.issue();
    let app = serve(&authority).await;
    let first = shown(&app, &authority).await;
    // A key that is not the certificate's.
    put(&authority.file("key.pem"), b"no key");
    for _ in 0..10 {
        assert_eq!(shown(&app, &authority).await, first);
    }
    authority.issue();
    let exchanged = async { while shown(&app, &authority).await == first {} };
    tokio::time::timeout(PATIENCE, exchanged).await.expect("exchanged in time");
}

#[tokio::test]
async fn a_certificate_that_is_wrong_at_the_start_serves_nobody() {
    let authority = CertificateAuthority::new();
    authority.issue();
    put(&authority.file("key.pem"), b"-----BEGIN PRIVATE KEY-----\nsecret\n");
    let (cert, key) = (text(&authority.file("cert.pem")), text(&authority.file("key.pem")));
    let app =
        TestApp::start_on(std::sync::Arc::new(crate::support::app::memory_log()), move |config| {
            (config.http.tls.certificate_file, config.http.tls.key_file) = (cert, key);
        })
        .await;
    let error = app.stopped().await.expect_err("it does not serve");
    assert!(matches!(error, AppError::Http(_)), "{error}");
    assert!(error.to_string().contains("[http.tls]"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// A client that begins no handshake is let go as one that sends no request.
#[tokio::test]
async fn a_handshake_that_does_not_come_holds_no_connection() {
    let authority = CertificateAuthority::new();
    authority.issue();
    let (cert, key) = (text(&authority.file("cert.pem")), text(&authority.file("key.pem")));
    let app =
        TestApp::start_on(std::sync::Arc::new(crate::support::app::memory_log()), move |config| {
            (config.http.tls.certificate_file, config.http.tls.key_file) = (cert, key);
            config.http.idle_timeout = Duration::from_millis(50);
        })
        .await;
    let mut silent = TcpStream::connect(app.address).await.expect("connected");
    let mut end = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut end)).await;
    assert!(closed.expect("closed in time").is_ok_and(|read| read == 0));
}

#[tokio::test]
async fn beyond_the_most_connections_who_comes_waits_until_one_ends() {
    let app = TestApp::spawn_with(|config| config.http.connections_max = 2).await;
    // The client of the test holds one.
    app.get("/health/live").await.ok();
    let mut second = TcpStream::connect(app.address).await.expect("connected");
    let head = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    second.write_all(head).await.expect("sent");
    let mut answer = [0; 15];
    second.read_exact(&mut answer).await.expect("an answer");
    let mut third = TcpStream::connect(app.address).await.expect("the system takes it");
    third.write_all(head).await.expect("sent");
    for _ in 0..20 {
        app.ask(app.request(Method::GET, "/health/live")).await.ok();
    }
    let early = third.try_read(&mut [0; 1]);
    assert!(early.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    drop(second);
    let mut answer = [0; 15];
    let answered = tokio::time::timeout(PATIENCE, third.read_exact(&mut answer)).await;
    answered.expect("in time").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}
