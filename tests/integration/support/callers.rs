//! Callers of a service: a file of keys that a test edits, and an issuer of tokens.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::routing::get;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use retell::adapters::SystemClock;
use retell::auth::NewKey;
use retell::config::Config;
use retell::ports::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::app::{Answer, TestApp};
use super::writers::PATIENCE;

/// How often a service of a test looks at its files.
const LOOK_EACH: std::time::Duration = std::time::Duration::from_millis(5);

/// The file of keys, and what else is for one test.
pub(crate) struct KeyFile(TempDir);

/// Somebody with a key.
pub(crate) struct Caller {
    pub(crate) key: String,
    pub(crate) line: String,
}

impl Caller {
    pub(crate) fn new(name: &str, roles: &str) -> Self {
        let grants = roles.parse().expect("roles");
        let NewKey { key, line } =
            NewKey::random(name, &grants).expect("random numbers").expect("a name");
        Self { key, line }
    }
}

impl KeyFile {
    pub(crate) fn of(callers: &[&Caller]) -> Self {
        let file = Self(tempfile::tempdir().expect("a folder"));
        file.write(callers);
        file
    }

    pub(crate) fn write(&self, callers: &[&Caller]) {
        let lines: Vec<_> = callers.iter().map(|caller| caller.line.as_str()).collect();
        put(&self.path(), lines.join("\n").as_bytes());
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("keys")
    }

    /// Settings that know these callers.
    pub(crate) fn set(&self, config: &mut Config) {
        config.auth.keys_file = self.path().display().to_string();
        config.auth.reload_interval = LOOK_EACH;
    }
}

/// Replaces a file as an editor or Kubernetes does: nobody reads half of it.
pub(crate) fn put(path: &Path, content: &[u8]) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, content).expect("written");
    std::fs::rename(&beside, path).expect("in its place");
}

impl TestApp {
    /// A GET of somebody with a key or a token.
    pub(crate) async fn get_as(&self, bearer: &str, path: &str) -> Answer {
        self.ask(self.request(Method::GET, path).bearer_auth(bearer)).await
    }

    /// Asks again and again until the status is this one.
    pub(crate) async fn until_status(&self, bearer: &str, path: &str, status: u16) -> Answer {
        let asking = async {
            loop {
                let answer = self.get_as(bearer, path).await;
                if answer.status == status {
                    return answer;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("the answer comes in time")
    }

    /// A command of somebody.
    pub(crate) async fn command_as(&self, bearer: &str, path: &str, command: &Value) -> Answer {
        self.ask(self.post(path, command).bearer_auth(bearer)).await
    }
}

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "retell";

/// One of an issuer's keys.
pub(crate) struct Signer {
    pub(crate) jwk: Value,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
    name: String,
}

impl Signer {
    pub(crate) fn rs256(name: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key");
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).expect("RSA");
        Self::of(name, key, Algorithm::RS256)
    }

    pub(crate) fn es256(name: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("P-256");
        Self::of(name, key, Algorithm::ES256)
    }

    fn of(name: &str, key: EncodingKey, algorithm: Algorithm) -> Self {
        let mut jwk = Jwk::from_encoding_key(&key, algorithm).expect("a public key");
        jwk.common.key_id = Some(name.to_owned());
        let jwk = serde_json::to_value(jwk).expect("JSON");
        Self { jwk, algorithm, key, name: name.to_owned() }
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.name.clone());
        encode(&header, claims, &self.key).expect("signed")
    }

    /// A token that a secret signs, under this key's name.
    pub(crate) fn token_by_secret(&self, secret: &[u8], claims: &Value) -> String {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.name.clone());
        encode(&header, claims, &EncodingKey::from_secret(secret)).expect("signed")
    }
}

pub(crate) fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<_> = signers.iter().map(|signer| &signer.jwk).collect();
    json!({ "keys": keys }).to_string()
}

/// The claims of ann, good for ten minutes, with some of them otherwise.
pub(crate) fn claims(roles: &[&str], otherwise: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "roles": roles, "exp": now() + 600,
    });
    let changes = otherwise.as_object().into_iter().flatten();
    for (name, value) in changes {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    claims
}

/// In seconds, as tokens have it.
pub(crate) fn now() -> i64 {
    SystemClock.now().millis() / 1_000
}

/// Settings that take tokens of the issuer whose keys are here.
pub(crate) fn take_tokens(config: &mut Config, jwks: &str) {
    config.auth.reload_interval = LOOK_EACH;
    let jwt = &mut config.auth.jwt;
    (jwt.issuer, jwt.audience) = (ISSUER.to_owned(), AUDIENCE.to_owned());
    jwt.jwks = jwks.to_owned();
    jwt.clock_skew = std::time::Duration::ZERO;
}

/// An issuer that publishes its keys by HTTP, and counts how often it is asked.
#[derive(Clone, Default)]
pub(crate) struct Publisher(Arc<Mutex<(String, usize)>>);

impl Publisher {
    pub(crate) fn publish(&self, signers: &[&Signer]) {
        self.publish_text(jwks(signers));
    }

    pub(crate) fn publish_text(&self, text: String) {
        self.0.lock().expect("lock").0 = text;
    }

    pub(crate) fn asked(&self) -> usize {
        self.0.lock().expect("lock").1
    }

    /// Serves until the test ends; returns the address of the keys.
    pub(crate) async fn serve(&self) -> String {
        self.serve_at("127.0.0.1:0").await
    }

    pub(crate) async fn serve_at(&self, listen: &str) -> String {
        let this = self.clone();
        let answer = get(move || async move {
            let mut published = this.0.lock().expect("lock");
            published.1 += 1;
            published.0.clone()
        });
        let router = axum::Router::new().route("/jwks", answer);
        let listener = tokio::net::TcpListener::bind(listen).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = retell::shutdown::Shutdown::default();
        let config = Config::defaults().http;
        tokio::spawn(async move { retell::http::serve(listener, router, stop, &config).await });
        format!("http://{address}/jwks")
    }
}
