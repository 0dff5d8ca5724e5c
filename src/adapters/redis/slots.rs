//! Hash slots of a Redis Cluster: which slot a command is for, and which node has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use redis::{Arg, Cmd, Value};

/// Slots of every cluster.
const SLOTS: u16 = 16_384;

/// Where a node listens.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The primary of each slot, by the first slot of a range: its last one, and the node.
#[derive(Debug, Default)]
pub(super) struct SlotMap(BTreeMap<u16, (u16, Address)>);

impl Address {
    /// Reads `HOST:PORT`, as a redirection names a node; one without a host is where it was said.
    pub(super) fn parse(text: &str, said_by: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { &said_by.host } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl SlotMap {
    /// Reads the answer to `CLUSTER SLOTS`, which is a list of first slot, last slot, primary and
    /// replicas.
    pub(super) fn read(answer: &Value, said_by: &Address) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let read = |range: &Value| {
            let Value::Array(range) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &range[..]
            else {
                return None;
            };
            let [host, Value::Int(port), ..] = &primary[..] else { return None };
            let host = match host {
                Value::BulkString(host) if !host.is_empty() => {
                    String::from_utf8(host.clone()).ok()?
                }
                _ => said_by.host.clone(),
            };
            let address = Address { host, port: u16::try_from(*port).ok()? };
            Some((u16::try_from(*first).ok()?, (u16::try_from(*last).ok()?, address)))
        };
        ranges.iter().map(read).collect::<Option<_>>().map(Self)
    }

    /// The node that has a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Address> {
        let (_, (last, address)) = self.0.range(..=slot).next_back()?;
        (slot <= *last).then_some(address)
    }

    /// Every node that has a slot.
    pub(super) fn nodes(&self) -> BTreeSet<Address> {
        self.0.values().map(|(_, address)| address.clone()).collect()
    }

    /// The first slot that no node has.
    pub(super) fn gap(&self) -> Option<u16> {
        let mut next = 0;
        for (first, (last, _)) in &self.0 {
            if *first > next {
                break;
            }
            next = next.max(last + 1);
        }
        (next < SLOTS).then_some(next)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The slot of a command's first key; all keys of a command of ours are in one slot.
pub(super) fn slot_of(cmd: &Cmd) -> u16 {
    let mut words = cmd.args_iter().map(|arg| match arg {
        Arg::Simple(word) => word,
        _ => &[][..],
    });
    // A script stands before the number of its keys, and that before the keys.
    let at = match words.next() {
        Some(b"EVALSHA" | b"EVAL") => 2,
        _ => 0,
    };
    words.nth(at).map_or(0, slot_of_key)
}

/// CRC16 (XMODEM) of what stands in a key's first braces, or of all of it.
fn slot_of_key(key: &[u8]) -> u16 {
    let find = |bytes: &[u8], wanted| bytes.iter().position(|&byte| byte == wanted);
    let tag = find(key, b'{').and_then(|from| {
        let rest = &key[from + 1..];
        find(rest, b'}').map(|to| &rest[..to]).filter(|tag| !tag.is_empty())
    });
    let step = |crc: u16, byte: &u8| {
        let crc = crc ^ (u16::from(*byte) << 8);
        (0..8).fold(crc, |crc, _| (crc << 1) ^ (0x1021 * (crc >> 15)))
    };
    tag.unwrap_or(key).iter().fold(0, step) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> Address {
        Address { host: "h".to_owned(), port }
    }

    #[test]
    fn a_key_is_in_the_slot_that_redis_says() {
        // As `CLUSTER KEYSLOT` answers.
        assert_eq!(slot_of_key(b"123456789"), 12_739);
        assert_eq!(slot_of_key(b"foo"), 12_182);
        assert_eq!(slot_of_key(b"retell:{foo}:doc:ann"), 12_182);
        assert_ne!(slot_of_key(b"{}foo"), 12_182, "empty braces are part of the key");
    }

    #[test]
    fn a_command_is_for_the_slot_of_its_first_key() {
        let slot = |line: &str| {
            let mut words = line.split(' ');
            let mut cmd = redis::cmd(words.next().expect("a command"));
            words.for_each(|word| {
                cmd.arg(word);
            });
            slot_of(&cmd)
        };
        assert_eq!(slot("MGET foo x"), 12_182);
        assert_eq!(slot("EVALSHA hash 2 foo x y"), 12_182);
        assert_eq!(slot("EVAL code 1 foo x y"), 12_182);
    }

    #[test]
    fn a_map_knows_owners_and_gaps() {
        let range = |first, last, host: &str, port| {
            let host = Value::BulkString(host.as_bytes().to_vec());
            Value::Array(vec![
                Value::Int(first),
                Value::Int(last),
                Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())]),
            ])
        };
        let answer = Value::Array(vec![range(0, 99, "h", 1), range(100, 16_383, "", 2)]);
        let map = SlotMap::read(&answer, &node(9)).expect("a map");
        assert_eq!(map.owner(99), Some(&node(1)));
        assert_eq!(map.owner(100), Some(&node(2)), "no host is that of who answers");
        assert_eq!((map.nodes().len(), map.gap()), (2, None));
        let answer = Value::Array(vec![range(0, 99, "h", 1), range(101, 16_383, "h", 2)]);
        let map = SlotMap::read(&answer, &node(9)).expect("a map");
        assert_eq!((map.owner(100), map.gap()), (None, Some(100)));
        assert_eq!(SlotMap::default().gap(), Some(0));
        assert!(SlotMap::read(&Value::Nil, &node(9)).is_none());
    }
}
