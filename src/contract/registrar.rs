//! Where aggregates and projections are listed: an application takes the list.

use super::{Aggregate, LinkedProjection, Projection};

/// Takes a list of aggregates and projections, one call each. [`App`](crate::app::AppBuilder)
/// is one; the lists of the shipped domains are written against it.
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
}
