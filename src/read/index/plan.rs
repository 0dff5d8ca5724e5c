//! From what a list is asked for to the part of one index that answers it.
//!
//! An index serves equality on its first fields, and a range or an order on the next one. A
//! cursor names the last member of a page, and is good for the query that it was given for only.

use std::ops::Bound;

use bytes::Bytes;

use crate::contract::Name;
use crate::events::Fingerprint;
use crate::ports::RangeQuery;

use super::super::workspace::DOC;
use super::kind::Kind;
use super::query::{Comparison, Filter, ListQuery, Sort};
use super::{FIELDS_MAX, Index, Indexes, KEY, KEY_INDEX, ordered};

/// The part of an index that answers a query.
#[derive(Clone, Debug)]
pub(in super::super) struct Plan {
    pub(in super::super) range: RangeQuery,
    /// What cursors of this query are bound to.
    bound_to: String,
}

/// Why a query is not answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in super::super) enum Unlisted {
    /// No index serves it, because of this parameter.
    NotServed { parameter: String, detail: String },
    /// The value of this parameter is none.
    BadValue { parameter: String, expected: &'static str },
    /// The cursor is not one that a page of this query gave.
    BadCursor,
}

/// The conditions of a query, sorted.
#[derive(Default)]
struct Conditions<'q> {
    equal: Vec<(&'q str, &'q Filter)>,
    /// The one field that has a range.
    ranged: Option<&'q str>,
    from: Option<&'q Filter>,
    to: Option<&'q Filter>,
}

impl Plan {
    pub(in super::super) fn of(
        name: Name,
        revision: u32,
        indexes: &Indexes,
        query: &ListQuery,
    ) -> Result<Self, Unlisted> {
        let conditions = Conditions::of(query)?;
        let next = conditions.next(query.sort.as_ref())?;
        let range = if next.unwrap_or(KEY) == KEY && conditions.equal.is_empty() {
            conditions.range(KEY_INDEX, Vec::new(), Some(Kind::Key))?
        } else {
            let index = indexes.serving(&conditions.equal, next);
            let index = index.ok_or_else(|| indexes.not_serving(query, &conditions.equal, next))?;
            conditions.range_of(index, indexes)?
        };
        let descending = query.sort.as_ref().is_some_and(|sort| sort.descending);
        let range = RangeQuery { descending, ..range };
        let bound_to = format!("{name} {revision} {range:?}");
        let mut plan = Self { range, bound_to };
        if let Some(cursor) = &query.cursor {
            let last = plan.last_of(cursor).ok_or(Unlisted::BadCursor)?;
            let after = Bound::Excluded(last);
            *(if descending { &mut plan.range.to } else { &mut plan.range.from }) = after;
        }
        Ok(plan)
    }

    /// The cursor of a page that ends with this member.
    pub(in super::super) fn cursor(&self, member: &[u8]) -> String {
        let member: String = member.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}{member}", self.seal(&member))
    }

    /// The member that a cursor names, if this query gave it.
    fn last_of(&self, cursor: &str) -> Option<Bytes> {
        let (seal, member) = cursor.split_at_checked(SEAL_LEN)?;
        if self.seal(member) != seal {
            return None;
        }
        let digits = member.as_bytes().chunks(2);
        let bytes = digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.collect::<Option<Vec<u8>>>().map(Bytes::from)
    }

    fn seal(&self, member: &str) -> String {
        Fingerprint::of(format!("{} {member}", self.bound_to).as_bytes()).to_string()
    }
}

/// The hex digits of a fingerprint.
const SEAL_LEN: usize = 32;

impl<'q> Conditions<'q> {
    fn of(query: &'q ListQuery) -> Result<Self, Unlisted> {
        let mut all = Self::default();
        // Each of an index's fields once, and the other end of a range.
        if let Some(filter) = query.filters.get(FIELDS_MAX + 1) {
            return Err(filter.not_served("no index has so many fields"));
        }
        for filter in &query.filters {
            let twice = || filter.not_served("it stands there twice");
            let is_null = filter.is == Comparison::Null && filter.is_true()?;
            if (filter.is == Comparison::Equal || is_null) && filter.field != KEY {
                if all.equal.iter().any(|(field, _)| *field == filter.field) {
                    return Err(twice());
                }
                all.equal.push((&filter.field, filter));
                continue;
            }
            if all.ranged.is_some_and(|field| field != filter.field) {
                return Err(filter.not_served("a query has a range of one field only"));
            }
            all.ranged = Some(&filter.field);
            let both = filter.is == Comparison::Equal;
            let lower = matches!(filter.is, Comparison::Above | Comparison::AtLeast);
            let upper = matches!(filter.is, Comparison::Below | Comparison::AtMost);
            if (both || lower) && all.from.replace(filter).is_some()
                || (both || upper) && all.to.replace(filter).is_some()
            {
                return Err(twice());
            }
        }
        Ok(all)
    }

    /// The field behind those of the equalities. Where one value is asked for, an order by it is
    /// any order.
    fn next(&self, sort: Option<&'q Sort>) -> Result<Option<&'q str>, Unlisted> {
        let is_one_value = |sort: &&Sort| self.equal.iter().any(|(field, _)| *field == sort.field);
        let sorted = sort.filter(|sort| !is_one_value(sort)).map(|sort| sort.field.as_str());
        match (self.ranged, sorted) {
            (Some(ranged), Some(sorted)) if sorted != ranged => Err(Unlisted::NotServed {
                parameter: "sort".to_owned(),
                detail: format!("a query with a range of `{ranged}` is sorted by it"),
            }),
            (ranged, sorted) => Ok(ranged.or(sorted)),
        }
    }

    fn range_of(&self, index: &Index, indexes: &Indexes) -> Result<RangeQuery, Unlisted> {
        let mut prefix = Vec::new();
        let (equal, rest) = index.fields.split_at(self.equal.len());
        for &at in equal {
            let field = &indexes.fields[at];
            let filter = self.equal.iter().find(|(name, _)| *name == field.name);
            let (_, filter) = filter.expect("the index begins with the fields of the equalities");
            prefix.extend(match filter.is {
                Comparison::Null => ordered::null(),
                _ => filter.bytes(field.kind)?,
            });
        }
        let next = self.ranged.and(rest.first()).map(|&at| indexes.fields[at].kind);
        self.range(&index.name, prefix, next)
    }

    /// The part of an index that begins with `prefix`, and within it that of the range over a
    /// field of kind `next`.
    fn range(
        &self,
        index: &str,
        prefix: Vec<u8>,
        next: Option<Kind>,
    ) -> Result<RangeQuery, Unlisted> {
        let with = |bytes: &[u8]| [&prefix, bytes].concat();
        let lowest = next.map_or(&[][..], Kind::lowest);
        let from = match (self.from, next) {
            (Some(filter), Some(kind)) => {
                let bytes = with(&[kind.beginning(), &filter.bytes(kind)?].concat());
                if filter.is == Comparison::Above { kind.behind(bytes) } else { bytes }
            }
            _ => with(lowest),
        };
        let to = match (self.to, next) {
            (Some(filter), Some(kind)) => {
                let bytes = with(&[kind.beginning(), &filter.bytes(kind)?].concat());
                if filter.is == Comparison::Below { bytes } else { kind.behind(bytes) }
            }
            (None, Some(Kind::Key)) => ordered::behind(with(lowest)),
            _ => ordered::behind(prefix.clone()),
        };
        // Behind nothing at all is where everything ends.
        let to = if to.is_empty() { Bound::Unbounded } else { Bound::Excluded(to.into()) };
        let (index, from) = (index.to_owned(), Bound::Included(from.into()));
        Ok(RangeQuery { index, from, to, limit: 0, descending: false })
    }
}

impl Kind {
    /// What stands in an index before every value of this kind.
    const fn beginning(self) -> &'static [u8] {
        match self {
            Self::Key => DOC.as_bytes(),
            _ => &[],
        }
    }

    /// The lowest bytes of this kind in an index, `null` aside.
    const fn lowest(self) -> &'static [u8] {
        match self {
            Self::Key => DOC.as_bytes(),
            _ => ordered::LOWEST,
        }
    }

    /// The first bytes behind a value, whatever follows it. A key is followed by nothing.
    fn behind(self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Key => [&bytes[..], &[0]].concat(),
            _ => ordered::behind(bytes),
        }
    }
}

impl Filter {
    fn bytes(&self, kind: Kind) -> Result<Vec<u8>, Unlisted> {
        let bad = |expected| Unlisted::BadValue { parameter: self.parameter(), expected };
        kind.of_text(&self.value).map_err(bad)
    }

    fn is_true(&self) -> Result<bool, Unlisted> {
        let (parameter, expected) = (self.parameter(), "true or false");
        self.value.parse().map_err(|_| Unlisted::BadValue { parameter, expected })
    }

    fn not_served(&self, detail: &str) -> Unlisted {
        Unlisted::NotServed { parameter: self.parameter(), detail: detail.to_owned() }
    }
}

impl Indexes {
    /// The index that begins with the fields of the equalities, in any order, and goes on with
    /// `next`: the shortest that does.
    fn serving(&self, equal: &[(&str, &Filter)], next: Option<&str>) -> Option<&Index> {
        let name = |at: &usize| self.fields[*at].name;
        let serves = |index: &&Index| {
            let Some((first, rest)) = index.fields.split_at_checked(equal.len()) else {
                return false;
            };
            let has = |at: &usize| equal.iter().any(|(field, _)| *field == name(at));
            first.iter().all(has) && next.is_none_or(|next| rest.first().map(name) == Some(next))
        };
        self.indexes.iter().filter(serves).min_by_key(|index| index.fields.len())
    }

    /// Which parameter no index serves, and why.
    fn not_serving(
        &self,
        query: &ListQuery,
        equal: &[(&str, &Filter)],
        next: Option<&str>,
    ) -> Unlisted {
        let is_known = |name: &str| name == KEY || self.fields.iter().any(|it| it.name == name);
        let unknown = query.filters.iter().find(|filter| !is_known(&filter.field));
        if let Some(filter) = unknown {
            return filter.not_served("no index has this field");
        }
        if let Some(sort) = query.sort.as_ref().filter(|sort| !is_known(&sort.field)) {
            let detail = format!("no index has the field `{}`", sort.field);
            return Unlisted::NotServed { parameter: "sort".to_owned(), detail };
        }
        let fields = equal.iter().map(|(field, _)| *field).collect::<Vec<_>>().join("` and `");
        if self.serving(equal, None).is_none() {
            let detail = format!("no index begins with `{fields}`");
            return Unlisted::NotServed { parameter: equal[0].1.parameter(), detail };
        }
        let next = next.unwrap_or_default();
        let detail = match equal {
            [] => format!("no index begins with `{next}`"),
            _ => format!("no index goes on with `{next}` behind `{fields}`"),
        };
        match query.filters.iter().find(|filter| filter.field == next) {
            Some(filter) => filter.not_served(&detail),
            None => Unlisted::NotServed { parameter: "sort".to_owned(), detail },
        }
    }
}
