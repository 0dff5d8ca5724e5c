//! Lists of the shipped accounts, on any view store.

use std::sync::Arc;

use retell::Positions;
use retell::adapters::SystemClock;
use retell::adapters::embedded::EmbeddedViews;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::ports::ViewStore;
use retell::read::{Filter, ListQuery, Sort};
use tempfile::TempDir;
use uuid::Uuid;

use super::redis::{shared_url, views};
use super::shipped::Shipped;
use super::writers::{PATIENCE, partitions};

pub(crate) fn memory() -> Arc<dyn ViewStore> {
    Arc::new(MemoryViews::new(Arc::new(SystemClock)))
}

pub(crate) fn embedded() -> (Arc<dyn ViewStore>, TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let views = EmbeddedViews::open(dir.path(), Arc::new(SystemClock)).expect("opens");
    (Arc::new(views), dir)
}

pub(crate) fn redis() -> Arc<dyn ViewStore> {
    Arc::new(views(&shared_url(), &Uuid::now_v7().to_string()))
}

pub(crate) async fn start(store: Arc<dyn ViewStore>) -> Shipped {
    let log = MemoryLog::new(partitions(3), Arc::new(SystemClock));
    Shipped::start(Arc::new(log), store).await
}

pub(crate) fn list(
    filters: &[Filter],
    sort: Option<&str>,
    descending: bool,
    limit: usize,
) -> ListQuery {
    let sort = sort.or(descending.then(|| filters.last().map_or("key", |it| it.field.as_str())));
    let sort = sort.map(|field| Sort { field: field.to_owned(), descending });
    ListQuery { filters: filters.to_vec(), sort, limit, ..ListQuery::default() }
}

/// Every view of a list, page by page.
pub(crate) async fn pages(app: &Shipped, query: &ListQuery, after: &Positions) -> Vec<Vec<u8>> {
    let (mut found, mut query) = (Vec::new(), query.clone());
    loop {
        let page = app.0.views().page("accounts", &query, after, PATIENCE).await.expect("a page");
        assert!(page.views.len() <= query.limit);
        found.extend(page.views.iter().map(|view| view.to_vec()));
        match page.next_cursor {
            Some(next) => query.cursor = Some(next),
            None => return found,
        }
    }
}
