//! The task that keeps a consumer in its group: counts its beat up, takes partitions of nobody and of the dead, gives
//! back what others should have, and keeps the gauges up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::{QueryType, Statement};

use super::Log;
use super::beat::Beats;
use super::share::{Owned, Share};
use super::tables::{ASSIGNMENTS, MEMBERS};
use crate::observe::Reader;
use crate::{BusError, Standing};

/// Beats within a session: one or two may be late without anybody taking us for dead.
const BEATS: u32 = 5;

/// A partition as the table has it: number, whose it is, generation.
type Assignment = (i64, Option<String>, i64);

/// One member of a group.
pub(super) struct Membership {
    pub(super) log: Log,
    pub(super) reader: Reader,
    pub(super) member: String,
    pub(super) share: Arc<Share>,
}

impl Membership {
    /// Never ends: whoever has spawned it aborts it.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut beats = Beats::default();
        let mut troubled: Option<Instant> = None;
        loop {
            let done = self.beat(&mut beats).await;
            match &done {
                Ok(()) => troubled = None,
                // That the database is away it says itself, once.
                Err(error) if !error.is_passing() && troubled.is_none() => {
                    self.reader.troubled(error, Duration::ZERO);
                    troubled = Some(Instant::now());
                }
                Err(_) => {}
            }
            self.share.lock().trouble = done.err();
            self.share.changed.notify_waiters();
            tokio::select! {
                () = tokio::time::sleep(self.log.session / BEATS) => {}
                () = self.share.asked.notified() => {}
            }
        }
    }

    async fn beat(&self, beats: &mut Beats) -> Result<(), BusError> {
        if self.share.lock().is_stuck() {
            return self.leave_if_member(beats).await;
        }
        let partitions = self.log.partitions(&self.reader.topic).await?;
        self.give_back().await?;
        // Assignments before members: whoever has one and is no member then was taken for dead.
        let mut assignments = self.assignments().await?;
        if assignments.len() < usize::try_from(partitions).unwrap_or(0) {
            self.make_assignments().await?;
            assignments = self.assignments().await?;
            if assignments.is_empty() {
                // The database is another one than before; the next beat makes the topic there.
                self.log.forget(&self.reader.topic);
            }
        }
        self.count_up().await?;
        let silent = beats.see(self.members().await?, self.log.session, Instant::now());
        for (member, beat) in silent.into_iter().filter(|(member, _)| *member != self.member) {
            tracing::info!(topic = self.reader.topic, consumer_group = self.reader.group, member, "a consumer is gone");
            self.bury(&member, beat).await?;
            beats.forget(&member);
        }
        let before = self.share.lock().parts();
        let ours = self.reconcile(&assignments);
        let fair = beats.share(&self.member, assignments.len());
        self.share.lock().set_surplus(ours.saturating_sub(fair));
        let free = assignments.iter().filter(|(_, owner, _)| !owner.as_ref().is_some_and(|owner| beats.knows(owner)));
        for (part, _, generation) in free.take(fair.saturating_sub(ours)) {
            self.take(*part, *generation).await?;
        }
        let after = self.share.lock().parts();
        if before != after {
            self.reader.rebalanced(&after);
        }
        self.reader.stands(&self.log.standing(&self.reader, &self.member).await?);
        Ok(())
    }

    /// What is not ours any more is forgotten; what the table calls ours and we do not know (the answer to taking it was
    /// lost) is given back, since nobody reads it. How many are ours.
    fn reconcile(&self, assignments: &[Assignment]) -> usize {
        let mut state = self.share.lock();
        let ours = |part: &i64, owned: &Owned| {
            assignments.iter().any(|(known, owner, generation)| {
                known == part && owner.as_deref() == Some(&self.member) && *generation == owned.generation
            })
        };
        state.owned.retain(|part, owned| ours(part, owned));
        let unknown: BTreeSet<i64> = assignments
            .iter()
            .filter(|(part, owner, _)| owner.as_deref() == Some(&self.member) && !state.owned.contains_key(part))
            .map(|(part, _, _)| *part)
            .collect();
        state.leaving.extend(unknown);
        state.owned.len()
    }

    /// Gives back what the consumer has let go.
    async fn give_back(&self) -> Result<(), BusError> {
        let leaving = self.share.lock().leaving.clone();
        for part in leaving {
            let release = Statement::new(
                QueryType::Update,
                ASSIGNMENTS,
                "UPDATE bus_assignments SET member = NULL \
                 WHERE consumer_group = $1 AND topic = $2 AND part = $3 AND member = $4",
            );
            let release = release.bind(&self.reader.group).bind(&self.reader.topic).bind(part).bind(&self.member);
            self.log.database.execute_quietly(release).await?;
            self.share.lock().leaving.remove(&part);
        }
        Ok(())
    }

    /// Leaves once: nobody has asked for a batch for long, and others are to have the partitions until somebody does.
    async fn leave_if_member(&self, beats: &mut Beats) -> Result<(), BusError> {
        if beats.knows(&self.member) {
            self.leave().await?;
            self.reader.stands(&Standing::default());
            *beats = Beats::default();
        }
        Ok(())
    }

    /// Gives everything back.
    pub(super) async fn leave(&self) -> Result<(), BusError> {
        let had = {
            let mut state = self.share.lock();
            state.leaving.clear();
            !std::mem::take(&mut state.owned).is_empty()
        };
        if had {
            self.reader.rebalanced(&[]);
        }
        let release = Statement::new(
            QueryType::Update,
            ASSIGNMENTS,
            "UPDATE bus_assignments SET member = NULL WHERE consumer_group = $1 AND topic = $2 AND member = $3",
        );
        let leave = Statement::new(
            QueryType::Delete,
            MEMBERS,
            "DELETE FROM bus_members WHERE consumer_group = $1 AND topic = $2 AND member = $3",
        );
        for statement in [release, leave] {
            let statement = statement.bind(&self.reader.group).bind(&self.reader.topic).bind(&self.member);
            self.log.database.execute_quietly(statement).await?;
        }
        Ok(())
    }

    async fn count_up(&self) -> Result<(), BusError> {
        let count = Statement::new(
            QueryType::Insert,
            MEMBERS,
            "INSERT INTO bus_members (consumer_group, topic, member, beat) VALUES ($1, $2, $3, 0) \
             ON CONFLICT (consumer_group, topic, member) DO UPDATE SET beat = bus_members.beat + 1",
        );
        let count = count.bind(&self.reader.group).bind(&self.reader.topic).bind(&self.member);
        self.log.database.execute_quietly(count).await?;
        Ok(())
    }

    async fn members(&self) -> Result<Vec<(String, i64)>, BusError> {
        let select = Statement::new(
            QueryType::Select,
            MEMBERS,
            "SELECT member, beat FROM bus_members WHERE consumer_group = $1 AND topic = $2",
        );
        Ok(self.log.database.quietly(select.bind(&self.reader.group).bind(&self.reader.topic)).await?)
    }

    /// Strikes off who has not moved since.
    async fn bury(&self, member: &str, beat: i64) -> Result<(), BusError> {
        let delete = Statement::new(
            QueryType::Delete,
            MEMBERS,
            "DELETE FROM bus_members WHERE consumer_group = $1 AND topic = $2 AND member = $3 AND beat = $4",
        );
        let delete = delete.bind(&self.reader.group).bind(&self.reader.topic).bind(member).bind(beat);
        self.log.database.execute_quietly(delete).await?;
        Ok(())
    }

    async fn assignments(&self) -> Result<Vec<Assignment>, BusError> {
        let select = Statement::new(
            QueryType::Select,
            ASSIGNMENTS,
            "SELECT part, member, generation FROM bus_assignments WHERE consumer_group = $1 AND topic = $2 ORDER BY part",
        );
        Ok(self.log.database.quietly(select.bind(&self.reader.group).bind(&self.reader.topic)).await?)
    }

    /// A group that is new begins with the oldest message there is.
    async fn make_assignments(&self) -> Result<(), BusError> {
        let insert = Statement::new(
            QueryType::Insert,
            ASSIGNMENTS,
            "INSERT INTO bus_assignments (consumer_group, topic, part, member, generation, committed) \
             SELECT $1, p.topic, p.part, NULL, 0, COALESCE((SELECT m.message_offset FROM bus_messages m \
             WHERE m.topic = p.topic AND m.part = p.part ORDER BY m.message_offset LIMIT 1), p.next_offset) \
             FROM bus_partitions p WHERE p.topic = $2 ON CONFLICT DO NOTHING",
        );
        self.log.database.execute_quietly(insert.bind(&self.reader.group).bind(&self.reader.topic)).await?;
        Ok(())
    }

    /// Takes a partition, unless somebody has been faster.
    async fn take(&self, part: i64, generation: i64) -> Result<(), BusError> {
        let take = Statement::new(
            QueryType::Update,
            ASSIGNMENTS,
            "UPDATE bus_assignments SET member = $4, generation = generation + 1 \
             WHERE consumer_group = $1 AND topic = $2 AND part = $3 AND generation = $5 \
             RETURNING generation, committed",
        );
        let take = take.bind(&self.reader.group).bind(&self.reader.topic).bind(part).bind(&self.member);
        let taken: Vec<(i64, i64)> = self.log.database.quietly(take.bind(generation)).await?;
        if let Some((generation, committed)) = taken.first().copied() {
            self.share.lock().owned.insert(part, Owned { generation, position: committed, committed });
        }
        Ok(())
    }
}
