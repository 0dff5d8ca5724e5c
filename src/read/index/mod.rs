//! The indexes of a projection: from the JSON of a view to the members that list it.
//!
//! A member is the bytes of the fields, a zero byte, and the key of the view in its space: no two
//! views share one, and what stands behind the last zero byte names the view.

mod kind;
mod ordered;
mod plan;
mod query;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::ports::KEY_INDEX;

use kind::Kind;

pub(super) use plan::{Plan, Unlisted};
pub use query::{Comparison, Filter, ListQuery, Sort};

/// Names of fields that mean something else in a query.
const TAKEN: [&str; 6] = ["after", "cursor", KEY, "limit", "sort", "wait"];

/// The name of a view's key in a query.
const KEY: &str = KEY_INDEX;

/// The most fields of an index.
const FIELDS_MAX: usize = 8;

/// The indexes that a projection declares. The one by key is not among them.
///
/// ```
/// use retell::read::Indexes;
/// # use retell::doc::LightView;
///
/// let schema = schemars::schema_for!(LightView).to_value();
/// let indexes = Indexes::new(&[&["on", "switched"]], &schema).expect("the view has both fields");
/// assert_eq!(indexes.iter().next(), Some(vec!["on", "switched"]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Indexes {
    /// Each field that stands in an index, once.
    fields: Vec<Field>,
    indexes: Vec<Index>,
}

#[derive(Clone, Debug)]
struct Field {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Debug)]
struct Index {
    /// Its fields, by commas: its name in the view store.
    name: String,
    /// Which of the projection's fields, in order.
    fields: Vec<usize>,
}

/// Why a projection cannot have an index.
///
/// ```
/// use retell::read::{IndexFlaw, Indexes};
/// # use retell::doc::LightView;
///
/// let schema = schemars::schema_for!(LightView).to_value();
/// let flaws = Indexes::new(&[&["colour"]], &schema).expect_err("a light has no colour");
/// assert!(matches!(flaws[0], IndexFlaw::NoField { field: "colour", .. }));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IndexFlaw {
    /// It has none, or too many.
    #[error("the index [{index}] has {len} fields; it needs 1 to {FIELDS_MAX}")]
    Fields {
        /// Which.
        index: String,
        /// How many.
        len: usize,
    },
    /// It stands there twice.
    #[error("the index [{0}] is declared twice, or has a field twice")]
    Twice(String),
    /// The view has no such field.
    #[error("the index [{index}] is over `{field}`, which is no field of the view ({fields})")]
    NoField {
        /// Which.
        index: String,
        /// The field.
        field: &'static str,
        /// Those that there are.
        fields: String,
    },
    /// The field's values have no order.
    #[error(
        "the index [{index}] is over `{field}`, which by the view's schema holds neither texts nor \
         numbers (of up to 64 bits), booleans or times"
    )]
    NoOrder {
        /// Which.
        index: String,
        /// The field.
        field: &'static str,
    },
    /// A query could not name the field.
    #[error("the index [{index}] is over `{field}`, a name that queries use themselves")]
    Taken {
        /// Which.
        index: String,
        /// The field.
        field: &'static str,
    },
}

impl Indexes {
    /// No indexes.
    pub const NONE: &'static Self = &Self { fields: Vec::new(), indexes: Vec::new() };

    /// Indexes over fields of views with this JSON Schema.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(
        declared: &[&'static [&'static str]],
        schema: &Value,
    ) -> Result<Self, Vec<IndexFlaw>> {
        let (mut all, mut flaws) = (Self::default(), Vec::new());
        for names in declared {
            if let Err(flaw) = all.add(names, schema) {
                flaws.push(flaw);
            }
        }
        if flaws.is_empty() { Ok(all) } else { Err(flaws) }
    }

    /// The fields of each index.
    pub fn iter(&self) -> impl Iterator<Item = Vec<&'static str>> {
        let names = |index: &Index| index.fields.iter().map(|&at| self.fields[at].name).collect();
        self.indexes.iter().map(names)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.indexes.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.indexes.iter().map(|index| index.name.as_str())
    }

    /// The members of a view, one of each index, in their order. `doc` is its key in its space.
    pub(super) fn members(&self, view: &[u8], doc: &str) -> Vec<Bytes> {
        if self.indexes.is_empty() {
            return Vec::new();
        }
        let mut json = serde_json::Deserializer::from_slice(view);
        // A view that is no object has none of the fields.
        let values = Values(&self.fields).deserialize(&mut json);
        let values = values.unwrap_or_else(|_| vec![ordered::null(); self.fields.len()]);
        let member = |index: &Index| {
            let mut member: Vec<u8> = Vec::new();
            index.fields.iter().for_each(|&at| member.extend(&values[at]));
            member.push(0);
            member.extend_from_slice(doc.as_bytes());
            Bytes::from(member)
        };
        self.indexes.iter().map(member).collect()
    }

    fn add(&mut self, names: &'static [&'static str], schema: &Value) -> Result<(), IndexFlaw> {
        let index = names.join(",");
        if !(1..=FIELDS_MAX).contains(&names.len()) {
            return Err(IndexFlaw::Fields { index, len: names.len() });
        }
        let mut fields = Vec::with_capacity(names.len());
        for &name in names {
            let at = self.field(name, schema, &index)?;
            if fields.contains(&at) {
                return Err(IndexFlaw::Twice(index));
            }
            fields.push(at);
        }
        if self.indexes.iter().any(|other| other.name == index) {
            return Err(IndexFlaw::Twice(index));
        }
        self.indexes.push(Index { name: index, fields });
        Ok(())
    }

    /// Where the field is; it is added when it is new.
    fn field(
        &mut self,
        name: &'static str,
        schema: &Value,
        index: &str,
    ) -> Result<usize, IndexFlaw> {
        let index = index.to_owned();
        if let Some(at) = self.fields.iter().position(|field| field.name == name) {
            return Ok(at);
        }
        if TAKEN.contains(&name) || name.contains(['.', ',']) {
            return Err(IndexFlaw::Taken { index, field: name });
        }
        let properties = schema["properties"].as_object();
        let Some(property) = properties.and_then(|properties| properties.get(name)) else {
            let names = properties.into_iter().flat_map(serde_json::Map::keys);
            let fields = names.map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(IndexFlaw::NoField { index, field: name, fields });
        };
        let kind = Kind::of(property, schema);
        let kind = kind.ok_or(IndexFlaw::NoOrder { index, field: name })?;
        self.fields.push(Field { name, kind });
        Ok(self.fields.len() - 1)
    }
}

/// Reads the bytes of some fields out of a view and passes over the others.
struct Values<'a>(&'a [Field]);

/// Reads the name of a field: which of these it is, if it is one.
struct FieldAt<'a>(&'a [Field]);

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Vec<Vec<u8>>;

    fn deserialize<D: Deserializer<'de>>(self, view: D) -> Result<Self::Value, D::Error> {
        view.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Vec<Vec<u8>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a view that is an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut values = vec![ordered::null(); self.0.len()];
        while let Some(at) = map.next_key_seed(FieldAt(self.0))? {
            match at {
                Some(at) => {
                    let json: &RawValue = map.next_value()?;
                    values[at] = self.0[at].kind.of_json(json.get());
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(values)
    }
}

impl<'de> DeserializeSeed<'de> for FieldAt<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldAt<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|field| field.name == name))
    }
}
