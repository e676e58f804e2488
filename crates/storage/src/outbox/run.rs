//! The loop: looks for what waits, delivers to many groups at once, and writes down how it went.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use telemetry::metrics::storage::{OUTBOX_BACKLOG, OUTBOX_OLDEST_AGE, OUTBOX_PARKED};
use tokio::time::Instant;
use web::CancellationToken;

use super::group::{Ended, Ours};
use super::pace::{Pace, Round};
use super::renewal::Held;
use super::table::PAGE;
use super::{Entry, Outbox, Undelivered};
use crate::StorageError;

/// Longest time between two looks at the table, where other processes may have left something.
const INTERVAL: Duration = Duration::from_millis(500);

/// Shortest time between two looks that find nothing.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(20);

/// Groups that are delivered to at once.
const AT_ONCE: usize = 16;

/// Groups that are claimed at once.
const BATCH: usize = 64;

/// Shortest time between two counts of the entries. A count that takes long comes more rarely: it may take a twentieth
/// of the time.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);
const COUNT_SHARE: u32 = 20;

impl Outbox {
    /// Delivers what failed, what waits, and what nobody holds a lease on any more, until `stop` is cancelled: each
    /// group's entries one after the other, up to 16 groups at once. [`Undelivered`] says whether an entry is tried
    /// again, longer and longer apart while its group waits, or parked. A delivery that takes longer than
    /// [`Outbox::with_delivery_timeout`] says has failed.
    pub async fn run(self, stop: CancellationToken, deliver: impl AsyncFn(Entry) -> Result<(), Undelivered>) {
        let held = Held::default();
        let delivering = Box::pin(async {
            tokio::select! {
                () = self.deliver_waiting(&stop, deliver, &held) => {}
                never = self.renew(&held) => match never {},
            }
        });
        futures_util::join!(self.tick_off(&stop), delivering);
    }

    async fn deliver_waiting(
        &self,
        stop: &CancellationToken,
        deliver: impl AsyncFn(Entry) -> Result<(), Undelivered>,
        held: &Held,
    ) {
        let mut pace = Pace::new(self.shared.waiting.tick());
        let mut line: VecDeque<Ours> = VecDeque::new();
        let mut under_way = FuturesUnordered::new();
        // What has ended, and what of it is still to be written down.
        let (mut ended, mut unwritten) = (Vec::new(), Vec::new());
        loop {
            // Those that are left in the line when the service stops are not begun, which is an end, too.
            while under_way.len() < AT_ONCE {
                let Some(ours) = line.pop_front() else { break };
                under_way.push(self.deliver_group(ours, stop, &deliver));
            }
            if !ended.is_empty() {
                for group in &ended {
                    self.account(group, &mut pace);
                }
                unwritten.append(&mut ended);
            }
            if !unwritten.is_empty() {
                match alongside(&mut under_way, &mut ended, self.write_down(&unwritten)).await {
                    Ok(()) => {
                        held.remove(unwritten.iter().flat_map(Ended::ids));
                        unwritten.clear();
                    }
                    Err(error) if stop.is_cancelled() => {
                        tracing::warn!(outbox = self.name, error = %error, "what was delivered is delivered once more");
                        unwritten.clear();
                    }
                    Err(error) => {
                        self.complain(&error, &mut pace);
                        alongside(&mut under_way, &mut ended, wait(stop, INTERVAL)).await;
                    }
                }
                continue;
            }
            let stopping = stop.is_cancelled();
            if stopping && under_way.is_empty() {
                return;
            }
            let looks = !stopping && line.is_empty() && under_way.len() < AT_ONCE;
            tokio::select! {
                biased;
                Some(one) = under_way.next() => {
                    ended.push(one);
                    while let Some(Some(one)) = under_way.next().now_or_never() {
                        ended.push(one);
                    }
                }
                () = stop.cancelled(), if !stopping => {}
                () = tokio::time::sleep_until(pace.look_at()), if looks => {
                    match alongside(&mut under_way, &mut ended, self.look(&mut pace, held)).await {
                        Ok(ours) => {
                            pace.said = false;
                            line.extend(ours);
                        }
                        Err(error) => {
                            self.complain(&error, &mut pace);
                            pace.not_before = Instant::now() + INTERVAL;
                        }
                    }
                }
                () = self.shared.waiting.changed.notified(), if looks => pace.next_look = Instant::now(),
            }
        }
    }

    /// Looks at the next groups and claims those that are due.
    async fn look(&self, pace: &mut Pace, held: &Held) -> Result<Vec<Ours>, StorageError> {
        self.count_entries(pace).await?;
        let waiting = &self.shared.waiting;
        let (tick, now) = (waiting.tick(), Utc::now());
        if pace.after.is_none() {
            pace.round = Round::new(tick);
        }
        let page = self.heads(pace.after.as_deref(), now).await?;
        let to_the_end = i64::try_from(page.len()).unwrap_or(PAGE) < PAGE;
        let through = if to_the_end { None } else { page.last().map(|head| head.order_group.as_str()) };
        let waits = page.iter().filter(|head| head.has_waiting).map(|head| head.order_group.as_str());
        waiting.saw(tick, pace.after.as_deref(), through, waits);
        // First of all everybody is told what waits; then it is delivered.
        let only_look = !waiting.is_known();
        let most = if only_look {
            0
        } else if pace.is_away() {
            AT_ONCE
        } else {
            BATCH
        };
        let (mut due, mut last, mut cut) = (Vec::new(), None, false);
        for head in &page {
            if held.has(head.id) {
                // Its lease could not be renewed: it is being delivered all the same.
            } else if head.leased_until > now {
                pace.round.due = Some(pace.round.due.map_or(head.leased_until, |due| due.min(head.leased_until)));
            } else if due.len() < most {
                due.push(head.id);
            } else if !only_look {
                cut = true;
                break;
            }
            last = Some(&head.order_group);
        }
        pace.round.groups += page.len();
        let at = Instant::now();
        let claimed = if due.is_empty() {
            Vec::new()
        } else {
            let tick = waiting.tick();
            let claimed = self.claim(&due, now, now + self.loop_lease()).await?;
            held.add(claimed.iter().map(|claimed| claimed.head.id));
            claimed.into_iter().map(|claimed| Ours { claimed, at, tick }).collect()
        };
        pace.round.claimed |= !claimed.is_empty();
        if cut || !to_the_end {
            pace.after = last.cloned();
            pace.next_look = at;
        } else {
            self.round_over(pace, only_look);
        }
        Ok(claimed)
    }

    fn round_over(&self, pace: &mut Pace, only_look: bool) {
        self.shared.waiting.looked_through(pace.round.began);
        pace.after = None;
        let now = Instant::now();
        if pace.round.groups == 0 {
            self.shared.entries.store(0, Ordering::Relaxed);
            OUTBOX_BACKLOG.set(0.0, &[("outbox", self.name)]);
            OUTBOX_OLDEST_AGE.set(0.0, &[("outbox", self.name)]);
        }
        if pace.round.claimed || only_look {
            pace.next_look = now;
            return;
        }
        let left = pace.round.due.map_or(INTERVAL, |due| (due - Utc::now()).to_std().unwrap_or_default());
        pace.next_look = now + left.min(INTERVAL);
        pace.not_before = pace.not_before.max(now + SHORTEST_INTERVAL);
    }

    /// Writes down how it went. Doing it twice does no harm. Those that wait on come first: when what is before them is
    /// gone, nobody must take them for due.
    async fn write_down(&self, ended: &[Ended]) -> Result<(), StorageError> {
        for failed in ended.iter().filter_map(|group| group.failed.as_ref()) {
            self.write_failed(failed).await?;
        }
        for refused in ended.iter().flat_map(|group| &group.refused) {
            self.write_refused(refused).await?;
        }
        let delivered: Vec<i64> = ended.iter().flat_map(|group| &group.delivered).copied().collect();
        if !delivered.is_empty() {
            self.delete(&delivered).await?;
        }
        let untried: Vec<i64> = ended.iter().filter_map(|group| group.untried).collect();
        if !untried.is_empty() {
            self.release(&untried).await?;
        }
        for group in ended.iter().filter(|group| group.emptied) {
            self.shared.waiting.settled(&group.group, group.tick);
        }
        Ok(())
    }

    async fn count_entries(&self, pace: &mut Pace) -> Result<(), StorageError> {
        let began = Instant::now();
        if began < pace.next_count {
            return Ok(());
        }
        let counted = self.counted().await?;
        pace.next_count = Instant::now() + COUNT_INTERVAL.max(began.elapsed() * COUNT_SHARE);
        let labels = [("outbox", self.name)];
        #[expect(clippy::cast_precision_loss, reason = "figures for charts")]
        let (entries, parked) = (counted.entries as f64, counted.parked as f64);
        self.shared.entries.store(counted.entries.unsigned_abs(), Ordering::Relaxed);
        OUTBOX_BACKLOG.set(entries, &labels);
        OUTBOX_PARKED.set(parked, &labels);
        let age = counted.oldest.and_then(|oldest| (Utc::now() - oldest).to_std().ok()).unwrap_or_default();
        OUTBOX_OLDEST_AGE.set(age.as_secs_f64(), &labels);
        Ok(())
    }
}

/// Does something while deliveries go on.
async fn alongside<T>(
    under_way: &mut FuturesUnordered<impl Future<Output = Ended>>,
    ended: &mut Vec<Ended>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            Some(one) = under_way.next() => ended.push(one),
        }
    }
}

pub(super) async fn wait(stop: &CancellationToken, time: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}
