//! The loop of a worker: executions are claimed as long as there are places, and those of workers that are not heard of any
//! more are given back.

use std::sync::Arc;
use std::time::Duration;

use domain::pipeline::ExecutionStatus;
use telemetry::metrics::pipeline::LEASES_LOST;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use web::CancellationToken;

use super::Worker;
use super::lease::Held;
use crate::count;
use crate::store::{StoreError, Watch, now};

/// While there is nothing to do, looks are so many times further apart.
const IDLE: u32 = 5;

/// Wait after a claim that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Time between two looks for executions whose workers are not heard of any more.
const LOOK: Duration = Duration::from_secs(1);

impl Worker {
    /// Claims an execution that is due.
    pub(super) async fn claim(&self) -> Result<Option<Held>, StoreError> {
        let mut unheard = self.unheard().lock().await;
        // The lease begins no sooner than this.
        let asked = Instant::now();
        let lease = self.lease();
        let claim = self.store().claim_noted(self.id(), lease, now(), &mut unheard).await?;
        Ok(claim.map(|claim| Held::new(claim, lease, asked)))
    }

    /// Hands back what this worker may have claimed without having heard of it: nobody is at it, and that was no attempt.
    /// What the database has not done yet it may still do; after a lease others see that nobody is at it.
    pub(super) async fn hand_back_unheard(&self) -> Result<(), StoreError> {
        let mut unheard = self.unheard().lock().await;
        unheard.retain(|tried| tried.at.elapsed() < self.lease());
        let mut place = 0;
        while let Some(tried) = unheard.get(place) {
            if self.store().hand_back_unheard(self.id(), tried).await? {
                tracing::warn!("an execution that was claimed unheard is given back");
                unheard.remove(place);
            } else {
                place += 1;
            }
        }
        Ok(())
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
        if let Err(error) = self.hand_back_unheard().await {
            tracing::debug!(error = %error, "what was claimed unheard waits for others to see it");
        }
    }

    /// Gives back what workers have that are not heard of any more, until `stop` is cancelled.
    pub(super) async fn give_back(self, stop: CancellationToken) {
        let (mut watch, mut said) = (Watch::default(), false);
        loop {
            match self.give_back_now(&mut watch).await {
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

    pub(super) async fn give_back_now(&self, watch: &mut Watch) -> Result<(), StoreError> {
        self.hand_back_unheard().await?;
        let running = self.store().running().await?;
        let (mut queued, mut failed) = (0_u64, 0_u64);
        let mut result = Ok(());
        for silent in watch.see(running, self.lease(), Instant::now().into_std()) {
            match self.store().take_away(&silent, now()).await {
                Ok(Some(ended)) if ended.status == ExecutionStatus::Failed => {
                    count::ended(&ended);
                    failed += 1;
                }
                Ok(Some(_)) => queued += 1,
                Ok(None) => {}
                Err(error) => {
                    // The others fail as this one did, or are looked at again in a moment.
                    result = Err(error);
                    break;
                }
            }
        }
        if queued + failed > 0 {
            LEASES_LOST.add(queued + failed, &[]);
            tracing::warn!(queued, failed, "executions were taken from workers that are not heard of any more");
        }
        result
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
