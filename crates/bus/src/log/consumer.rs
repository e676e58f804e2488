//! A consumer of the log.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Log;
use super::membership::Membership;
use super::read::{Row, number, weight};
use super::share::{Owned, Share};
use super::wake::Wake;
use crate::message::{End, LARGEST_BATCH_BYTES, Message};
use crate::observe::Reader;
use crate::{Batch, BusError, ConsumerSettings, Standing};

/// Between two looks while there was something lately, and the longest.
const SHORTEST_LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_millis(100);

/// For how long after a message the looks stay close together.
const LATELY: Duration = Duration::from_secs(1);

pub(crate) struct LogConsumer {
    membership: Arc<Membership>,
    settings: ConsumerSettings,
    task: JoinHandle<()>,
    wake: Wake,
    /// When something was last there, and how far apart the looks are.
    busy_at: Instant,
    pause: Duration,
    /// Which partition is read first, so that each has its turn.
    turn: usize,
}

impl LogConsumer {
    pub(super) fn new(log: Log, settings: ConsumerSettings) -> Self {
        let membership = Arc::new(Membership {
            member: format!("{}-{}", log.service, uuid::Uuid::new_v4()),
            log,
            reader: Reader { topic: settings.topic.clone(), group: settings.group.clone() },
            share: Arc::new(Share::new()),
        });
        let task = tokio::spawn(Arc::clone(&membership).keep());
        let wake = Log::wake(&settings.topic);
        Self { membership, settings, task, wake, busy_at: Instant::now(), pause: SHORTEST_LOOK, turn: 0 }
    }

    pub(crate) async fn next(&mut self) -> Result<Batch, BusError> {
        let deadline = Instant::now() + self.settings.max_wait;
        let share = Arc::clone(&self.membership.share);
        if share.lock().ask(self.membership.log.session) {
            share.asked.notify_one();
        }
        loop {
            // What comes while we look wakes us all the same.
            let woken = self.wake.woken();
            let changed = share.changed.notified();
            let batch = self.look().await?;
            let now = Instant::now();
            if !batch.is_empty() {
                (self.busy_at, self.pause) = (now, SHORTEST_LOOK);
                return Ok(batch);
            }
            if now >= deadline {
                let trouble = share.lock().trouble.clone();
                return trouble.map_or(Ok(batch), Err);
            }
            tokio::select! {
                () = tokio::time::sleep_until(deadline.min(now + self.pause)) => {
                    if self.busy_at.elapsed() > LATELY {
                        self.pause = (self.pause * 2).min(LONGEST_LOOK);
                    }
                }
                () = woken => {}
                () = changed => {}
            }
        }
    }

    /// What is there now.
    async fn look(&mut self) -> Result<Batch, BusError> {
        let mut batch = Batch::default();
        let log = &self.membership.log;
        let topic = &self.settings.topic;
        if self.membership.share.lock().owned.is_empty() {
            return Ok(batch);
        }
        let ends = log.ends(topic).await?;
        let mut ready: Vec<(i64, i64, Owned)> = {
            let state = self.membership.share.lock();
            let owned = |(part, end): (i64, i64)| state.owned.get(&part).map(|owned| (part, end, *owned));
            ends.into_iter().filter_map(owned).filter(|(_, end, owned)| owned.position < *end).collect()
        };
        if ready.is_empty() {
            return Ok(batch);
        }
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % ready.len();
        ready.rotate_left(first);
        let count = ready.len();
        let mut read = Vec::with_capacity(count);
        let (mut room, mut light) = (self.settings.max_batch.max(1), LARGEST_BATCH_BYTES);
        for (index, (part, end, owned)) in ready.into_iter().enumerate() {
            if room == 0 || light == 0 {
                break;
            }
            // What is left of the batch is for those that are left.
            let limit = room.div_ceil(count - index);
            let bytes = light.div_ceil(count - index);
            let rows = log.messages(topic, part, owned.position, limit, bytes).await?;
            room = room.saturating_sub(rows.len());
            light = light.saturating_sub(rows.iter().map(weight).sum());
            read.push((part, end, owned, rows));
        }
        // Nothing is waited for from here on: whoever drops this future before has read nothing.
        let mut skipped = Vec::new();
        for (part, end, owned, rows) in read {
            self.accept(part, end, owned, rows, &mut batch, &mut skipped);
        }
        if !skipped.is_empty() {
            self.commit_skipped(skipped);
        }
        Ok(batch)
    }

    /// Puts what was read of a partition into the batch, unless it has gone to somebody else meanwhile.
    fn accept(&self, part: i64, end: i64, read: Owned, rows: Vec<Row>, batch: &mut Batch, skipped: &mut Vec<End>) {
        let mut state = self.membership.share.lock();
        let Some(owned) = state.same(part, read.generation).filter(|owned| owned.position == read.position) else {
            return;
        };
        let first = rows.first().map_or(end, |row| row.0);
        if first > owned.position {
            self.membership.reader.missed(number(part), first - owned.position);
            if owned.committed == owned.position {
                owned.committed = first;
                skipped.push(End { partition: number(part), generation: owned.generation, next: first });
            }
        }
        owned.position = rows.last().map_or(end, |row| row.0 + 1);
        let generation = owned.generation;
        drop(state);
        for row in rows {
            batch.push(self.message(part, row), generation);
        }
    }

    /// What was deleted is done with. It is said to the table beside the reading: nothing depends on it but the lag.
    fn commit_skipped(&self, skipped: Vec<End>) {
        let membership = Arc::clone(&self.membership);
        tokio::spawn(async move {
            for end in skipped {
                if let Err(error) = membership.log.write_committed(&membership.reader, &membership.member, end).await {
                    tracing::debug!(error = %error, "that messages were deleted could not be written down");
                }
            }
        });
    }

    fn message(&self, part: i64, (offset, key, headers, payload, published_at): Row) -> Message {
        Message {
            topic: self.settings.topic.clone(),
            partition: number(part),
            offset,
            key,
            payload: payload.into_bytes(),
            headers: serde_json::from_str(&headers).unwrap_or_default(),
            published_at,
        }
    }

    pub(crate) async fn commit(&self, batch: &Batch) -> Result<(), BusError> {
        let Membership { log, reader, member, share } = &*self.membership;
        let mut fenced = Vec::new();
        for end in batch.ends() {
            let part = i64::from(end.partition);
            let ours = log.write_committed(reader, member, end).await?;
            let mut state = share.lock();
            if ours {
                if let Some(owned) = state.same(part, end.generation) {
                    owned.committed = owned.committed.max(end.next);
                }
            } else {
                if state.same(part, end.generation).is_some() {
                    state.owned.remove(&part);
                }
                fenced.push(end.partition);
            }
        }
        if fenced.is_empty() {
            return Ok(());
        }
        Err(BusError::Fenced { topic: reader.topic.clone(), partitions: fenced })
    }

    pub(crate) fn rewind(&mut self) {
        for owned in self.membership.share.lock().owned.values_mut() {
            owned.position = owned.committed;
        }
    }

    pub(crate) async fn standing(&self) -> Result<Standing, BusError> {
        let Membership { log, reader, member, .. } = &*self.membership;
        let standing = log.standing(reader, member).await?;
        reader.stands(&standing);
        Ok(standing)
    }

    pub(crate) async fn close(mut self) -> Result<(), BusError> {
        self.task.abort();
        // It must not take anything any more when we have given everything back.
        let _ = (&mut self.task).await;
        self.membership.reader.stands(&Standing::default());
        self.membership.leave().await
    }
}

impl Drop for LogConsumer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
