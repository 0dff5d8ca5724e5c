//! The keys that tokens may be signed with, each with the one algorithm that it is for.

use std::collections::HashMap;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};

use crate::config::JwtConfig;

use super::super::AuthError;

/// The shortest secret, in bytes: as long as the hash that it is for (RFC 7518, 3.2).
const SECRET_LEN_MIN: usize = 32;

#[derive(Default)]
pub(super) struct SigningKeys {
    /// The issuer's public keys by their names.
    named: HashMap<String, SigningKey>,
    unnamed: Vec<SigningKey>,
    secret: Option<SigningKey>,
}

pub(super) struct SigningKey {
    pub(super) key: DecodingKey,
    pub(super) validation: Validation,
    algorithm: Algorithm,
}

pub(super) enum Picked<'a> {
    Key(&'a SigningKey),
    /// No key has this name; the issuer may have a new one.
    Unknown,
    Refused(&'static str),
}

impl SigningKeys {
    pub(super) fn read(
        jwks: Option<&[u8]>,
        secret: Option<&[u8]>,
        config: &JwtConfig,
    ) -> Result<Self, AuthError> {
        let mut keys = Self::default();
        for jwk in jwks.map_or_else(|| Ok(Vec::new()), keys_of)? {
            // A key of another kind is for somebody else.
            let Some(key) = SigningKey::public(&jwk, config) else { continue };
            match jwk.common.key_id {
                Some(name) => drop(keys.named.insert(name, key)),
                None => keys.unnamed.push(key),
            }
        }
        if let Some(secret) = secret.map(<[u8]>::trim_ascii_end) {
            if secret.len() < SECRET_LEN_MIN {
                let detail = format!("it has less than {SECRET_LEN_MIN} bytes");
                return Err(AuthError { setting: "auth.jwt.secret_file", detail });
            }
            let key = DecodingKey::from_secret(secret);
            keys.secret = Some(SigningKey::new(key, Algorithm::HS256, config));
        }
        Ok(keys)
    }

    /// The key that a token says it is signed with, if that key is for the token's algorithm.
    pub(super) fn pick(&self, header: &Header) -> Picked<'_> {
        let algorithm = header.alg;
        if algorithm == Algorithm::HS256 {
            let no_secret = Picked::Refused("its algorithm is not that of its key");
            return self.secret.as_ref().map_or(no_secret, Picked::Key);
        }
        if !matches!(algorithm, Algorithm::RS256 | Algorithm::ES256) {
            return Picked::Refused("its algorithm is not RS256, ES256 or HS256");
        }
        if let Some(name) = &header.kid {
            return match self.named.get(name) {
                Some(key) if key.algorithm == algorithm => Picked::Key(key),
                Some(_) => Picked::Refused("its algorithm is not that of its key"),
                None => Picked::Unknown,
            };
        }
        let all = self.named.values().chain(&self.unnamed);
        let mut fitting = all.filter(|key| key.algorithm == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Picked::Key(key),
            (None, _) => Picked::Unknown,
            (Some(_), Some(_)) => Picked::Refused("it does not say which key it is signed with"),
        }
    }
}

impl SigningKey {
    /// RSA for RS256 and P-256 for ES256. A symmetric key is not public, whoever publishes it.
    fn public(jwk: &Jwk, config: &JwtConfig) -> Option<Self> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            _ => return None,
        };
        let named = jwk.common.key_algorithm.map(|named| named.to_string());
        let is_other = named.is_some_and(|named| named != format!("{algorithm:?}"));
        let is_to_sign = !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
        if is_other || !is_to_sign {
            return None;
        }
        DecodingKey::from_jwk(jwk).ok().map(|key| Self::new(key, algorithm, config))
    }

    fn new(key: DecodingKey, algorithm: Algorithm, config: &JwtConfig) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // By our own clock.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        Self { key, validation, algorithm }
    }
}

/// Keys of a kind that is not known are left out, one by one.
fn keys_of(json: &[u8]) -> Result<Vec<Jwk>, AuthError> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(json).map_err(|error| AuthError {
        setting: "auth.jwt.jwks",
        detail: format!("it is no JWKS: {error}"),
    })?;
    let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
    Ok(JwkSet { keys: keys.collect() }.keys)
}
