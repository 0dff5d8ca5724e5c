//! The sections about who asks, and how: `[auth]`, `[auth.jwt]`, `[http.rate]` and `[http.tls]`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use super::Config;
use super::check::{Finding, wrong};
use super::sections::millis;

/// `[auth]`
///
/// ```
/// use retell::config::Config;
///
/// let auth = Config::defaults().auth;
/// assert!(!auth.is_asked() && auth.may_listen("127.0.0.1:8080".parse()?));
/// assert!(!auth.may_listen("0.0.0.0:8080".parse()?), "others could come, and nobody is asked");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuthConfig {
    /// The file of API keys; empty: none.
    pub keys_file: String,
    /// Whether other machines may come without being asked who they are.
    pub allow_open: bool,
    /// Whether `/metrics` is for everybody.
    pub metrics_open: bool,
    /// How often files are looked at.
    #[serde(rename = "reload_interval_ms", deserialize_with = "millis")]
    pub reload_interval: Duration,
    /// Tokens.
    pub jwt: JwtConfig,
}

/// `[auth.jwt]`
///
/// ```
/// use retell::config::Config;
///
/// let flag = |key: &str, value: &str| (format!("auth.jwt.{key}"), value.to_owned());
/// let [jwks, issuer] = [flag("jwks", "jwks.json"), flag("issuer", "https://login.example.com")];
/// let flags = [jwks, issuer, flag("audience", "retell")];
/// let config = Config::load(None, std::env::vars(), &flags)?;
/// assert!(config.auth.jwt.is_used() && !Config::defaults().auth.jwt.is_used());
/// # Ok::<(), retell::config::Problems>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JwtConfig {
    /// Who issues them.
    pub issuer: String,
    /// For whom they must be.
    pub audience: String,
    /// Where the issuer's public keys are: a URL or a path.
    pub jwks: String,
    /// The file of the secret of HS256.
    pub secret_file: String,
    /// How far the issuer's clock may be from ours.
    #[serde(rename = "clock_skew_ms", deserialize_with = "millis")]
    pub clock_skew: Duration,
    /// The claim that names the caller.
    pub name_claim: String,
    /// The claim that names the roles.
    pub roles_claim: String,
    /// How often the issuer is asked for its keys.
    #[serde(rename = "jwks_refresh_interval_ms", deserialize_with = "millis")]
    pub jwks_refresh_interval: Duration,
    /// How often it is asked for a key that is not known, at most.
    #[serde(rename = "jwks_retry_interval_ms", deserialize_with = "millis")]
    pub jwks_retry_interval: Duration,
    /// Tokens that are remembered.
    pub cached_tokens_max: usize,
}

/// `[http.rate]`
///
/// ```
/// use retell::config::Config;
///
/// let flags = [("http.rate.requests_per_second_max".to_owned(), "50".to_owned())];
/// let rate = Config::load(None, std::env::vars(), &flags)?.http.rate;
/// assert_eq!((rate.requests_per_second_max, rate.burst_requests_max), (50, 100));
/// # Ok::<(), retell::config::Problems>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RateConfig {
    /// Requests of one caller in a second; 0: no limit.
    pub requests_per_second_max: u32,
    /// Requests that it may make at once.
    pub burst_requests_max: u32,
}

/// `[http.tls]`
///
/// ```
/// use retell::config::Config;
///
/// assert!(!Config::defaults().http.tls.is_used());
/// let flags = [("http.tls.certificate_file".to_owned(), "cert.pem".to_owned())];
/// let problems = Config::load(None, std::env::vars(), &flags).expect_err("it has no key");
/// assert!(problems.to_string().contains("certificate_file and key_file are set together"));
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The chain of certificates; empty: no TLS.
    pub certificate_file: String,
    /// The key of the first of them.
    pub key_file: String,
    /// How often both are looked at.
    #[serde(rename = "reload_interval_ms", deserialize_with = "millis")]
    pub reload_interval: Duration,
}

impl TlsConfig {
    /// Whether there is a certificate.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.certificate_file.is_empty()
    }
}

impl AuthConfig {
    /// Whether callers are asked who they are.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        !self.keys_file.is_empty() || self.jwt.is_used()
    }

    /// Whether a service with these settings may listen here.
    #[must_use]
    pub fn may_listen(&self, address: SocketAddr) -> bool {
        self.is_asked() || self.allow_open || address.ip().is_loopback()
    }
}

impl JwtConfig {
    /// Whether tokens are taken.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.jwks.is_empty() || !self.secret_file.is_empty()
    }
}

/// What is wrong with them.
pub(super) fn check(config: &Config) -> Option<Finding> {
    let (auth, jwt, listen) = (&config.auth, &config.auth.jwt, config.http.listen);
    wrong(auth.may_listen(listen), &["http.listen", "auth.keys_file"], || {
        format!(
            "on {listen} other machines reach the service, and nobody is asked who they are: set \
             auth.keys_file or [auth.jwt], or auth.allow_open = true if that is meant"
        )
    })
    .or_else(|| {
        let is_named = !jwt.is_used() || !jwt.issuer.is_empty();
        wrong(is_named, &["auth.jwt.issuer"], || "tokens need an issuer".to_owned())
    })
    .or_else(|| {
        let is_named = !jwt.is_used() || !jwt.audience.is_empty();
        wrong(is_named, &["auth.jwt.audience"], || {
            "tokens need an audience, or those for other services would do".to_owned()
        })
    })
    .or_else(|| {
        let tls = &config.http.tls;
        let is_pair = tls.certificate_file.is_empty() == tls.key_file.is_empty();
        wrong(is_pair, &["http.tls.certificate_file", "http.tls.key_file"], || {
            "certificate_file and key_file are set together".to_owned()
        })
    })
    .or_else(|| {
        wrong(is_private(&jwt.jwks), &["auth.jwt.jwks"], || {
            "over http:// anybody on the way could put in their own keys; use https://, or a file"
                .to_owned()
        })
    })
}

/// Whether nobody on the way can change what is read there.
fn is_private(jwks: &str) -> bool {
    let Some(rest) = jwks.strip_prefix("http://") else { return true };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
