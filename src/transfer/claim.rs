//! The claim of a copy: one of the log's own, with a field that tells what it is a copy of.
//!
//! By that field another run knows that nobody but a copy ever ruled over the partition. Writers
//! ignore it: to them it is a claim that they may follow with one of their own.

use serde::{Deserialize, Serialize};

use crate::events::Claim;
use crate::log::LogId;

/// A claim with one more field.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct CopyClaim {
    #[serde(flatten)]
    pub(super) claim: Claim,
    pub(super) copy: CopyOf,
}

/// What a log is a copy of.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct CopyOf {
    /// The id of the log in this partition.
    pub(super) of: Option<LogId>,
}

impl CopyClaim {
    /// The value to store.
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a claim has string keys only")
    }
}

/// Who else than a copy made this claim.
pub(super) fn stranger(value: &[u8]) -> Option<String> {
    if serde_json::from_slice::<CopyClaim>(value).is_ok() {
        return None;
    }
    let claim = Claim::decode(value);
    Some(claim.map_or_else(|_| "somebody".to_owned(), |claim| format!("node {}", claim.node)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The storage format: the sample is never changed.
    const SAMPLE: &str = include_str!("../../tests/samples/v1/claims/copy.json");
    const SERVICE: &str = include_str!("../../tests/samples/v1/claims/claim.json");

    #[test]
    fn a_copy_knows_its_claims_from_those_of_others() {
        assert_eq!(stranger(SAMPLE.as_bytes()), None);
        assert_eq!(stranger(SERVICE.as_bytes()), Some("node node-a".to_owned()));
        assert_eq!(stranger(b"garbage"), Some("somebody".to_owned()));
    }

    #[test]
    fn a_claim_of_a_copy_is_written_as_the_sample_says() {
        let claim = Claim::decode(SERVICE.as_bytes()).expect("a claim");
        let of = LogId::of_first_claim(b"{}");
        let copy = CopyClaim { claim, copy: CopyOf { of: Some(of) } };
        assert_eq!(String::from_utf8(copy.encode()).expect("text"), SAMPLE.trim_end());
    }
}
