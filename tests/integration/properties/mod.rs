//! Laws that hold for every history, searched with random ones; a failure prints its smallest
//! case and the seed that finds it again.

mod copying;
mod domains;
mod generations;
mod histories;
mod inbox;
mod lists;
mod parking;
mod restarts;
mod transfers;
