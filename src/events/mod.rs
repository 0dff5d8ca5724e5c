//! What happened: the domain events, and the form in which they are stored.
//!
//! Event names and fields are the storage format. A change is a new schema number, an upcaster
//! and a stored sample in a test; an event is never edited in place.

pub mod account;
pub mod message;

mod codec;
mod envelope;
mod evolution;
mod metadata;
mod record;
mod sample;
mod tagged;
mod variants;

pub(crate) use codec::known_schema;
pub use codec::{Decoded, Undecodable, Unencodable, decode, decode_any, encode};
pub use envelope::{BadEnvelope, Envelope};
pub use evolution::{EventFlaw, event_flaws};
pub use metadata::{CommandId, Fingerprint, InvalidCommandId, Metadata};
pub(crate) use metadata::{first_16_bytes_of_sha256, write_hex};
pub(crate) use record::schema_of;
pub use record::{AggregateRef, Claim, Commit, RECORD_VERSION, StoredEvent, Unreadable};
pub(crate) use sample::variants;
pub use tagged::Tagged;
pub(crate) use tagged::to_wire;
#[cfg(feature = "http")]
pub(crate) use variants::variant_content;
pub(crate) use variants::variant_names;
