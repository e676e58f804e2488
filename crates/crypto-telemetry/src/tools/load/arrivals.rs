//! A run: users arrive when they are due, whatever became of those before them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use awc::http::header::HeaderValue;
use domain::StrategyName;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;
use web::CancellationToken;

use super::Report;
use super::caller::Caller;
use super::journeys::Journeys;
use super::mix::{Ingredients, Mix};
use super::progress::Progress;
use super::schedule::Schedule;
use super::tally::Tally;
use super::walk::{Run, Target, walk};

/// What to send.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    /// Sent with every request; never in `Debug`, since it is marked as sensitive.
    pub(crate) api_key: Option<HeaderValue>,
    /// Arrivals, each with its journey.
    pub(crate) rate_per_second: u32,
    pub(crate) duration: Duration,
    pub(crate) journeys: Journeys,
    pub(crate) ingredients: Ingredients,
    pub(crate) strategy: Option<StrategyName>,
    /// Where alerts are posted; its path holds a token.
    pub(crate) hook: Option<Url>,
    pub(crate) seed: u64,
    /// Users on their way at the same time; those who are due beyond that wait, and the wait is in their latency.
    pub(crate) most_in_flight: u32,
}

/// How a run ends before its time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// Nobody arrives any more, nobody takes a further step; answers that are on their way are waited for.
    pub(crate) gently: CancellationToken,
    /// Nothing is waited for.
    pub(crate) now: CancellationToken,
}

/// Sends everything of the plan and waits for all answers.
///
/// # Errors
/// When there can be no further thread.
pub(crate) async fn run(plan: &Plan, stop: &Stop, progress: Progress) -> std::io::Result<Report> {
    let run = Rc::new(Run {
        caller: Caller::new(plan.api_key.as_ref()),
        target: plan.target.clone(),
        strategy: plan.strategy,
        hook: plan.hook.clone(),
        keys: format!("load-{}", uuid::Uuid::new_v4().simple()),
        tally: RefCell::new(Tally::new(&plan.journeys)),
        stop: stop.gently.clone(),
    });
    let mut mix = Mix::new(plan.journeys.clone(), plan.ingredients.clone(), plan.seed);
    let places = Arc::new(Semaphore::new(usize::try_from(plan.most_in_flight).unwrap_or(Semaphore::MAX_PERMITS)));
    let schedule = Schedule::new(plan.rate_per_second, plan.duration);
    let mut told = schedule.tell()?;
    let shown = actix_web::rt::spawn(progress.follow(run.clone(), schedule));

    let mut users = JoinSet::new();
    let mut next = 0;
    'arrivals: while next < schedule.total() {
        tokio::select! {
            biased;
            () = stop.gently.cancelled() => break,
            // The clock falls silent when everybody is due, and then only.
            changed = told.changed() => if changed.is_err() { break },
        }
        let due = *told.borrow_and_update();
        while next < due {
            if places.available_permits() == 0 {
                run.tally.borrow_mut().held_back += 1;
            }
            let place = tokio::select! {
                biased;
                () = stop.gently.cancelled() => break 'arrivals,
                place = places.clone().acquire_owned() => place,
            };
            let (visit, run, at) = (mix.next_visit(), run.clone(), schedule.due(next));
            let number = next;
            users.spawn_local(async move {
                let _place = place;
                walk(&run, visit, number, at).await;
            });
            next += 1;
            // Those who are done are forgotten on the way: their number must not grow with the length of the run.
            while users.try_join_next().is_some() {}
        }
    }
    let mut abandoned = false;
    tokio::select! {
        () = stop.now.cancelled() => abandoned = true,
        // A user who panicked recorded nothing, and counts as lost below.
        () = async { while users.join_next().await.is_some() {} } => {}
    }
    shown.abort();
    // Waits until the progress has left the terminal.
    let _ = shown.await;
    users.shutdown().await;

    let mut tally = run.tally.borrow().clone();
    if !abandoned {
        tally.close("lost");
    }
    Ok(Report {
        rate_per_second: plan.rate_per_second,
        seed: plan.seed,
        journeys: plan.journeys.clone(),
        planned: schedule.total(),
        took: schedule.started().elapsed(),
        interrupted: stop.gently.is_cancelled(),
        tally,
    })
}
