//! An account's projections that cannot fold what is on a list: as a faulty binary has them, and
//! once the list is emptied, as the next one has.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use retell::app::App;
use retell::commands::Account;
use retell::config::Config;
use retell::events::account::AccountEvent;
use retell::ports::{EventLog, ViewStore};
use retell::projections::Accounts;
use retell::read::ParkedSequence;
use retell::{Key, MergedProjection, Position, Projection, Recorded, Sources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shipped::Shipped;
use super::writers::PATIENCE;

/// What must not come along.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Trap {
    /// A deposit of this amount panics in the fold.
    Fold(i64),
    /// A deposit of this amount panics in `keys`, of the merged projection.
    Keys(i64),
}

/// What the projections stumble over; shared by all that are made of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traps(Arc<Mutex<BTreeSet<Trap>>>);

/// All deposits of an account, in order, so that one that is left out or doubled is seen.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub(crate) struct Deposits {
    pub(crate) amounts: Vec<i64>,
}

/// The view `fragile`, by account.
pub(crate) struct Fragile(Traps);

/// The view `fragile-total`, under the key `all`.
pub(crate) struct FragileTotal(Traps);

impl Traps {
    pub(crate) fn set(&self, trap: Trap) {
        self.0.lock().expect("no panic").insert(trap);
    }

    /// As the next binary, which is mended.
    pub(crate) fn clear(&self, trap: Trap) {
        self.0.lock().expect("no panic").remove(&trap);
    }

    fn spring(&self, trap: Trap) {
        let is_set = self.0.lock().expect("no panic").contains(&trap);
        assert!(!is_set, "{trap:?} on purpose");
    }
}

impl Projection for Fragile {
    type Aggregate = Account;
    type View = Deposits;
    const NAME: &'static str = "fragile";
    const REVISION: u32 = 1;

    fn fold(
        &self,
        view: Option<Deposits>,
        event: &AccountEvent,
        _: &Recorded<'_>,
    ) -> Option<Deposits> {
        let mut view = view.unwrap_or_default();
        if let AccountEvent::MoneyDeposited { amount, .. } = *event {
            self.0.spring(Trap::Fold(amount));
            view.amounts.push(amount);
        }
        Some(view)
    }
}

impl MergedProjection for FragileTotal {
    type View = Deposits;
    const NAME: &'static str = "fragile-total";
    const REVISION: u32 = 1;

    fn sources(&self) -> Sources {
        Sources::default().and::<Account>()
    }

    fn keys(&self, recorded: &Recorded<'_>) -> Vec<Key> {
        if let Some(AccountEvent::MoneyDeposited { amount, .. }) = recorded.event::<Account>() {
            self.0.spring(Trap::Keys(*amount));
        }
        vec![Key::new("all").expect("key")]
    }

    fn fold(&self, part: Deposits, _: &Key, recorded: &Recorded<'_>) -> Deposits {
        let mut amounts = part.amounts;
        if let Some(AccountEvent::MoneyDeposited { amount, .. }) = recorded.event::<Account>() {
            amounts.push(*amount);
            amounts.sort_unstable();
        }
        Deposits { amounts }
    }

    fn merge(&self, left: Deposits, right: Deposits) -> Deposits {
        let mut amounts = [left.amounts, right.amounts].concat();
        amounts.sort_unstable();
        Deposits { amounts }
    }
}

/// The account with these projections beside the shipped one, on any log and any store.
pub(crate) async fn start(
    log: Arc<dyn EventLog>,
    store: Arc<dyn ViewStore>,
    traps: &Traps,
    mut config: Config,
) -> Shipped {
    config.queries.wait_default = PATIENCE;
    let app = App::builder(config).log(log).store(store).aggregate::<Account>(());
    let app = app.projection(Accounts).projection(Fragile(traps.clone()));
    Shipped(app.merged(FragileTotal(traps.clone())).build().await.expect("an application"))
}

/// The deposits that the view shows as of a position.
pub(crate) async fn deposits(app: &Shipped, id: &str, after: Position) -> Option<Vec<i64>> {
    let view = app.0.view::<Fragile>(id, after).await.expect("a view in time");
    view.map(|view| view.amounts)
}

/// The one sequence that the projection holds back, once it does.
pub(crate) async fn parked(app: &Shipped, projection: &str) -> ParkedSequence {
    parked_from(app, projection, 1).await
}

/// The one sequence, once at least so many of its records are held back: a lane tells of them
/// just after its views can be seen.
pub(crate) async fn parked_from(app: &Shipped, projection: &str, count: u64) -> ParkedSequence {
    let looking = async {
        loop {
            let mut parked = app.0.views().parked();
            parked.retain(|it| it.projection == projection && it.count >= count);
            match &parked[..] {
                [] => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                [parked] => return parked.clone(),
                many => panic!("one was expected: {many:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("parked in time")
}
