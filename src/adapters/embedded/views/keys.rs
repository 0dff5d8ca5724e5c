//! The keys of the one keyspace. What belongs together is adjacent, and no key is the beginning
//! of another's: every name but the last is written with its length.
//!
//! ```text
//! s SPACE s                       -> the state's text
//! s SPACE v KEY                   -> expiry, value
//! s SPACE m MAP                   -> expiry of the map; none: it is kept for ever
//! s SPACE f MAP FIELD             -> value
//! s SPACE i INDEX MEMBER          -> nothing
//! s SPACE x TIME KIND KEY         -> nothing: look then whether it has expired
//! p PROJECTION REVISION           -> the pointer as JSON
//! ```

use crate::contract::Time;
use crate::ports::Space;

/// The keys of one space.
pub(super) struct SpaceKeys {
    prefix: Vec<u8>,
}

/// What expires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Value = b'v' as isize,
    Map = b'm' as isize,
}

impl SpaceKeys {
    pub(super) fn of(space: &Space) -> Self {
        let mut prefix = vec![b's'];
        push_name(&mut prefix, space.to_string().as_bytes());
        Self { prefix }
    }

    pub(super) fn all(&self) -> Vec<u8> {
        self.prefix.clone()
    }

    pub(super) fn state(&self) -> Vec<u8> {
        self.key(b's', &[])
    }

    pub(super) fn value(&self, key: &[u8]) -> Vec<u8> {
        self.key(b'v', key)
    }

    pub(super) fn map(&self, map: &str) -> Vec<u8> {
        self.key(b'm', map.as_bytes())
    }

    pub(super) fn fields(&self, map: &str) -> Vec<u8> {
        let mut key = self.key(b'f', &[]);
        push_name(&mut key, map.as_bytes());
        key
    }

    pub(super) fn field(&self, map: &str, field: &str) -> Vec<u8> {
        let mut key = self.fields(map);
        key.extend_from_slice(field.as_bytes());
        key
    }

    pub(super) fn members(&self, index: &str) -> Vec<u8> {
        let mut key = self.key(b'i', &[]);
        push_name(&mut key, index.as_bytes());
        key
    }

    pub(super) fn member(&self, index: &str, member: &[u8]) -> Vec<u8> {
        let mut key = self.members(index);
        key.extend_from_slice(member);
        key
    }

    pub(super) fn expiries(&self) -> Vec<u8> {
        self.key(b'x', &[])
    }

    pub(super) fn expiries_from(&self, time: Time) -> Vec<u8> {
        // With the sign flipped, bytes are in the order of the numbers.
        let ordered = time.millis().cast_unsigned() ^ (1 << 63);
        self.key(b'x', &ordered.to_be_bytes())
    }

    pub(super) fn expiry(&self, time: Time, kind: Kind, key: &str) -> Vec<u8> {
        let mut entry = self.expiries_from(time);
        entry.push(kind as u8);
        entry.extend_from_slice(key.as_bytes());
        entry
    }

    /// What [`Self::expiry`] was made of.
    pub(super) fn parse_expiry<'a>(&self, entry: &'a [u8]) -> Option<(Time, Kind, &'a str)> {
        let (time, rest) = entry.get(self.prefix.len() + 1..)?.split_first_chunk()?;
        let millis = (u64::from_be_bytes(*time) ^ (1 << 63)).cast_signed();
        let (kind, key) = rest.split_first()?;
        let kind = match kind {
            b'v' => Kind::Value,
            b'm' => Kind::Map,
            _ => return None,
        };
        Some((Time::from_millis(millis), kind, std::str::from_utf8(key).ok()?))
    }

    fn key(&self, tag: u8, rest: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.prefix.len() + 1 + rest.len());
        key.extend_from_slice(&self.prefix);
        key.push(tag);
        key.extend_from_slice(rest);
        key
    }
}

pub(super) fn pointers(projection: &str) -> Vec<u8> {
    let mut key = vec![b'p'];
    push_name(&mut key, projection.as_bytes());
    key
}

pub(super) fn pointer(projection: &str, revision: u32) -> Vec<u8> {
    let mut key = pointers(projection);
    key.extend_from_slice(&revision.to_be_bytes());
    key
}

/// The revision at the end of a pointer's key.
pub(super) fn revision(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// The first key after all that begin with `prefix`.
pub(super) fn end_of(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            return prefix;
        }
    }
    unreachable!("every prefix here begins with a letter")
}

fn push_name(key: &mut Vec<u8>, name: &[u8]) {
    let len = u16::try_from(name.len()).expect("a commit with longer names is refused");
    key.extend_from_slice(&len.to_be_bytes());
    key.extend_from_slice(name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Partition;

    #[test]
    fn times_before_and_after_the_epoch_are_in_order() {
        let keys = keys(0);
        let at = |millis| keys.expiries_from(Time::from_millis(millis));
        let times = [i64::MIN, -1, 0, 1, 256, i64::MAX];
        assert!(times.map(at).is_sorted());
    }

    #[test]
    fn an_expiry_is_read_back_from_its_key() {
        let (keys, time) = (keys(0), Time::from_millis(-7));
        for kind in [Kind::Value, Kind::Map] {
            let entry = keys.expiry(time, kind, "outcome:ann");
            assert_eq!(keys.parse_expiry(&entry), Some((time, kind, "outcome:ann")));
        }
    }

    #[test]
    fn a_space_ends_before_the_next_begins() {
        let (one, ten) = (keys(1), keys(10));
        let end = end_of(one.all());
        assert!(one.expiry(Time::from_millis(i64::MAX), Kind::Value, "\u{ffff}") < end);
        assert!(end <= ten.all());
        assert_eq!(end_of(vec![b'a', 0xff, 0xff]), b"b");
    }

    #[test]
    fn fields_of_a_map_whose_name_begins_another_are_apart() {
        let keys = keys(0);
        assert!(!keys.field("ab", "c").starts_with(&keys.fields("a")));
    }

    fn keys(partition: u32) -> SpaceKeys {
        SpaceKeys::of(&Space::new("accounts", uuid::Uuid::nil(), Partition(partition)))
    }
}
