//! Event streams have no end of their own: they end when their caller is none any more, and say so.

use reqwest::Method;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::callers::{Caller, KeyFile, Signer, claims, jwks, now, put, take_tokens};
use crate::support::sse::{Event, EventSource};

fn end(reason: &str) -> Option<Event> {
    Some(Event { name: "end".to_owned(), data: json!({ "reason": reason }) })
}

async fn follow(app: &TestApp, bearer: &str, path: &str) -> EventSource {
    EventSource::open(app.request(Method::GET, path).bearer_auth(bearer)).await
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_taken_away_and_anothers_goes_on() {
    let (ann, bob) = (Caller::new("ann", "read,audit"), Caller::new("bob", "read,write"));
    let keys = KeyFile::of(&[&ann, &bob]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    let mut views = follow(&app, &ann.key, "/projections/accounts").await;
    let mut log = follow(&app, &ann.key, "/events").await;
    let mut others = follow(&app, &bob.key, "/projections/accounts").await.begun().await;
    keys.write(&[&bob]);
    for stream in [&mut views, &mut log] {
        assert_eq!(stream.next().await, end("revoked"));
        assert_eq!(stream.next().await, None, "the end");
    }
    let open = json!({"type": "OpenAccount", "owner": "Bob"});
    app.command_as(&bob.key, "/commands/account/bob", &open).await.ok();
    assert_eq!(others.find("put").await.data["key"], "bob");
}

#[tokio::test]
async fn a_stream_ends_when_its_token_does() {
    let (signer, folder) = (Signer::es256("k"), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("jwks.json");
    put(&file, jwks(&[&signer]).as_bytes());
    let app = TestApp::spawn_with(|config| take_tokens(config, &file.display().to_string())).await;
    let token = signer.token(&claims(&["read"], &json!({ "exp": now() + 2 })));
    let mut stream = follow(&app, &token, "/projections/accounts").await;
    assert_eq!(stream.next().await, end("expired"));
    assert_eq!(stream.next().await, None, "the end");
    app.get_as(&token, "/projections").await.problem(401, "token_expired");
}
