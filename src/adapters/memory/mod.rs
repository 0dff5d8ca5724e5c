//! The log and the view store in memory, for tests and the simulation.

mod views;

pub use views::MemoryViews;
