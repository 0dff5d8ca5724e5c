//! Where aggregates, projections and policies are listed: an application takes the list.

use super::{Aggregate, Instruction, LinkedProjection, Policy, Process, Projection, Tick};

/// Takes a list of aggregates, projections and policies, one call each.
/// [`App`](crate::app::AppBuilder) is one; the lists of the shipped domains are written against it.
///
/// ```
/// use retell::Registrar;
/// use retell::app::App;
/// # use retell::doc::{CellarIsDark, Light, Lights, LightsOn};
///
/// /// All that is about lights, for a service and for its tests.
/// fn lights<R: Registrar>(to: R) -> R {
///     to.aggregate::<Light>(()).projection(Lights).merged(LightsOn).policy(CellarIsDark)
/// }
/// let application = lights(App::ephemeral());
/// ```
pub trait Registrar: Sized {
    /// Takes an aggregate, with the services that its decisions use.
    #[must_use]
    fn aggregate<A: Aggregate>(self, services: A::Services) -> Self;

    /// Takes a projection with one view per aggregate.
    #[must_use]
    fn projection<P: Projection>(self, projection: P) -> Self;

    /// Takes a projection whose views are merged over the partitions.
    #[must_use]
    fn merged<P: LinkedProjection>(self, projection: P) -> Self;

    /// Takes a policy.
    #[must_use]
    fn policy<P: Policy>(self, policy: P) -> Self;

    /// Takes a process.
    #[must_use]
    fn process<P: Process>(self, process: P) -> Self;

    /// Takes what the timer does at each tick, where `timer.enabled` says so.
    #[must_use]
    fn timer(self, on_tick: fn(&Tick) -> Instruction) -> Self;
}
