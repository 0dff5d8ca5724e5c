//! Who claims: the process among others, as it is named in the log.

use uuid::Uuid;

/// Who this process is, in the claims that it writes.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::{adapters::SystemClock, ports::Ids, write::Identity};
///
/// let ids = Ids::new(Arc::new(SystemClock));
/// let (node, address) = ("a".to_owned(), "http://a:8080".to_owned());
/// let first = Identity { node, instance: ids.next(), address, policies: Vec::new() };
/// // The same node, started again, is another process.
/// let second = Identity { instance: ids.next(), ..first.clone() };
/// assert!(first.node == second.node && first.instance != second.instance);
/// ```
#[derive(Clone, Debug)]
pub struct Identity {
    /// The node's name.
    pub node: String,
    /// New for every process.
    pub instance: Uuid,
    /// Where other nodes reach it.
    pub address: String,
    /// The policies that it runs.
    pub policies: Vec<String>,
}
