//! Where a record is in the log, and how that is printed: `5@1234`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A partition of the log, counted from 0.
///
/// ```
/// use retell::Partition;
///
/// assert_eq!(serde_json::to_string(&Partition(5))?, "5");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(transparent)]
pub struct Partition(pub u32);

/// A place within a partition, counted from 0. Offsets increase, possibly with holes.
///
/// ```
/// use retell::Offset;
///
/// assert_eq!(Offset(7).next(), Offset(8));
/// assert!(Offset(7) < Offset(7).plus(10));
/// ```
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(transparent)]
pub struct Offset(pub u64);

/// Where a record is: its partition and its offset, printed `5@1234`.
///
/// ```
/// use retell::{Offset, Partition, Position};
///
/// let position: Position = "5@1234".parse()?;
/// assert_eq!(position, Position { partition: Partition(5), offset: Offset(1234) });
/// assert_eq!(position.to_string(), "5@1234");
/// # Ok::<(), retell::InvalidPosition>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// The partition.
    pub partition: Partition,
    /// The offset within it.
    pub offset: Offset,
}

/// At most one position per partition, printed `5@1234, 6@77`.
///
/// ```
/// use retell::{Offset, Partition, Positions};
///
/// let mut seen: Positions = "5@1234, 6@77".parse()?;
/// seen.add("6@80".parse()?);
/// assert_eq!(seen.get(Partition(6)), Some(Offset(80)));
/// assert_eq!(seen.to_string(), "5@1234, 6@80");
/// # Ok::<(), retell::InvalidPosition>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Positions(BTreeMap<Partition, Offset>);

/// A text that is no position, or no list of positions.
///
/// ```
/// use retell::Position;
///
/// let error = "5@01".parse::<Position>().expect_err("a position has one spelling");
/// assert!(error.to_string().starts_with("`5@01` is no position"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no position; expected PARTITION@OFFSET such as 5@1234, or several with commas")]
pub struct InvalidPosition(String);

impl Offset {
    /// The offset after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The offset `records` later.
    #[must_use]
    pub const fn plus(self, records: u64) -> Self {
        Self(self.0 + records)
    }
}

impl Positions {
    /// Adds a position; the later one stays when the partition has one already.
    pub fn add(&mut self, position: Position) {
        let offset = self.0.entry(position.partition).or_insert(position.offset);
        *offset = position.offset.max(*offset);
    }

    /// The offset asked of this partition, if any.
    #[must_use]
    pub fn get(&self, partition: Partition) -> Option<Offset> {
        self.0.get(&partition).copied()
    }

    /// All positions, by partition.
    pub fn iter(&self) -> impl Iterator<Item = Position> + '_ {
        self.0.iter().map(|(&partition, &offset)| Position { partition, offset })
    }

    /// Whether there is no position.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Position> for Positions {
    fn from_iter<I: IntoIterator<Item = Position>>(positions: I) -> Self {
        let mut all = Self::default();
        positions.into_iter().for_each(|position| all.add(position));
        all
    }
}

impl From<Position> for Positions {
    fn from(position: Position) -> Self {
        [position].into_iter().collect()
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, position) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{position}")?;
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let parse = || {
            let (partition, offset) = text.split_once('@')?;
            Some(Self {
                partition: Partition(canonical(partition)?.try_into().ok()?),
                offset: Offset(canonical(offset)?),
            })
        };
        parse().ok_or_else(|| InvalidPosition(text.to_owned()))
    }
}

impl FromStr for Positions {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        text.split(',').map(|part| part.trim().parse::<Position>()).collect()
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Position {
    fn schema_name() -> Cow<'static, str> {
        "Position".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a record is in the log: PARTITION@OFFSET.",
            "type": "string",
            "pattern": "^(0|[1-9][0-9]{0,9})@(0|[1-9][0-9]{0,19})$",
        })
    }
}

impl Serialize for Positions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Positions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Position>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// Decimal digits without a sign or leading zeros, so that one position has one spelling.
fn canonical(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_the_later_position_of_a_partition() {
        let positions: Positions = "5@7, 6@77,5@3".parse().expect("positions");
        assert_eq!(positions.to_string(), "5@7, 6@77");
    }

    #[test]
    fn a_text_that_is_no_position_is_refused() {
        for text in ["", "5", "5@", "@5", "05@1", "5@-1", "+5@1", "5@1x", "4294967296@1", "1@2,"] {
            assert!(text.parse::<Positions>().is_err(), "{text}");
        }
    }
}
