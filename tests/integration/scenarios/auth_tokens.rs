//! Tokens of an issuer: which are taken, and every way in which one is not.

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use retell::config::Config;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::TestApp;
use crate::support::callers::{ISSUER, Publisher, Signer, claims, jwks, now, put, take_tokens};

/// A service that takes the tokens of these signers, and its JWKS.
async fn service(signers: &[&Signer]) -> (TestApp, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("jwks.json");
    put(&file, jwks(signers).as_bytes());
    let jwks = file.display().to_string();
    (TestApp::spawn_with(|config| take_tokens(config, &jwks)).await, folder)
}

#[tokio::test]
async fn a_token_of_each_algorithm_names_its_caller_and_roles() {
    let (rsa, elliptic) = (Signer::rs256("r"), Signer::es256("e"));
    let (app, _folder) = service(&[&rsa, &elliptic]).await;
    let expected = json!({"name": "ann", "roles": ["read", "write:account"]});
    let given = claims(&["read", "write:account", "offline_access"], &json!({}));
    for signer in [&rsa, &elliptic] {
        let token = signer.token(&given);
        // The second time it is remembered.
        for _ in 0..2 {
            let me = app.get_as(&token, "/admin/me").await.ok().json();
            assert_eq!(me, expected, "{:?}", signer.algorithm);
        }
    }
}

#[tokio::test]
async fn roles_may_be_one_text_or_deep_in_a_claim() {
    let signer = Signer::es256("k");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("jwks.json");
    put(&file, jwks(&[&signer]).as_bytes());
    for (claim, value) in [
        ("scope", json!({"scope": "openid read audit"})),
        ("realm.roles", json!({"realm": {"roles": ["read", "audit"]}})),
        ("https://x.example/roles", json!({"https://x.example/roles": ["read", "audit"]})),
    ] {
        let app = TestApp::spawn_with(|config| {
            take_tokens(config, &file.display().to_string());
            config.auth.jwt.roles_claim = claim.to_owned();
        })
        .await;
        let token = signer.token(&claims(&["admin"], &value));
        let me = app.get_as(&token, "/admin/me").await.ok().json();
        assert_eq!(me["roles"], json!(["read", "audit"]), "{claim}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_for_us_or_not_now_is_refused() {
    let signer = Signer::rs256("k");
    let (app, _folder) = service(&[&signer]).await;
    let token = |otherwise: Value| signer.token(&claims(&["admin"], &otherwise));
    for (bad, code, said) in [
        (token(json!({"exp": now() - 1})), "token_expired", "has expired"),
        (token(json!({"exp": null})), "bad_credentials", "lacks exp"),
        (token(json!({"exp": "soon"})), "bad_credentials", "lacks exp"),
        (token(json!({"nbf": now() + 60})), "bad_credentials", "not valid yet"),
        (token(json!({"iss": "https://evil.example"})), "bad_credentials", "another issuer"),
        (token(json!({"iss": null})), "bad_credentials", "lacks exp, iss"),
        (token(json!({"aud": "shop"})), "bad_credentials", "another audience"),
        (token(json!({"aud": ["shop", "bank"]})), "bad_credentials", "another audience"),
        (token(json!({"aud": null})), "bad_credentials", "lacks exp, iss or aud"),
        (token(json!({"sub": null})), "bad_credentials", "names its caller"),
        (token(json!({"sub": "a\nb"})), "bad_credentials", "names its caller"),
        (token(json!({"sub": "x".repeat(201)})), "bad_credentials", "names its caller"),
        (token(json!({"x": "x".repeat(17_000)})), "bad_credentials", "too long"),
    ] {
        let answer = app.get_as(&bad, "/admin/me").await;
        let detail = answer.problem(401, code);
        assert!(detail.contains(said), "{said}: {detail}");
        assert!(answer.header("www-authenticate").contains("invalid_token"));
    }
    let several = token(json!({"aud": ["shop", "retell"]}));
    app.get_as(&several, "/admin/me").await.ok();
}

/// Each is a token that some library once took.
#[tokio::test]
async fn a_token_does_not_choose_how_it_is_verified() {
    let (signer, stranger) = (Signer::rs256("k"), Signer::rs256("k"));
    let (app, _folder) = service(&[&signer, &Signer::es256("e")]).await;
    let given = claims(&["admin"], &json!({}));
    let good = signer.token(&given);
    let parts: Vec<_> = good.split('.').collect();
    let with_header = |header: &Value, signature: &str| {
        let key = EncodingKey::from_secret(b"x");
        // A header's base64 by way of a token that has it as its claims.
        let header = encode(&Header::default(), header, &key).expect("signed");
        let header = header.split('.').nth(1).expect("three parts").to_owned();
        format!("{header}.{}.{signature}", parts[1])
    };
    let modulus = signer.jwk["n"].as_str().expect("a modulus");
    let public = serde_json::to_string(&signer.jwk).expect("JSON");
    let mut wrong = good.clone();
    wrong.replace_range(good.len() - 12..good.len() - 8, "AAAA");
    for (bad, what) in [
        (with_header(&json!({"alg": "none", "typ": "JWT"}), ""), "no signature"),
        (with_header(&json!({"alg": "None", "kid": "k"}), parts[2]), "none, with a signature"),
        (signer.token_by_secret(modulus.as_bytes(), &given), "the public key as a secret"),
        (signer.token_by_secret(public.as_bytes(), &given), "the JWK as a secret"),
        (signer.token_by_secret(b"", &given), "the empty secret"),
        (with_header(&json!({"alg": "ES256", "kid": "k"}), parts[2]), "another key's algorithm"),
        (with_header(&json!({"alg": "RS512", "kid": "k"}), parts[2]), "an algorithm too many"),
        (with_header(&json!({"alg": "RS256", "kid": "e"}), parts[2]), "another key's name"),
        (stranger.token(&given), "a stranger's key under a known name"),
        (wrong, "another signature"),
        (format!("{}.{}.", parts[0], parts[1]), "the signature cut off"),
        (format!("{}.{}", parts[0], parts[1]), "two parts"),
    ] {
        let answer = app.get_as(&bad, "/admin/me").await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        answer.problem(401, "bad_credentials");
    }
    app.get_as(&good, "/admin/me").await.ok();
}

/// A published key that is symmetric is known to everybody.
#[tokio::test]
async fn a_symmetric_key_in_a_jwks_verifies_nothing() {
    let signer = Signer::es256("k");
    let mut published: Value = serde_json::from_str(&jwks(&[&signer])).expect("JSON");
    // `k` is the base64url of 32 letters A.
    let secret = [b'A'; 32];
    let letters = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE";
    let symmetric = json!({"kty": "oct", "kid": "o", "alg": "HS256", "k": letters});
    published["keys"].as_array_mut().expect("keys").push(symmetric);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("jwks.json");
    put(&file, published.to_string().as_bytes());
    let app = TestApp::spawn_with(|config| take_tokens(config, &file.display().to_string())).await;
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("o".to_owned());
    let given = claims(&["admin"], &json!({}));
    let token = encode(&header, &given, &EncodingKey::from_secret(&secret)).expect("signed");
    app.get_as(&token, "/admin/me").await.problem(401, "bad_credentials");
    app.get_as(&signer.token(&given), "/admin/me").await.ok();
}

#[tokio::test]
async fn a_secret_verifies_hs256_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    let secret = b"a secret of more than thirty-two bytes";
    put(&file, secret);
    let take = |config: &mut Config| {
        take_tokens(config, "");
        config.auth.jwt.secret_file = file.display().to_string();
    };
    let app = TestApp::spawn_with(take).await;
    let (signer, given) = (Signer::es256("k"), claims(&["read"], &json!({})));
    app.get_as(&signer.token_by_secret(secret, &given), "/admin/me").await.ok();
    let other = signer.token_by_secret(b"another secret of thirty-two bytes", &given);
    app.get_as(&other, "/admin/me").await.problem(401, "bad_credentials");
    app.get_as(&signer.token(&given), "/admin/me").await.problem(401, "bad_credentials");

    put(&file, b"short");
    let mut config = Config::ephemeral();
    take(&mut config);
    let error = retell::app::App::builder(config).build().await.err().expect("not started");
    assert!(error.to_string().contains("auth.jwt.secret_file: it has less than 32"), "{error}");
    assert!(!error.to_string().contains("short"), "{error}");
}

#[tokio::test]
async fn the_issuer_is_asked_for_a_key_that_is_not_known_but_not_again_and_again() {
    let (old, new, stranger) = (Signer::es256("old"), Signer::es256("new"), Signer::es256("x"));
    let publisher = Publisher::default();
    publisher.publish(&[&old]);
    let url = publisher.serve().await;
    let app = TestApp::spawn_with(|config| {
        take_tokens(config, &url);
        config.auth.jwt.jwks_retry_interval = std::time::Duration::ZERO;
    })
    .await;
    let given = claims(&["read"], &json!({}));
    for _ in 0..5 {
        app.get_as(&old.token(&given), "/admin/me").await.ok();
    }
    assert_eq!(publisher.asked(), 1, "what is known is not asked for");

    publisher.publish(&[&new]);
    app.get_as(&new.token(&given), "/admin/me").await.ok();
    assert_eq!(publisher.asked(), 2);
    let gone = app.get_as(&old.token(&given), "/admin/me").await;
    assert!(gone.problem(401, "bad_credentials").contains("none of the issuer's"));

    let app = TestApp::spawn_with(|config| take_tokens(config, &url)).await;
    let before = publisher.asked();
    for _ in 0..5 {
        app.get_as(&stranger.token(&given), "/admin/me").await.problem(401, "bad_credentials");
    }
    assert_eq!(publisher.asked(), before, "it was asked a moment ago, at the start");
}

/// It would lead away from TLS, or to who can make the issuer say so.
#[tokio::test]
async fn an_issuer_that_sends_elsewhere_is_not_followed() {
    let signer = Signer::es256("k");
    let elsewhere = Publisher::default();
    elsewhere.publish(&[&signer]);
    let to = elsewhere.serve().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/jwks", listener.local_addr().expect("an address"));
    let routes = Router::new().route("/jwks", get(async move || Redirect::temporary(&to)));
    tokio::spawn(axum::serve(listener, routes).into_future());
    let app = TestApp::spawn_with(|config| take_tokens(config, &url)).await;
    let token = signer.token(&claims(&["read"], &json!({})));
    app.get_as(&token, "/admin/me").await.problem(401, "bad_credentials");
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test]
async fn an_issuer_that_answers_without_end_is_not_read() {
    let (signer, publisher) = (Signer::es256("k"), Publisher::default());
    let mut keys: Value = serde_json::from_str(&jwks(&[&signer])).expect("JSON");
    keys["padding"] = " ".repeat(1024 * 1024).into();
    publisher.publish_text(keys.to_string());
    let url = publisher.serve().await;
    let app = TestApp::spawn_with(|config| take_tokens(config, &url)).await;
    let token = signer.token(&claims(&["read"], &json!({})));
    app.get_as(&token, "/admin/me").await.problem(401, "bad_credentials");
    assert_eq!(publisher.asked(), 1, "it was the answer that was too long");
}

#[tokio::test]
async fn an_issuer_that_is_away_at_the_start_is_asked_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/jwks", listener.local_addr().expect("an address"));
    drop(listener);
    let folder = tempfile::tempdir().expect("a folder");
    let (file, secret) = (folder.path().join("secret"), b"a secret of more than thirty-two bytes");
    put(&file, secret);
    let (signer, given) = (Signer::es256("k"), claims(&["read"], &json!({})));
    let token = signer.token(&given);
    let app = TestApp::spawn_with(|config| {
        take_tokens(config, &url);
        config.auth.jwt.secret_file = file.display().to_string();
        config.auth.jwt.jwks_retry_interval = std::time::Duration::ZERO;
    })
    .await;
    app.get_as(&token, "/admin/me").await.problem(401, "bad_credentials");
    // Its own tokens need no issuer, under a new secret either.
    app.get_as(&signer.token_by_secret(secret, &given), "/admin/me").await.ok();
    let new = b"a new secret of more than thirty-two bytes";
    put(&file, new);
    app.until_status(&signer.token_by_secret(new, &given), "/admin/me", 200).await;
    let publisher = Publisher::default();
    publisher.publish(&[&signer]);
    publisher.serve_at(url.trim_start_matches("http://").trim_end_matches("/jwks")).await;
    app.until_status(&token, "/admin/me", 200).await;
}

#[tokio::test]
async fn keys_in_a_file_are_exchanged_without_a_restart() {
    let (old, new) = (Signer::es256("k"), Signer::es256("k"));
    let (app, folder) = service(&[&old]).await;
    let given = claims(&["read"], &json!({}));
    let remembered = old.token(&given);
    app.get_as(&remembered, "/admin/me").await.ok();
    put(&folder.path().join("jwks.json"), jwks(&[&new]).as_bytes());
    app.until_status(&new.token(&given), "/admin/me", 200).await;
    // It was signed by a key that is gone.
    app.get_as(&remembered, "/admin/me").await.problem(401, "bad_credentials");
}

#[test]
fn settings_that_would_take_any_token_are_refused() {
    let load = |flags: &[(&str, &str)]| {
        let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Config::load(None, std::iter::empty(), &flags.collect::<Vec<_>>())
    };
    let jwks = ("auth.jwt.jwks", "https://issuer.example/jwks");
    let (issuer, audience) = (("auth.jwt.issuer", ISSUER), ("auth.jwt.audience", "retell"));
    load(&[jwks, issuer, audience]).expect("right");
    for (flags, said) in [
        (vec![jwks, issuer], "auth.jwt.audience"),
        (vec![jwks, audience], "auth.jwt.issuer"),
        (vec![("auth.jwt.jwks", "http://issuer.example/jwks"), issuer, audience], "https://"),
    ] {
        let error = load(&flags).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    }
}
