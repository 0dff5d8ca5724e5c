//! A running service, as the commands that are its clients see it.
//!
//! Every error says what to do next; none holds the token.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http_client::{NoClient, http_client, innermost};

use super::{Usage, settings};

/// How long an answer may take: longer than a service takes to say that it does not know.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Which running service.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Service {
    /// The running service, such as http://127.0.0.1:8080 [default: the address in http.listen]
    #[arg(long, env = "RETELL_URL")]
    url: Option<String>,
    /// The settings that name the service's address, when --url does not
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Speaks to a running service. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
    pub(super) body: Bytes,
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Nothing was sent.
    #[error(
        "no service answers at {url}; start one with `retell serve`, or name another with \
         --url or RETELL_URL ({cause})"
    )]
    Unreachable { url: Url, cause: String },
    /// It may have been received.
    #[error("the answer of {url} did not come: {cause}")]
    Lost { url: Url, cause: String },
    /// The service says no.
    #[error("{0}")]
    Problem(Document),
    /// The answer is none of Retell's.
    #[error("{url} answers {status}, but not as Retell does; is --url right?")]
    Stranger { url: Url, status: StatusCode },
}

/// A problem document (RFC 9457), as far as it is shown.
#[derive(Clone, Debug, Deserialize, thiserror::Error)]
#[error("{status} {code}: {detail}{}", hint(*.status))]
pub(super) struct Document {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) detail: String,
}

impl Service {
    /// A client of it.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let base = match &self.url {
            Some(url) => parse(url)?,
            None => self.configured()?,
        };
        let (headers, authority) = (authorization()?, authority()?);
        let http = http_client(base.as_str(), |builder| {
            builder
                .timeout(ANSWER_TIMEOUT)
                .default_headers(headers.clone())
                .tls_certs_merge(authority.clone())
        });
        let http = http.map_err(|error| match error {
            NoClient::Url(_) => anyhow!("{error}"),
            NoClient::Certificates(_) => anyhow!("{error}, or name yours in RETELL_CA_FILE"),
        });
        Ok(Client { http: http?, base })
    }

    fn configured(&self) -> anyhow::Result<Url> {
        let http = settings::load(self.config.as_deref())?.http;
        let mut listen = http.listen;
        if listen.port() == 0 {
            let help = "http.listen leaves the port open; name the service with --url";
            return Err(Usage(help.to_owned()).into());
        }
        if listen.ip().is_unspecified() {
            listen.set_ip(match listen {
                std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let scheme = if http.tls.is_used() { "https" } else { "http" };
        parse(&format!("{scheme}://{listen}{}", http.base_path))
    }
}

impl Client {
    /// The address of a route, given without its leading slash.
    pub(super) fn url(&self, route: &str) -> Url {
        self.base.join(route).expect("routes are written here, and ids are percent-encoded")
    }

    /// Asks, and takes any answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: Url,
        json: Option<Bytes>,
    ) -> Result<Answer, NoAnswer> {
        self.ask_with(method, url, json, HeaderMap::new()).await
    }

    /// The same with more headers.
    pub(super) async fn ask_with(
        &self,
        method: Method,
        url: Url,
        json: Option<Bytes>,
        headers: HeaderMap,
    ) -> Result<Answer, NoAnswer> {
        let mut request = self.http.request(method, url.clone()).headers(headers);
        if let Some(json) = json {
            request = request.header(CONTENT_TYPE, "application/json").body(json);
        }
        let answered = match request.send().await {
            Ok(response) => Answer::read(response).await,
            Err(error) => Err(error),
        };
        answered.map_err(|error| {
            let cause = innermost(&error);
            if error.is_connect() {
                NoAnswer::Unreachable { url: self.base.clone(), cause }
            } else {
                NoAnswer::Lost { url, cause }
            }
        })
    }

    /// Asks for what is there.
    pub(super) async fn get(&self, url: Url) -> Result<Answer, NoAnswer> {
        self.ask(Method::GET, url, None).await?.good()
    }
}

impl Answer {
    async fn read(response: Response) -> reqwest::Result<Self> {
        let (status, url) = (response.status(), response.url().clone());
        let headers = response.headers().clone();
        Ok(Self { status, headers, url, body: response.bytes().await? })
    }

    /// The answer, if it is no problem.
    pub(super) fn good(self) -> Result<Self, NoAnswer> {
        if self.status.is_success() { Ok(self) } else { Err(self.problem()) }
    }

    /// The problem that it is.
    pub(super) fn problem(&self) -> NoAnswer {
        match serde_json::from_slice(&self.body) {
            Ok(document) => NoAnswer::Problem(document),
            Err(_) => self.stranger(),
        }
    }

    /// Its content.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, NoAnswer> {
        serde_json::from_slice(&self.body).map_err(|_| self.stranger())
    }

    /// How long to wait before the same may succeed, if the service says so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let secs = self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(secs))
    }

    fn stranger(&self) -> NoAnswer {
        NoAnswer::Stranger { url: self.url.clone(), status: self.status }
    }
}

/// Routes are joined to it, so it ends with a slash.
fn parse(url: &str) -> anyhow::Result<Url> {
    let wrong = |why: String| {
        let help = "write one such as http://127.0.0.1:8080";
        Usage(format!("`{url}` is no address of a service ({why}); {help}"))
    };
    let mut parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    if !["http", "https"].contains(&parsed.scheme()) {
        return Err(wrong("it must begin with http:// or https://".to_owned()).into());
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(wrong("it has more than a path".to_owned()).into());
    }
    let path = format!("{}/", parsed.path().trim_end_matches('/'));
    parsed.set_path(&path);
    Ok(parsed)
}

/// The token is in the environment only: arguments are seen by every user of the machine.
fn authorization() -> anyhow::Result<HeaderMap> {
    let Some(token) = std::env::var_os("RETELL_TOKEN").filter(|token| !token.is_empty()) else {
        return Ok(HeaderMap::new());
    };
    let value = token.to_str().and_then(|token| format!("Bearer {token}").try_into().ok());
    let mut value: HeaderValue =
        value.ok_or_else(|| Usage("RETELL_TOKEN holds characters that no header can".into()))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

/// The authority of its own that a service's certificate is of, in the file that RETELL_CA_FILE
/// names.
fn authority() -> anyhow::Result<Option<reqwest::Certificate>> {
    let Some(file) = std::env::var_os("RETELL_CA_FILE").filter(|file| !file.is_empty()) else {
        return Ok(None);
    };
    let wrong = |why: String| Usage(format!("RETELL_CA_FILE: {}: {why}", file.display()));
    let pem = std::fs::read(&file).map_err(|error| wrong(error.to_string()))?;
    let read = reqwest::Certificate::from_pem(&pem);
    Ok(Some(read.map_err(|_| wrong("it is no certificate in PEM".to_owned()))?))
}

const fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; set RETELL_TOKEN to a token that may do this",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_below_the_address() {
        let url = |base: &str, route: &str| {
            let client = Client { http: reqwest::Client::new(), base: parse(base).expect(base) };
            client.url(route).to_string()
        };
        assert_eq!(url("http://a:1", "admin/status"), "http://a:1/admin/status");
        assert_eq!(url("http://a:1/b/", "admin/status"), "http://a:1/b/admin/status");
        assert_eq!(url("http://a:1/b", "c/%2E%2F"), "http://a:1/b/c/%2E%2F");
    }

    #[test]
    fn an_address_that_is_none_is_wrong_usage() {
        for url in ["127.0.0.1:8080", "http://a/?x", "ftp://a", ""] {
            let error = parse(url).expect_err(url);
            assert!(error.is::<Usage>(), "{url}: {error}");
        }
    }

    #[test]
    fn a_service_that_is_not_there_says_how_to_start_one() {
        let url = parse("http://127.0.0.1:1").expect("url");
        let error = NoAnswer::Unreachable { url, cause: "connection refused".to_owned() };
        assert!(error.to_string().contains("retell serve"), "{error}");
    }
}
