//! The loop of a worker: executions are claimed as long as there are places, and those of workers that are not heard of any
//! more are given back.

use std::sync::Arc;
use std::time::Duration;

use telemetry::metrics::pipeline::LEASES_LOST;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use web::CancellationToken;

use super::Worker;
use super::lease::Held;
use crate::count;
use crate::store::{StoreError, now};

/// While there is nothing to do, looks are so many times further apart.
const IDLE: u32 = 5;

/// Wait after a claim that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Time between two looks for executions whose workers are not heard of any more, and most that one look gives back.
const LOOK: Duration = Duration::from_secs(1);
const MOST: u16 = 100;

impl Worker {
    /// Claims an execution that is due.
    pub(super) async fn claim(&self) -> Result<Option<Held>, StoreError> {
        // The lease begins no sooner than this.
        let asked = Instant::now();
        let lease = self.lease();
        let claim = self.store().claim(self.id(), lease, now()).await?;
        Ok(claim.map(|claim| Held::new(claim, lease, asked)))
    }

    /// Works until `stop` is cancelled; gives back then what it has.
    pub(super) async fn work(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(self.concurrency()));
        let mut under_way = JoinSet::new();
        let mut wait = self.poll();
        let mut said = false;
        loop {
            let place = tokio::select! {
                () = stop.cancelled() => break,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            while let Some(ended) = under_way.try_join_next() {
                told(ended);
            }
            let pause = match self.claim().await {
                Ok(Some(held)) => {
                    (wait, said) = (self.poll(), false);
                    let (worker, stop) = (self.clone(), stop.clone());
                    under_way.spawn_local(async move {
                        worker.execute(held, &stop).await;
                        drop(place);
                    });
                    continue;
                }
                Ok(None) => {
                    said = false;
                    let pause = wait;
                    wait = (wait * 2).min(self.poll() * IDLE);
                    pause
                }
                Err(error) => {
                    // The database says itself that it is away.
                    if !error.is_passing() && !std::mem::replace(&mut said, true) {
                        tracing::error!(error = %error, "executions cannot be claimed");
                    }
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))) => {}
            }
        }
        while let Some(ended) = under_way.join_next().await {
            told(ended);
        }
    }

    /// Gives back what workers have that are not heard of any more, until `stop` is cancelled.
    pub(super) async fn give_back(self, stop: CancellationToken) {
        let mut said = false;
        loop {
            match self.give_back_now().await {
                Ok(()) => said = false,
                Err(error) => {
                    if !error.is_passing() && !std::mem::replace(&mut said, true) {
                        tracing::error!(error = %error, "executions of lost workers cannot be given back");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK.mul_f64(rand::random_range(0.5..=1.0))) => {}
            }
        }
    }

    pub(super) async fn give_back_now(&self) -> Result<(), StoreError> {
        loop {
            let given = self.store().give_back_expired(MOST, now()).await?;
            let failed = given.failed.len() as u64;
            if given.queued + failed > 0 {
                LEASES_LOST.add(given.queued + failed, &[]);
                tracing::warn!(
                    queued = given.queued,
                    failed,
                    "executions were taken from workers that are not heard of any more"
                );
            }
            given.failed.iter().for_each(count::ended);
            if given.queued < u64::from(MOST) && failed < u64::from(MOST) {
                return Ok(());
            }
        }
    }
}

fn told(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // Its lease runs out, and somebody goes on with it.
        tracing::error!(error = %error, "an attempt ended in a defect of this program");
    }
}
