//! Tokens (JWT, RFC 7519) of one issuer for one audience.
//!
//! The key decides the algorithm, never the token: a public key never verifies HS256, and `none`
//! is no algorithm. Times are compared with the clock port.

mod cache;
mod jwks;
mod signing;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use serde_json::{Map, Value};

use crate::config::JwtConfig;
use crate::contract::Time;
use crate::ports::Clock;

use super::key::digest;
use super::principal::{Principal, is_name};
use super::rate::Rates;
use super::role::Grants;
use super::{AuthError, Refused};
use cache::Cache;
use signing::{Picked, SigningKeys};

pub(super) use jwks::Jwks;

/// The longest token that is looked at, in bytes.
const LEN_MAX: usize = 16 * 1024;

/// Knows the callers of tokens.
pub(super) struct Tokens {
    keys: RwLock<Arc<SigningKeys>>,
    cache: Cache,
    config: JwtConfig,
    clock: Arc<dyn Clock>,
}

/// What a token is.
pub(super) enum Token {
    Of(Principal),
    Refused(Refused),
    /// Its key may be a new one of the issuer's.
    OfUnknownKey,
}

impl Tokens {
    pub(super) fn new(config: JwtConfig, clock: Arc<dyn Clock>) -> Self {
        let cache = Cache::new(config.cached_tokens_max);
        Self { keys: RwLock::default(), cache, config, clock }
    }

    /// Uses these keys from now on: the issuer's (JWKS), and the shared secret.
    ///
    /// # Errors
    /// They are none.
    pub(super) fn set_keys(
        &self,
        jwks: Option<&[u8]>,
        secret: Option<&[u8]>,
    ) -> Result<(), AuthError> {
        let keys = Arc::new(SigningKeys::read(jwks, secret, &self.config)?);
        *self.keys.write().expect("no panic while it is held") = keys;
        // What a key that is gone has signed is not valid any more.
        self.cache.clear();
        Ok(())
    }

    pub(super) fn identify(&self, token: &str, rates: &Rates) -> Token {
        let (now, digest) = (self.clock.now(), digest(token));
        match self.cache.get(&digest) {
            Some(known) if known.has_ended(now) => return Token::Refused(Refused::Expired),
            Some(known) => return Token::Of(known),
            None => {}
        }
        match self.verify(token, now, rates) {
            Ok(Some(principal)) => {
                self.cache.put(digest, &principal, now);
                Token::Of(principal)
            }
            Ok(None) => Token::OfUnknownKey,
            Err(refused) => Token::Refused(refused),
        }
    }

    fn verify(&self, token: &str, now: Time, rates: &Rates) -> Result<Option<Principal>, Refused> {
        if token.len() > LEN_MAX {
            return Err(Refused::BadToken("it is too long"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| why(error.kind()))?;
        let keys = self.keys.read().expect("no panic while it is held").clone();
        let key = match keys.pick(&header) {
            Picked::Key(key) => key,
            Picked::Unknown => return Ok(None),
            Picked::Refused(why) => return Err(Refused::BadToken(why)),
        };
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key.key, &key.validation);
        let claims = claims.map_err(|error| why(error.kind()))?.claims;
        self.caller(&claims, now, rates).map(Some)
    }

    fn caller(
        &self,
        claims: &Map<String, Value>,
        now: Time,
        rates: &Rates,
    ) -> Result<Principal, Refused> {
        let skew = self.config.clock_skew;
        let until = seconds(claims, "exp").ok_or(Refused::BadToken("exp is no time"))?.after(skew);
        if until <= now {
            return Err(Refused::Expired);
        }
        if claims.contains_key("nbf") {
            let from = seconds(claims, "nbf").ok_or(Refused::BadToken("nbf is no time"))?;
            if from > now.after(skew) {
                return Err(Refused::BadToken("it is not valid yet"));
            }
        }
        let name = claims.get(&self.config.name_claim).and_then(Value::as_str);
        let name = name.filter(|name| is_name(name));
        let name = name.ok_or(Refused::BadToken("the claim that names its caller is missing"))?;
        let grants = Grants::known(roles(claims, &self.config.roles_claim));
        Ok(Principal::of(Some(name), grants, Some(until), rates.of(name)))
    }
}

/// A list of texts, or one text with spaces between. A name with dots may lead into objects.
fn roles<'a>(claims: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a str> {
    let nested = || {
        let mut path = name.split('.');
        let first = claims.get(path.next()?)?;
        path.try_fold(first, |value, name| value.get(name))
    };
    let value = claims.get(name).or_else(nested);
    let text = value.and_then(Value::as_str).unwrap_or_default();
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    text.split_whitespace().chain(list.iter().filter_map(Value::as_str))
}

fn seconds(claims: &Map<String, Value>, name: &str) -> Option<Time> {
    let seconds = claims.get(name)?.as_f64()?;
    let seconds = Duration::try_from_secs_f64(seconds).ok()?;
    Some(Time::from_millis(0).after(seconds))
}

/// What a caller is told; the library's own words might quote the token.
fn why(kind: &ErrorKind) -> Refused {
    Refused::BadToken(match kind {
        ErrorKind::InvalidSignature => "its signature is not the issuer's",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "it lacks exp, iss or aud",
        ErrorKind::InvalidAlgorithm => "its algorithm is not that of its key",
        _ => "it is no JWT that this service takes",
    })
}
