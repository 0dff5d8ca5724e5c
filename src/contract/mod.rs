//! What a user of Retell writes, and the newtypes in which Retell speaks to them.
//!
//! An [`Aggregate`] decides, a [`Projection`] or a [`MergedProjection`] shows what was decided, and
//! a [`Policy`] or a [`Process`] says what follows from it.
//! All of it is pure: nothing here reads a clock, a file or a network, and nothing in this folder
//! knows how events are stored beyond their stored form in [`crate::events`].

mod aggregate;
mod key;
mod linked;
mod policy;
mod position;
mod process;
mod projection;
mod recorded;
mod refusal;
mod registrar;
mod schema;
mod text;
mod tick;
mod time;
mod version;

pub use aggregate::{Aggregate, Upcaster};
pub use key::{InvalidKey, InvalidName, KEY_LEN_MAX, Key, Name, Target};
pub use linked::{Link, LinkedProjection};
pub use policy::{Instruction, Policy, Start};
pub use position::{InvalidPosition, Offset, Partition, Position, Positions};
pub use process::{Answer, Process};
pub use projection::{
    EventOf, INDEXED_TEXT_LEN_MAX, MergedProjection, Projection, Source, Sources, View,
};
pub use recorded::Recorded;
pub use refusal::Refusal;
pub use registrar::Registrar;
pub(crate) use schema::schema_of;
#[cfg(feature = "http")]
pub(crate) use schema::without_examples;
pub(crate) use text::Text;
pub use tick::Tick;
pub use time::{InvalidTime, Time};
pub use version::Version;
