//! Lists: a page of the views that an index lists, merged over the partitions.
//!
//! Each partition is read at one instant, members and views together. A member that a partition
//! has not told of yet may come before those of others: a page holds only what is certain.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;

use crate::contract::{Partition, Position, Positions};
use crate::ports::RangeQuery;

use super::generations::Live;
use super::index::{ListQuery, Plan, Unlisted};
use super::queries::{Entry, Look, Views, position};
use super::query_error::QueryError;
use super::standing::indexes;
use super::status::ViewKind;
use super::waiting::Waiting;

/// What is asked of each partition beyond its share of a page and half of it, since no two have the
/// same: of 50 on 4 partitions, one in a thousand has more (three standard deviations).
const SLACK: usize = 4;

/// Some views of a list, in its order.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{Positions, app::App, read::ListQuery, write::SendOptions};
/// # use retell::doc::{Light, LightCommand, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let (mut seen, wait) = (Positions::default(), Duration::from_secs(5));
/// for id in ["attic", "cellar", "hall"] {
///     let order = LightCommand::SwitchOn {};
///     let done = app.commands().send::<Light>(id, order, SendOptions::default()).await?;
///     seen.add(done.position);
/// }
/// let query = ListQuery { limit: 2, ..ListQuery::default() };
/// let page = app.views().page("lights", &query, &seen, wait).await?;
/// let query = ListQuery { cursor: page.next_cursor, ..query };
/// let last = app.views().page("lights", &query, &seen, wait).await?;
/// assert_eq!((page.views.len(), last.views.len(), last.next_cursor), (2, 1, None));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Page {
    /// The JSON of each.
    pub views: Vec<Bytes>,
    /// What to ask the next page with, if there is one.
    pub next_cursor: Option<String>,
    /// Everything up to here is in it: one position for each partition.
    pub positions: Positions,
}

/// What one partition has of a page.
struct Part {
    partition: Partition,
    position: Position,
    /// Members and their views.
    listed: Vec<(Bytes, Bytes)>,
    /// How many were asked for.
    asked: usize,
    /// Whether it has more than it told.
    has_more: bool,
}

impl Views {
    /// A page of views, as of at least these positions; waits for them at most this long.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn page(
        &self,
        projection: &str,
        query: &ListQuery,
        after: &Positions,
        wait: Duration,
    ) -> Result<Page, QueryError> {
        let entry = self.0.entry(projection)?;
        let plan = plan(entry, query)?;
        self.0.check(after)?;
        let mut waiting = Waiting::new(&self.0, entry, after, wait);
        loop {
            let live = waiting.live().await?;
            match self.look_at_page(&live, &plan, query, after).await? {
                Look::Answer(page) => return Ok(page),
                Look::Miss(miss) => waiting.missed(&live, miss).await?,
            }
        }
    }

    async fn look_at_page(
        &self,
        live: &Live,
        plan: &Plan,
        query: &ListQuery,
        after: &Positions,
    ) -> Result<Look<Page>, QueryError> {
        let partitions = self.0.log.partitions();
        // One more than the page holds tells whether there is another page.
        let wanted = query.limit.max(1).saturating_add(1);
        let share = wanted.div_ceil(partitions.count() as usize);
        let first = wanted.min(share + share / 2 + SLACK);
        let bytes_max = query.bytes_max / partitions.count() as usize;
        let reads = partitions.iter().map(|p| self.part(live, plan, p, first, bytes_max, after));
        let mut parts = Vec::new();
        for part in try_join_all(reads).await? {
            match part {
                Look::Answer(part) => parts.push(part),
                Look::Miss(miss) => return Ok(Look::Miss(miss)),
            }
        }
        let descending = plan.range.descending;
        // Nearly never, since keys are spread by their hash: a partition has more of the page
        // than was asked for.
        while let Some(at) = short(&parts, wanted, descending) {
            let partition = parts[at].partition;
            match self.part(live, plan, partition, wanted, bytes_max, after).await? {
                Look::Answer(part) => parts[at] = part,
                Look::Miss(miss) => return Ok(Look::Miss(miss)),
            }
        }
        Ok(Look::Answer(page(parts, plan, query)))
    }

    async fn part(
        &self,
        live: &Live,
        plan: &Plan,
        partition: Partition,
        asked: usize,
        bytes_max: usize,
        after: &Positions,
    ) -> Result<Look<Part>, QueryError> {
        let space = live.space(partition).expect("a generation has all partitions");
        let query = RangeQuery { limit: asked, ..plan.range.clone() };
        let (state, listed) = self.0.store.page(space, &query, bytes_max).await?;
        let position = match position(state.checkpoint().copied(), after, live, partition) {
            Ok(position) => position,
            Err(miss) => return Ok(Look::Miss(miss)),
        };
        let bytes: usize = listed.iter().filter_map(|it| it.value.as_ref()).map(Bytes::len).sum();
        let has_more = listed.len() == asked || bytes > bytes_max;
        let with_views = listed.into_iter().map(|it| Some((it.member, it.value?)));
        let Some(listed) = with_views.collect::<Option<_>>() else {
            tracing::error!(%space, index = query.index, "the view store has lost a listed view");
            live.give_up(partition);
            let detail = format!("views of partition {partition} are being rebuilt");
            return Err(QueryError::Behind(detail));
        };
        Ok(Look::Answer(Part { partition, position, listed, asked, has_more }))
    }
}

fn plan(entry: &Entry, query: &ListQuery) -> Result<Plan, QueryError> {
    let projection = entry.projection.as_ref();
    let (name, revision) = (projection.name(), projection.revision());
    if !matches!(projection.kind(), ViewKind::Aggregate(_)) {
        return Err(QueryError::NotListed(name.to_string()));
    }
    Plan::of(name, revision, projection.indexes(), query).map_err(|unlisted| match unlisted {
        Unlisted::NotServed { parameter, detail } => {
            QueryError::NotServed { parameter, detail, indexes: indexes(projection) }
        }
        Unlisted::BadValue { parameter, expected } => {
            QueryError::BadValue { parameter, expected: expected.to_owned() }
        }
        Unlisted::BadCursor => QueryError::BadCursor,
    })
}

/// The part that ends first, of those that have more than they told; beyond its end nothing is
/// certain.
fn ends_first(parts: &[Part], descending: bool) -> Option<usize> {
    let unfinished = parts.iter().enumerate().filter(|(_, part)| part.has_more);
    let last = |(_, part): &(usize, &Part)| part.listed.last().map(|(member, _)| member.clone());
    let first = match descending {
        false => unfinished.min_by_key(last),
        true => unfinished.max_by_key(last),
    };
    first.map(|(at, _)| at)
}

/// Whether this member is certain to be next, when nothing is beyond `end`.
fn is_certain(member: &Bytes, end: Option<&Bytes>, descending: bool) -> bool {
    end.is_none_or(|end| if descending { member >= end } else { member <= end })
}

/// The part that must be read again, with more, for the page to be full.
fn short(parts: &[Part], wanted: usize, descending: bool) -> Option<usize> {
    let at = ends_first(parts, descending)?;
    let end = parts[at].listed.last().map(|(member, _)| member);
    let members = parts.iter().flat_map(|part| &part.listed).map(|(member, _)| member);
    let certain = members.filter(|member| is_certain(member, end, descending)).count();
    (certain < wanted && parts[at].asked < wanted).then_some(at)
}

fn page(parts: Vec<Part>, plan: &Plan, query: &ListQuery) -> Page {
    let descending = plan.range.descending;
    let end = ends_first(&parts, descending);
    let end = end.and_then(|at| parts[at].listed.last()).map(|(member, _)| member.clone());
    let positions = parts.iter().map(|part| part.position).collect();
    let mut listed: Vec<_> = parts.into_iter().flat_map(|part| part.listed).collect();
    listed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    if descending {
        listed.reverse();
    }
    let certain =
        listed.iter().take_while(|(member, _)| is_certain(member, end.as_ref(), descending));
    let (mut views, mut bytes, mut last) = (Vec::new(), 0, None);
    for (member, view) in certain.take(query.limit.max(1)) {
        if bytes > query.bytes_max {
            break;
        }
        bytes += view.len();
        views.push(view.clone());
        last = Some(member);
    }
    let has_next = views.len() < listed.len() || end.is_some();
    let next_cursor = last.filter(|_| has_next).map(|member| plan.cursor(member));
    Page { views, next_cursor, positions }
}
