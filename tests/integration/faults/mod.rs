//! Faults on real servers, and a checker that proves from outside that no law was broken.
//!
//! The simulation breaks a faked world in every way; here the service is the binary, the log is a
//! Kafka and the views are in a Redis, and they are killed, stopped, emptied and set back. The
//! story of each test is the same:
//!
//! 1. clients (`load`) fight over a few accounts; each call and its answer is noted (`history`);
//! 2. meanwhile something happens to a server (`scene`, `live`);
//! 3. all is mended, every key gets its outcome, and every account takes one more command;
//! 4. the topic is read from Kafka as it is and folded (`topic`, `ledger`);
//! 5. the `checker` compares what was answered with what is there, law by law, and the views must
//!    show the same accounts.
//!
//! Every call has a correlation id of its own, which its record carries: so a record says which of
//! several calls with one key wrote it, and a call that was said not to be done must have none. The
//! checker has been seen to fail: `doctored` hands it histories and topics in which one thing is
//! wrong.
//!
//! So have the tests of `live`, all seven, on a service that was broken for a run: on one that
//! answered when a record was handed to the producer, at the offset it expected (L1), and on one
//! that decided every command as if its key were new (L4).

mod checker;
mod doctored;
mod history;
mod ledger;
mod live;
mod load;
mod outcomes;
mod scene;
mod soak;
mod topic;
