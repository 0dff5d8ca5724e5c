//! The builder: aggregates, projections and policies in, a running application out.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::adapters::SystemClock;
#[cfg(feature = "http")]
use crate::auth;
use crate::commands;
use crate::config::{Config, HistoryConfig, NodeConfig};
use crate::contract::{
    Aggregate, InvalidName, LinkedProjection, Name, Policy, Process, Projection, Registrar,
};
use crate::events::event_flaws;
use crate::policies;
use crate::ports::{Bookmarks, Clock, EventLog, Ids, Tails, ViewStore};
use crate::projections;
use crate::react::policies::{Policies, Registered, RegisteredProcess};
use crate::react::timer::OnTick;
use crate::read::{self, AnyProjection, History, Keyed, Merged, Projections, Traces};
use crate::shutdown::Shutdown;
use crate::write::{AnyKind, Commands, Identity, Kind, Kinds};

use super::keeper::Keeper;
use super::open::open_ports;
use super::outside::Outside;
use super::parts::{Parts, Reactions, start_reacting};
use super::{App, AppError};

/// Names that mean something else in URLs or in the store.
const RESERVED: [&str; 4] = ["state", "generations", "history", "traces"];

type NewKind = Box<dyn FnOnce(Ids) -> Arc<dyn AnyKind> + Send>;

/// Puts an application together.
///
/// ```
/// use retell::app::App;
/// # use retell::doc::{CellarIsDark, Light, Lights, LightsOn};
///
/// # #[tokio::main] async fn main() -> Result<(), retell::app::AppError> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).merged(LightsOn);
/// let app = app.policy(CellarIsDark).build().await?;
/// app.stop().await;
/// # Ok(()) }
/// ```
pub struct AppBuilder {
    config: Config,
    clock: Arc<dyn Clock>,
    log: Option<Arc<dyn EventLog>>,
    store: Option<Arc<dyn ViewStore>>,
    kinds: Vec<NewKind>,
    projections: Vec<Arc<dyn AnyProjection>>,
    reactions: Reactions,
    projections_on: Option<Handle>,
    replays_on: Option<Handle>,
    problems: Vec<String>,
    #[cfg(feature = "http")]
    authorize: Option<auth::Authorize>,
}

impl AppBuilder {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            clock: Arc::new(SystemClock),
            log: None,
            store: None,
            kinds: Vec::new(),
            projections: Vec::new(),
            reactions: Reactions::default(),
            projections_on: None,
            replays_on: None,
            problems: Vec::new(),
            #[cfg(feature = "http")]
            authorize: None,
        }
    }

    /// Adds an aggregate, with the services that its decisions use.
    #[must_use]
    pub fn aggregate<A: Aggregate>(self, services: A::Services) -> Self {
        Registrar::aggregate::<A>(self, services)
    }

    /// Adds a projection with one view per aggregate.
    #[must_use]
    pub fn projection<P: Projection>(self, projection: P) -> Self {
        Registrar::projection(self, projection)
    }

    /// Adds a projection whose views are merged over the partitions.
    #[must_use]
    pub fn merged<P: LinkedProjection>(self, projection: P) -> Self {
        Registrar::merged(self, projection)
    }

    /// Adds a policy.
    #[must_use]
    pub fn policy<P: Policy>(self, policy: P) -> Self {
        Registrar::policy(self, policy)
    }

    /// Adds a process.
    #[must_use]
    pub fn process<P: Process>(self, process: P) -> Self {
        Registrar::process(self, process)
    }

    /// What the timer does at each tick, where `timer.enabled` says so.
    #[must_use]
    pub fn timer(self, on_tick: OnTick) -> Self {
        Registrar::timer(self, on_tick)
    }

    /// Adds the account and the message that Retell ships, with their views and policies.
    #[must_use]
    pub fn shipped(self) -> Self {
        policies::register(projections::register(commands::register(self)))
    }

    /// Folds views and speaks to the view store on this runtime, so that busy projections take
    /// no time from requests; otherwise on the one that builds.
    #[must_use]
    pub fn projections_on(mut self, runtime: Handle) -> Self {
        self.projections_on = Some(runtime);
        self
    }

    /// Builds generations on this runtime, so that a replay takes no time from projections that
    /// follow; otherwise where those are folded.
    #[must_use]
    pub fn replays_on(mut self, runtime: Handle) -> Self {
        self.replays_on = Some(runtime);
        self
    }

    /// Decides for each instance whether a caller may do what its roles allow: at the door only,
    /// not for commands that the application itself sends. It is asked often, and must not wait.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn authorize(
        mut self,
        authorize: impl Fn(&auth::Principal, auth::Asked<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.authorize = Some(Arc::new(authorize));
        self
    }

    /// Uses another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Uses this log instead of the one that `log.url` names.
    #[doc(hidden)]
    #[must_use]
    pub fn log(mut self, log: Arc<dyn EventLog>) -> Self {
        self.log = Some(log);
        self
    }

    /// Uses this store instead of the one that `views.url` names.
    #[doc(hidden)]
    #[must_use]
    pub fn store(mut self, store: Arc<dyn ViewStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Keeps bookmarks here instead of beside the log that `log.url` names.
    #[doc(hidden)]
    #[must_use]
    pub fn bookmarks(mut self, bookmarks: Arc<dyn Bookmarks>) -> Self {
        self.reactions.bookmarks = Some(bookmarks);
        self
    }

    /// Starts writers, projectors and policies. Where the log or the store does not answer, they
    /// wait for it; where its settings are wrong, nothing starts.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn build(self) -> Result<App, AppError> {
        let Self { config, clock, log, store, kinds, projections, reactions, .. } = self;
        let mut problems = self.problems;
        let policies = reactions.policies(&mut problems);
        let bookmarks = reactions.bookmarks(&config, log.is_some());
        let shown = reactions.shown_bookmarks(&config, &bookmarks);
        let projections_on = self.projections_on.unwrap_or_else(Handle::current);
        let replays_on = self.replays_on.unwrap_or_else(|| projections_on.clone());
        let ids = Ids::new(clock.clone());
        let kinds = collect_kinds(kinds, &ids, &mut problems);
        let projections = projections.into_iter().chain(built_in(&config.history, &clock, &kinds));
        let projections = collect_projections(projections, &mut problems);
        if !problems.is_empty() {
            return Err(AppError::Domain(problems));
        }
        let (stop, mut tasks) = (Shutdown::default(), JoinSet::new());
        #[cfg(feature = "http")]
        let authority = open_authority(&config, &clock, self.authorize, &stop, &mut tasks).await?;
        let (log, store) = open_ports(log, store, &projections_on, &config, clock).await?;
        let keeper = Keeper::new(log.clone(), store.clone(), config.views.check_interval);
        let (log_gate, store_gate) = keeper.gates();
        keeper.first_check().await?;
        tasks.spawn(keeper.run(stop.clone()));
        let node = identity(&config, &ids, &policies);
        let outside = Outside::open(&config, &node, &log, &log_gate).await?;
        let tails = Tails::new(log.partitions());
        let parts = Parts { config: &config, log, store, log_gate, store_gate, ids, node, tails };
        let commands = Commands::start(parts.of_writers(kinds), &stop, &mut tasks);
        let (reading, (reacting, timer)) = {
            let _on = projections_on.enter();
            let readers = parts.of_readers(projections, shown, replays_on);
            let reading = read::start(readers, &stop, &mut tasks);
            let (on_tick, loops) = (reactions.on_tick, (&commands, &reading));
            let reacting =
                start_reacting(&parts, policies, on_tick, bookmarks, loops, &stop, &mut tasks);
            (reading, reacting)
        };
        let (inbox, outbox) = outside.start(&commands, &projections_on, &stop, &mut tasks);
        let Parts { log, store, log_gate, store_gate, ids, node, .. } = parts;
        Ok(App {
            #[cfg(feature = "http")]
            authority,
            started_at: ids.now(),
            config,
            node,
            commands,
            reading,
            inbox,
            outbox,
            reacting,
            timer,
            closing: Shutdown::default(),
            log,
            store,
            log_gate,
            store_gate,
            stop,
            tasks,
        })
    }

    fn name(&mut self, name: &'static str) -> Option<Name> {
        let reserved = RESERVED.contains(&name) || name.starts_with("policy");
        match Name::new(name) {
            Ok(name) if !reserved => return Some(name),
            Ok(_) => self.problems.push(format!("the name `{name}` is reserved")),
            Err(InvalidName(_)) => {
                self.problems.push(format!("the name `{name}` must match [a-z][a-z0-9-]{{0,62}}"));
            }
        }
        None
    }
}

impl Registrar for AppBuilder {
    fn aggregate<A: Aggregate>(mut self, services: A::Services) -> Self {
        let flaws = event_flaws::<A>();
        let flaws = flaws.iter().map(|flaw| format!("aggregate `{}`: {flaw}", A::TYPE));
        self.problems.extend(flaws);
        if let Some(name) = self.name(A::TYPE) {
            self.kinds.push(Box::new(move |ids| Arc::new(Kind::<A>::new(name, services, ids))));
        }
        self
    }

    fn projection<P: Projection>(mut self, projection: P) -> Self {
        if let Some(name) = self.name(P::NAME) {
            match Keyed::new(name, projection) {
                Ok(keyed) => self.projections.push(Arc::new(keyed)),
                Err(flaws) => {
                    let flaws = flaws.iter().map(|flaw| format!("projection `{name}`: {flaw}"));
                    self.problems.extend(flaws);
                }
            }
        }
        self
    }

    fn merged<P: LinkedProjection>(mut self, projection: P) -> Self {
        if let Some(name) = self.name(P::NAME) {
            self.projections.push(Arc::new(Merged::new(name, projection)));
        }
        self
    }

    fn policy<P: Policy>(mut self, policy: P) -> Self {
        if let Some(name) = self.name(P::NAME) {
            self.reactions.policies.push(Arc::new(Registered::new(name, policy)));
        }
        self
    }

    fn process<P: Process>(mut self, process: P) -> Self {
        if let Some(name) = self.name(P::NAME) {
            self.reactions.policies.push(Arc::new(RegisteredProcess::new(name, process)));
        }
        self
    }

    fn timer(mut self, on_tick: OnTick) -> Self {
        self.reactions.on_tick = Some(on_tick);
        self
    }
}

#[cfg(feature = "http")]
async fn open_authority(
    config: &Config,
    clock: &Arc<dyn Clock>,
    authorize: Option<auth::Authorize>,
    stop: &Shutdown,
    tasks: &mut JoinSet<()>,
) -> Result<auth::Authority, AppError> {
    let settings = (&config.auth, &config.http.rate);
    let opened = auth::Authority::start(settings, clock.clone(), authorize, stop, tasks).await;
    opened.map_err(|auth::AuthError { setting: key, detail }| AppError::Setting { key, detail })
}

fn collect_kinds(kinds: Vec<NewKind>, ids: &Ids, problems: &mut Vec<String>) -> Kinds {
    let mut all = Kinds::default();
    for kind in kinds {
        if let Err(name) = all.add(kind(ids.clone())) {
            problems.push(format!("two aggregates have the name `{name}`"));
        }
    }
    all
}

/// What Retell itself keeps of every record.
fn built_in(
    config: &HistoryConfig,
    clock: &Arc<dyn Clock>,
    kinds: &Kinds,
) -> [Arc<dyn AnyProjection>; 2] {
    let types: Vec<&'static str> = kinds.iter().map(|kind| kind.name().as_str()).collect();
    let (keep, records_max) = (config.trace_keep, config.trace_records_max);
    let traces = Traces::new(types.clone(), keep, records_max, clock.clone());
    [Arc::new(History::new(types)), Arc::new(traces)]
}

fn collect_projections(
    projections: impl Iterator<Item = Arc<dyn AnyProjection>>,
    problems: &mut Vec<String>,
) -> Projections {
    let mut all = Projections::default();
    for projection in projections {
        if let Err(name) = all.add(projection) {
            problems.push(format!("two projections have the name `{name}`"));
        }
    }
    all
}

/// Who this process is: by the settings, else by the host's name and the address of the door.
fn identity(config: &Config, ids: &Ids, policies: &Policies) -> Identity {
    let NodeConfig { id, address } = &config.node;
    let scheme = if config.http.tls.is_used() { "https" } else { "http" };
    let listen = || format!("{scheme}://{}", config.http.listen);
    Identity {
        node: if id.is_empty() { host_name() } else { id.clone() },
        instance: ids.next(),
        address: if address.is_empty() { listen() } else { address.clone() },
        policies: policies.iter().map(|policy| policy.name().to_string()).collect(),
    }
}

fn host_name() -> String {
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
