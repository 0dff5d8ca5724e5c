//! Indexes and plans against a model: a list that is filtered and sorted by its values.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::Name;
use crate::ports::{Listed, RangeQuery};

use super::*;

const INDEXES: &[&[&str]] =
    &[&["balance"], &["owner", "balance"], &["open", "balance", "owner"], &["owner"], &["share"]];

#[derive(Clone, Debug, JsonSchema, Serialize)]
struct View {
    owner: String,
    balance: Option<i64>,
    open: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    /// Not indexed; nor could it be.
    tags: Vec<String>,
}

fn indexes() -> Indexes {
    Indexes::new(INDEXES, &schemars::schema_for!(View).to_value()).expect("no flaw")
}

fn flaws(declared: &[&'static [&'static str]]) -> Vec<String> {
    let schema = schemars::schema_for!(View).to_value();
    let flaws = Indexes::new(declared, &schema).expect_err("flaws");
    flaws.iter().map(ToString::to_string).collect()
}

#[test]
fn an_index_that_cannot_be_is_told_with_its_reason() {
    let said = flaws(&[&["colour"], &["owner", "tags"], &["owner", "owner"], &[]]);
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said[0].contains("[colour]") && said[0].contains("owner"), "{}", said[0]);
    assert!(said[1].contains("`tags`") && said[1].contains("neither texts nor"), "{}", said[1]);
    assert!(said[2].contains("[owner,owner]") && said[2].contains("twice"), "{}", said[2]);
    assert!(said[3].contains("0 fields"), "{}", said[3]);
    assert!(flaws(&[&["owner"], &["owner"]])[0].contains("twice"));
    assert!(flaws(&[&["sort"]])[0].contains("queries use themselves"));
}

#[test]
fn a_view_that_is_no_object_is_listed_as_one_without_fields() {
    let members = indexes().members(b"7", "doc:a");
    assert_eq!(members, indexes().members(b"{}", "doc:a"));
    assert_eq!(members.len(), INDEXES.len());
}

/// A query, and whether a view is in its list.
#[derive(Clone, Debug)]
struct Asked {
    filters: Vec<Filter>,
    sort: Option<Sort>,
    limit: usize,
}

/// Owners that would run into each other if texts had no end.
const OWNERS: [&str; 6] = ["", "a", "a\0", "ab", "b", "\u{10ffff}"];

fn views() -> impl Strategy<Value = Vec<(String, View)>> {
    let view = (select(&OWNERS), prop::option::of(-2..3_i64), any::<bool>(), -1..3_i8);
    let view = view.prop_map(|(owner, balance, open, share)| View {
        owner: owner.to_owned(),
        balance,
        open,
        share: (share >= 0).then(|| f64::from(share) / 2.0),
        tags: vec!["balance".to_owned()],
    });
    prop::collection::btree_map("[a-c]{1,2}", view, 0..20)
        .prop_map(|views| views.into_iter().collect())
}

fn value_of(field: &str) -> BoxedStrategy<String> {
    match field {
        "owner" => select(&OWNERS).prop_map(str::to_owned).boxed(),
        "balance" => (-3..4_i64).prop_map(|value| value.to_string()).boxed(),
        "open" => any::<bool>().prop_map(|value| value.to_string()).boxed(),
        "share" => select(&["-1", "0", "0.5", "1"]).prop_map(str::to_owned).boxed(),
        _ => "[a-d]{1,2}".boxed(),
    }
}

fn filter(field: &'static str, is: Comparison) -> BoxedStrategy<Filter> {
    let value = match is {
        Comparison::Null => any::<bool>().prop_map(|value| value.to_string()).boxed(),
        _ => value_of(field),
    };
    value.prop_map(move |value| Filter { field: field.to_owned(), is, value }).boxed()
}

/// What some index serves: equality on the first of its fields, a range or an order on the next.
fn asked() -> impl Strategy<Value = Asked> {
    let indexes: Vec<&[&str]> = INDEXES.iter().copied().chain([&["key"][..]]).collect();
    let of_index = (select(indexes), any::<prop::sample::Index>()).prop_flat_map(|(index, at)| {
        let (equal, rest) = index.split_at(at.index(index.len()));
        let equal: Vec<_> = equal.iter().map(|field| filter(field, Comparison::Equal)).collect();
        let next = rest[0];
        let ranges = [
            vec![],
            vec![Comparison::Null],
            vec![Comparison::Above],
            vec![Comparison::AtLeast, Comparison::Below],
            vec![Comparison::AtMost],
            vec![Comparison::Above, Comparison::AtMost],
        ];
        let ranges = if next == "key" { vec![vec![], ranges[3].clone()] } else { ranges.to_vec() };
        let ranges = select(ranges).prop_flat_map(move |ranges| {
            ranges.into_iter().map(|is| filter(next, is)).collect::<Vec<_>>()
        });
        let sort = |descending| Sort { field: next.to_owned(), descending };
        (equal, ranges, prop::option::of(any::<bool>().prop_map(sort)), 1..6_usize)
    });
    of_index.prop_map(|(equal, ranges, sort, limit)| {
        let filters = equal.into_iter().chain(ranges).collect();
        Asked { filters, sort, limit }
    })
}

fn compare(one: &str, other: &str) -> Ordering {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.partial_cmp(&other).expect("no NaN"),
        _ => one.cmp(other),
    }
}

/// The value of a field as text; none when it is `null` or absent.
fn text_of(key: &str, view: &View, field: &str) -> Option<String> {
    match field {
        "owner" => Some(view.owner.clone()),
        "balance" => view.balance.map(|value| value.to_string()),
        "open" => Some(view.open.to_string()),
        "share" => view.share.map(|value| value.to_string()),
        _ => Some(key.to_owned()),
    }
}

fn holds(key: &str, view: &View, filter: &Filter) -> bool {
    let value = text_of(key, view, &filter.field);
    if filter.is == Comparison::Null {
        return value.is_none() == (filter.value == "true");
    }
    let Some(value) = value else { return false };
    let order = compare(&value, &filter.value);
    match filter.is {
        Comparison::Equal => order.is_eq(),
        Comparison::Below => order.is_lt(),
        Comparison::AtMost => order.is_le(),
        Comparison::Above => order.is_gt(),
        Comparison::AtLeast => order.is_ge(),
        Comparison::Null => false,
    }
}

/// The keys of the list, in order: by the field of the order or range, by the other fields of the
/// index that serves it, by key.
fn expected(views: &[(String, View)], asked: &Asked, index: &[&str]) -> Vec<String> {
    let is_listed =
        |(key, view): &&(String, View)| asked.filters.iter().all(|it| holds(key, view, it));
    let mut listed: Vec<_> = views.iter().filter(is_listed).collect();
    listed.sort_by(|(one, a), (other, b)| {
        let by_field =
            index.iter().map(|field| match (text_of(one, a, field), text_of(other, b, field)) {
                (Some(one), Some(other)) => compare(&one, &other),
                (one, other) => one.is_some().cmp(&other.is_some()),
            });
        by_field.fold(Ordering::Equal, Ordering::then).then_with(|| one.cmp(other))
    });
    if asked.sort.as_ref().is_some_and(|sort| sort.descending) {
        listed.reverse();
    }
    listed.into_iter().map(|(key, _)| key.clone()).collect()
}

fn plan(asked: &Asked, cursor: Option<String>) -> Result<Plan, Unlisted> {
    let Asked { filters, sort, limit } = asked.clone();
    let query = ListQuery { filters, sort, limit, cursor, ..ListQuery::default() };
    Plan::of(Name::new("shelves").expect("a name"), 1, &indexes(), &query)
}

/// All pages of a list, by the cursors of each.
fn pages(views: &[(String, View)], asked: &Asked) -> Vec<String> {
    let (indexes, mut listed, mut cursor) = (indexes(), Vec::new(), None);
    loop {
        let plan = plan(asked, cursor.take()).expect("some index serves it");
        let at = indexes.names().position(|name| name == plan.range.index);
        let members: BTreeSet<Bytes> = views
            .iter()
            .map(|(key, view)| {
                let (json, doc) = (serde_json::to_vec(view).expect("JSON"), format!("doc:{key}"));
                let members = indexes.members(&json, &doc);
                at.map_or_else(|| Bytes::from(doc), |at| members[at].clone())
            })
            .collect();
        let bounds = (plan.range.from.clone(), plan.range.to.clone());
        let crosses = RangeQuery { limit: 1, ..plan.range.clone() }.is_empty();
        let within = if crosses { vec![] } else { members.range(bounds).collect() };
        let within: Vec<&Bytes> =
            if plan.range.descending { within.into_iter().rev().collect() } else { within };
        let page = &within[..within.len().min(asked.limit)];
        for member in page {
            let key = Listed::key_of(member);
            listed.push(String::from_utf8(key[4..].to_vec()).expect("text"));
        }
        match page.last() {
            Some(last) if page.len() == asked.limit => cursor = Some(plan.cursor(last)),
            _ => return listed,
        }
    }
}

proptest! {
    #[test]
    fn pages_by_cursor_are_the_filtered_and_sorted_list(views in views(), asked in asked()) {
        let used = plan(&asked, None).expect("some index serves it").range.index;
        let fields: Vec<&str> = used.split(',').collect();
        prop_assert_eq!(pages(&views, &asked), expected(&views, &asked, &fields));
    }

    #[test]
    fn a_cursor_of_another_query_or_a_changed_one_is_refused(
        [one, other] in [asked(), asked()],
        at in any::<prop::sample::Index>(),
    ) {
        let plan_of = |asked| plan(asked, None).expect("some index serves it");
        let cursor = plan_of(&one).cursor(b"\x02a\0\x01\0doc:a");
        prop_assert!(plan(&one, Some(cursor.clone())).is_ok());
        let same = format!("{:?}", plan_of(&one).range) == format!("{:?}", plan_of(&other).range);
        prop_assert_eq!(plan(&other, Some(cursor.clone())).is_ok(), same);
        let mut changed = cursor.into_bytes();
        let at = at.index(changed.len());
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).expect("text");
        prop_assert_eq!(plan(&one, Some(changed)).err(), Some(Unlisted::BadCursor));
    }

    #[test]
    fn a_cursor_that_is_none_is_refused(cursor in "\\PC{0,80}", asked in asked()) {
        prop_assert_eq!(plan(&asked, Some(cursor)).err(), Some(Unlisted::BadCursor));
    }

    #[test]
    fn equalities_may_stand_in_any_order(
        fields in subsequence(vec!["owner", "balance", "open"], 0..=3).prop_shuffle(),
    ) {
        let filters: Vec<Filter> = fields
            .iter()
            .map(|field| Filter {
                field: (*field).to_owned(),
                is: Comparison::Equal,
                value: if *field == "open" { "true".to_owned() } else { "1".to_owned() },
            })
            .collect();
        let asked = Asked { filters, sort: None, limit: 1 };
        let has = |field| fields.contains(&field);
        // [open] alone, [open, balance] and all three begin an index, and all without [open] do.
        let is_served = !has("open") || has("balance") || !has("owner");
        prop_assert_eq!(plan(&asked, None).is_ok(), is_served, "{:?}", fields);
    }
}

#[test]
fn what_no_index_serves_names_the_parameter() {
    let is = |field: &str, is| Filter { field: field.into(), is, value: "1".into() };
    let equal = |field| is(field, Comparison::Equal);
    let by = |field: &str| Some(Sort { field: field.into(), descending: true });
    for (filters, sort, wrong, why) in [
        (vec![], by("colour"), "sort", "`colour`"),
        (vec![equal("colour")], None, "colour", "no index has this field"),
        (vec![is("tags", Comparison::Below)], None, "tags.lt", "no index has this field"),
        (vec![equal("open"), equal("owner")], None, "open", "begins with `open` and `owner`"),
        (vec![is("open", Comparison::Above)], by("balance"), "sort", "sorted by it"),
        (vec![equal("open")], by("owner"), "sort", "goes on with `owner` behind `open`"),
        (
            vec![is("owner", Comparison::Above), equal("balance")],
            None,
            "owner.gt",
            "goes on with `owner` behind `balance`",
        ),
        (
            vec![is("owner", Comparison::Above), is("balance", Comparison::Above)],
            None,
            "balance.gt",
            "one field only",
        ),
        (vec![equal("owner"), equal("owner")], None, "owner", "twice"),
        (
            vec![is("balance", Comparison::Above), is("balance", Comparison::AtLeast)],
            None,
            "balance.gte",
            "twice",
        ),
    ] {
        let refused = plan(&Asked { filters, sort, limit: 1 }, None).err();
        let Some(Unlisted::NotServed { parameter, detail }) = refused else {
            panic!("{wrong}: {refused:?}")
        };
        assert_eq!(parameter, wrong, "{detail}");
        assert!(detail.contains(why), "{wrong}: {detail}");
    }
    let bad = Filter { value: "much".into(), ..is("balance", Comparison::AtLeast) };
    let refused = plan(&Asked { filters: vec![bad], sort: None, limit: 1 }, None).err();
    let (parameter, expected) = ("balance.gte".to_owned(), "a whole number");
    assert_eq!(refused, Some(Unlisted::BadValue { parameter, expected }));
}
