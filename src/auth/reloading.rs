//! What is read again while the service runs: the file of keys, the issuer's keys, the secret.
//!
//! A file that cannot be read or is wrong changes nothing: who was known stays known, and the log
//! says it once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::config::{AuthConfig, WatchedFile};
use crate::shutdown::Shutdown;

use super::AuthError;
use super::authority::Known;
use super::tokens::Jwks;

/// Reads everything anew, if it has changed.
pub(super) struct Reloading {
    keys: Option<WatchedFile>,
    jwks: Option<Jwks>,
    secret: Option<PathBuf>,
    /// The JWKS and the secret as they were read last.
    last: (Option<Vec<u8>>, Option<Vec<u8>>),
    /// When the issuer was asked last, and why it did not answer.
    asked: Option<(Instant, Option<AuthError>)>,
    config: AuthConfig,
}

impl Reloading {
    pub(super) fn new(config: &AuthConfig) -> Result<Self, AuthError> {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        Ok(Self {
            keys: path(&config.keys_file).map(WatchedFile::new),
            jwks: Jwks::of(&config.jwt.jwks)?,
            secret: path(&config.jwt.secret_file),
            last: (None, None),
            asked: None,
            config: config.clone(),
        })
    }

    /// The first time: a file that is wrong is an error, an issuer that is away is not.
    pub(super) async fn begin(&mut self, known: &Known) -> Result<(), AuthError> {
        self.read_keys(known).await?;
        if let Err(error) = self.read_signing_keys(known, true).await {
            if !self.jwks.as_ref().is_some_and(Jwks::is_remote) || error.setting != "auth.jwt.jwks"
            {
                return Err(error);
            }
            tracing::warn!(%error, "none of the issuer's tokens is taken until it answers");
        }
        Ok(())
    }

    /// Looks again and again, and when somebody wants to know a key; until told to stop.
    pub(super) async fn run(
        mut self,
        known: Arc<Known>,
        mut wanted: mpsc::Receiver<oneshot::Sender<()>>,
        stop: Shutdown,
    ) {
        let mut told = String::new();
        loop {
            tokio::select! {
                () = stop.requested() => return,
                Some(asker) = wanted.recv() => {
                    self.ask_issuer(&known).await;
                    // Who asked may have gone.
                    let _: Result<(), ()> = asker.send(());
                }
                () = sleep(self.config.reload_interval) => self.look(&known, &mut told).await,
            }
        }
    }

    async fn look(&mut self, known: &Known, told: &mut String) {
        let keys = self.read_keys(known).await;
        let tokens = self.read_signing_keys(known, self.is_time()).await;
        let errors = [keys.err(), tokens.err()].into_iter().flatten();
        let now = errors.map(|error| error.to_string()).collect::<Vec<_>>().join("; ");
        if now != *told && !now.is_empty() {
            tracing::error!(error = now, "callers stay as they were");
        }
        *told = now;
    }

    /// Asks the issuer for a key that is not known, unless it was asked a moment ago.
    async fn ask_issuer(&mut self, known: &Known) {
        let pause = self.config.jwt.jwks_retry_interval;
        if self.asked.as_ref().is_some_and(|(asked, _)| asked.elapsed() < pause) {
            return;
        }
        if let Err(error) = self.read_signing_keys(known, true).await {
            tracing::warn!(%error, "the issuer was asked for a new key");
        }
    }

    /// Files each time; the issuer from time to time, or until it answers.
    fn is_time(&self) -> bool {
        let jwt = &self.config.jwt;
        match (&self.jwks, &self.asked) {
            (Some(jwks), Some((asked, failure))) if jwks.is_remote() => {
                let rest = match failure {
                    None => jwt.jwks_refresh_interval,
                    Some(_) => jwt.jwks_retry_interval,
                };
                asked.elapsed() >= rest
            }
            _ => true,
        }
    }

    async fn read_keys(&mut self, known: &Known) -> Result<(), AuthError> {
        let Some(file) = &mut self.keys else { return Ok(()) };
        let wrong = |detail: String| AuthError { setting: "auth.keys_file", detail };
        let path = file.path().display().to_string();
        let read = file.changed().await;
        let Some(text) = read.map_err(|error| wrong(format!("cannot read {path}: {error}")))?
        else {
            return Ok(());
        };
        let text = String::from_utf8(text).map_err(|_| wrong(format!("{path} is no text")))?;
        known.set_keys(&text).map_err(|detail| wrong(format!("{path}: {detail}")))
    }

    /// The secret does not wait for the issuer, whose last keys hold while it is away.
    async fn read_signing_keys(&mut self, known: &Known, asks: bool) -> Result<(), AuthError> {
        let Some(tokens) = &known.tokens else { return Ok(()) };
        let secret = match &self.secret {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        let mut keys = self.last.0.clone();
        if let Some(jwks) = self.jwks.as_ref().filter(|_| asks) {
            let failure = match jwks.read().await {
                Ok(read) => {
                    keys = Some(read);
                    None
                }
                Err(error) => Some(error),
            };
            self.asked = Some((Instant::now(), failure));
        }
        let now = (keys, secret);
        if now != self.last {
            tokens.set_keys(now.0.as_deref(), now.1.as_deref())?;
            self.last = now;
        }
        match &self.asked {
            Some((_, Some(failure))) => Err(failure.clone()),
            _ => Ok(()),
        }
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, AuthError> {
    tokio::fs::read(path).await.map_err(|error| AuthError {
        setting: "auth.jwt.secret_file",
        detail: format!("cannot read {}: {error}", path.display()),
    })
}
