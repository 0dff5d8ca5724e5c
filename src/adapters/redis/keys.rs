//! The names of Redis keys. All keys of a space share a hash tag, so they share a slot.

use std::fmt::Write;

use crate::ports::{Space, StoreError};

/// The keys of one namespace.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// `retell:{ns:`
    prefix: String,
}

/// The keys of one space: `retell:{ns:accounts:<generation>:p5}:…`.
pub(super) struct SpaceKeys {
    prefix: String,
}

/// Colons, the letter p, digits and the brace around a partition.
const PARTITION_LEN: usize = 16;

impl Keys {
    pub(super) fn new(namespace: &str) -> Result<Self, StoreError> {
        let is_taken = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '{' | '}');
        if namespace.is_empty() || namespace.contains(is_taken) {
            return Err(StoreError::Settings(vec![format!(
                "views.namespace is {namespace:?}; it needs at least one character, and neither \
                 spaces nor braces"
            )]));
        }
        Ok(Self { prefix: format!("retell:{{{namespace}:") })
    }

    pub(super) fn of(&self, space: &Space) -> SpaceKeys {
        // Every read makes it: the texts are put together without the machinery of `format!`.
        let Space { name, generation, partition } = space;
        let len = self.prefix.len() + name.len() + generation.len() + PARTITION_LEN;
        let mut prefix = String::with_capacity(len);
        for part in [&*self.prefix, name, ":", generation, ":p"] {
            prefix.push_str(part);
        }
        write!(prefix, "{partition}}}:").expect("a string takes everything");
        SpaceKeys { prefix }
    }

    /// The hash of a projection's pointers.
    pub(super) fn generations(&self, projection: &str) -> String {
        format!("{}{projection}}}:generations", self.prefix)
    }

    /// What was dealt with of a server's own evictions; in a cluster of this one's.
    pub(super) fn evictions(&self, server: Option<&str>) -> String {
        match server {
            None => format!("{}evictions}}", self.prefix),
            Some(server) => format!("{}evictions:{server}}}", self.prefix),
        }
    }

    /// Matches the checkpoints of all spaces, as `SCAN` wants it.
    pub(super) fn checkpoints_pattern(&self) -> String {
        let mut pattern = String::new();
        for character in self.prefix.chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern + "*}:checkpoint"
    }

    /// Where commits to the space of this name are announced.
    pub(super) fn channel(&self, space: &str) -> String {
        format!("{}{space}}}", self.prefix)
    }

    /// The name of the space whose channel this is.
    pub(super) fn space_of_channel<'a>(&self, channel: &'a str) -> Option<&'a str> {
        channel.strip_prefix(&self.prefix)?.strip_suffix('}')
    }
}

impl SpaceKeys {
    pub(super) fn checkpoint(&self) -> String {
        self.key("checkpoint")
    }

    /// The set of all indexes, and of all maps that do not expire, by their whole keys.
    pub(super) fn parts(&self) -> String {
        self.key("parts")
    }

    pub(super) fn index(&self, index: &str) -> String {
        format!("{}index:{index}", self.prefix)
    }

    pub(super) fn key(&self, key: &str) -> String {
        [&self.prefix, key].concat()
    }

    pub(super) fn channel(&self) -> &str {
        &self.prefix[..self.prefix.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::contract::Partition;

    #[test]
    fn keys_are_those_of_the_documented_layout() {
        let keys = Keys::new("ns").expect("a namespace");
        let space = Space::new("accounts", Uuid::nil(), Partition(5));
        let of = keys.of(&space);
        let tag = "retell:{ns:accounts:00000000-0000-0000-0000-000000000000:p5}";
        assert_eq!(of.checkpoint(), format!("{tag}:checkpoint"));
        assert_eq!(of.key("doc:ann"), format!("{tag}:doc:ann"));
        assert_eq!(of.index("owner"), format!("{tag}:index:owner"));
        assert_eq!(keys.generations("accounts"), "retell:{ns:accounts}:generations");
        assert_eq!(keys.evictions(None), "retell:{ns:evictions}");
        assert_eq!(keys.evictions(Some("h:1")), "retell:{ns:evictions:h:1}");
        assert_eq!(keys.checkpoints_pattern(), "retell:{ns:*}:checkpoint");
        assert_eq!(of.channel(), tag);
        assert_eq!(keys.channel(&space.to_string()), tag);
        assert_eq!(keys.space_of_channel(tag), Some(space.to_string().as_str()));
    }

    #[test]
    fn a_namespace_that_would_move_the_hash_tag_is_refused() {
        for namespace in ["", "a}b", "{a", "a b", "a\n"] {
            assert!(matches!(Keys::new(namespace), Err(StoreError::Settings(_))), "{namespace:?}");
        }
    }
}
