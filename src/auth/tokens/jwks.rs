//! Where an issuer's public keys (JWKS, RFC 7517) are read: a file, or the issuer itself.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

use crate::http_client::http_client;

use super::super::AuthError;

/// How long the issuer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// More keys than any issuer has.
const LEN_MAX: usize = 1024 * 1024;

/// The place of a JWKS. Its address may hold a password, so that no error says it.
#[derive(Debug)]
pub(in super::super) enum Jwks {
    File(PathBuf),
    Url(reqwest::Client, String),
}

impl Jwks {
    pub(in super::super) fn of(place: &str) -> Result<Option<Self>, AuthError> {
        if place.is_empty() {
            return Ok(None);
        }
        if !place.starts_with("https://") && !place.starts_with("http://") {
            return Ok(Some(Self::File(place.into())));
        }
        // A redirect could lead away from TLS; an issuer's address is known to who sets it.
        let adapt = |builder: ClientBuilder| builder.timeout(TIMEOUT).redirect(Policy::none());
        let client = http_client(place, adapt).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(Self::Url(client, place.to_owned())))
    }

    pub(in super::super) const fn is_remote(&self) -> bool {
        matches!(self, Self::Url(..))
    }

    /// What stands there now.
    pub(in super::super) async fn read(&self) -> Result<Vec<u8>, AuthError> {
        match self {
            Self::File(path) => tokio::fs::read(path)
                .await
                .map_err(|error| wrong(format!("cannot read {}: {error}", path.display()))),
            Self::Url(client, url) => ask(client, url)
                .await
                .map_err(|error| wrong(format!("it does not answer: {}", error.without_url())))?
                .ok_or_else(|| wrong(format!("it answers more than {LEN_MAX} bytes"))),
        }
    }
}

async fn ask(client: &reqwest::Client, url: &str) -> reqwest::Result<Option<Vec<u8>>> {
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut all = Vec::new();
    while let Some(piece) = response.chunk().await? {
        all.extend_from_slice(&piece);
        if all.len() > LEN_MAX {
            return Ok(None);
        }
    }
    Ok(Some(all))
}

fn wrong(detail: String) -> AuthError {
    AuthError { setting: "auth.jwt.jwks", detail }
}
