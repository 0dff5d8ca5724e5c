//! What is on its way: records to the log, and reports back to who appended them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use retell::Partition;
use retell::log::Stamp;
use retell::ports::{Report, SendNumber};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Broker;
use super::appender::Outbox;

/// By the time at which it arrives, then by the order in which it was sent.
#[derive(Default)]
pub(super) struct Deliveries {
    queue: Mutex<BTreeMap<(Instant, u64), Delivery>>,
    sent: AtomicU64,
    added: Notify,
}

pub(super) enum Delivery {
    /// A record reaches the log.
    Land(Parcel),
    /// A report reaches its appender.
    Report(Arc<Outbox>, Report),
}

/// A record under way.
pub(super) struct Parcel {
    pub(super) partition: Partition,
    pub(super) key: Option<Bytes>,
    pub(super) stamp: Stamp,
    pub(super) value: Bytes,
    pub(super) outbox: Arc<Outbox>,
    pub(super) send: SendNumber,
    pub(super) answer: Answer,
}

/// What its appender will hear of a record that has landed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// Where it is.
    Offset,
    /// That it is there.
    Odd,
    /// Nothing, or it has heard something else before.
    None,
}

impl Deliveries {
    pub(super) fn add(&self, at: Instant, delivery: Delivery) {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        self.queue().insert((at, number), delivery);
        self.added.notify_one();
    }

    fn next_at(&self) -> Option<Instant> {
        self.queue().keys().next().map(|(at, _)| *at)
    }

    fn take_due(&self) -> Option<Delivery> {
        let mut queue = self.queue();
        let first = queue.first_entry().filter(|first| first.key().0 <= Instant::now())?;
        Some(first.remove())
    }

    fn queue(&self) -> MutexGuard<'_, BTreeMap<(Instant, u64), Delivery>> {
        self.queue.lock().expect("no panic while it is held")
    }
}

impl Broker {
    /// Delivers what is due, for ever.
    pub(in super::super) async fn deliver(self: Arc<Self>) {
        loop {
            while let Some(delivery) = self.deliveries.take_due() {
                self.deliver_one(delivery);
            }
            match self.deliveries.next_at() {
                None => self.deliveries.added.notified().await,
                Some(at) => tokio::select! {
                    biased;
                    () = self.deliveries.added.notified() => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }

    fn deliver_one(&self, delivery: Delivery) {
        match delivery {
            Delivery::Land(parcel) => self.deliver_parcel(parcel),
            Delivery::Report(outbox, report) => {
                let held_until = outbox.link.held_until();
                if held_until > Instant::now() {
                    self.deliveries.add(held_until, Delivery::Report(outbox, report));
                } else {
                    outbox.receive(report);
                }
            }
        }
    }

    fn deliver_parcel(&self, parcel: Parcel) {
        let Parcel { partition, key, stamp, value, outbox, send, answer } = parcel;
        if outbox.link.is_dead() && self.world.chance.one_in(2) {
            self.world.count("lost with its process");
            return;
        }
        if self.world.happens("twice", |faults| faults.twice) {
            let again = Parcel {
                partition,
                key: key.clone(),
                stamp,
                value: value.clone(),
                outbox: outbox.clone(),
                send,
                answer: Answer::None,
            };
            let at = Instant::now() + self.world.chance.millis(100);
            self.deliveries.add(at, Delivery::Land(again));
        }
        let (offset, time) = self.land(partition, key, stamp, value);
        let report = match answer {
            Answer::Offset => Report::Landed { first: send, count: 1, offset, time },
            Answer::Odd => Report::Odd { send },
            Answer::None => return,
        };
        let at = outbox.report_at(&self.world, Instant::now());
        self.deliveries.add(at, Delivery::Report(outbox, report));
    }
}
