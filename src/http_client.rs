//! Clients of HTTP: of a running service, of an issuer of keys, of a collector of traces. This is
//! the one place that makes them.
//!
//! A URL of `http://` needs no certificates, so that it works where a machine has none.

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoClient {
    /// It may hold a password, so that it is not said.
    #[error("it is no URL: {0}")]
    Url(String),
    /// For https there is nothing to believe.
    #[error(
        "no certificate of a server can be believed ({0}): install the certificates of the \
         authorities (apt-get install ca-certificates)"
    )]
    Certificates(String),
}

/// A client for this URL, with what `adapt` adds.
pub(crate) fn http_client(
    url: &str,
    adapt: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<Client, NoClient> {
    let url = Url::parse(url).map_err(|error| NoClient::Url(error.to_string()))?;
    let begun = || {
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("retell/", env!("CARGO_PKG_VERSION")));
        adapt(if is_local(&url) { builder.no_proxy() } else { builder })
    };
    let built = begun().build().or_else(|error| {
        // A proxy, or where a redirect leads, may still be of https; then that fails.
        if url.scheme() == "http" { begun().tls_certs_only([]).build() } else { Err(error) }
    });
    built.map_err(|error| NoClient::Certificates(innermost(&error)))
}

/// The end of the chain is what happened; the rest only says that something did.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A proxy that the environment names is not asked for this machine itself.
fn is_local(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_matches(['[', ']']);
            host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_without_a_proxy() {
        for (url, local) in [
            ("http://localhost:1", true),
            ("http://127.0.0.9", true),
            ("http://[::1]:8080", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example", false),
        ] {
            assert_eq!(is_local(&Url::parse(url).expect(url)), local, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_not_said_because_it_may_hold_a_password() {
        let error = http_client("//ann:s3cret@host/", |builder| builder).expect_err("no URL");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
