//! Deletes what is not needed any more, a little at a time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use storage::{Database, StorageError};
use web::CancellationToken;

use crate::dispatch::Dispatch;
use crate::keys;
use crate::publish::Publisher;
use crate::signals::Signals;

/// Most rows that one statement deletes: others wait for it.
const BATCH: i64 = 500;

/// Time between two looks, and between two batches.
const INTERVAL: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Deletes signals whose outcome has been known for longer than `kept_for`, and keys that have expired, until `stop` is
/// cancelled. What waits is never deleted.
pub(crate) async fn keep_small(
    database: Database,
    signals: Signals,
    dispatch: Dispatch,
    publisher: Publisher,
    kept_for: Duration,
    stop: CancellationToken,
) {
    loop {
        let wait = match clean(&database, &signals, &dispatch, &publisher, Utc::now() - kept_for).await {
            // There may be more.
            Ok(true) => PAUSE,
            Ok(false) => INTERVAL,
            Err(error) => {
                // The database says itself that it is away; here it is only waited for.
                if !error.is_passing() {
                    tracing::error!(error = %error, "old signals cannot be deleted");
                }
                INTERVAL / 60
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..=1.0))) => {}
        }
    }
}

/// Deletes a batch of each kind. Tells whether there may be more.
async fn clean(
    database: &Database,
    signals: &Signals,
    dispatch: &Dispatch,
    publisher: &Publisher,
    before: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let expired = keys::forget(database, Utc::now(), BATCH).await?;
    let executed = signals.forget_executed(before, BATCH).await?;
    let failed = signals.failed_before(before, BATCH).await?;
    for id in &failed {
        // What is set aside of it first: a signal that is listed no more must not be there any more.
        dispatch.discard(id).await?;
        signals.forget_failed(id).await?;
    }
    publisher.forget_refused(before, 100).await?;
    let full = BATCH.unsigned_abs();
    Ok(expired >= full || executed >= full || u64::try_from(failed.len()).is_ok_and(|count| count >= full))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::TimeDelta;
    use domain::DecisionId;
    use domain::trading::{Signal, SignalAction, SignalOutcome, SignalResult, SignalSource};
    use storage::testing::{TestDatabase, engines};
    use storage::{QueryType, Statement};
    use web::Background;
    use web::testing::eventually;

    use super::*;
    use crate::queue::Queue;
    use crate::signals::insert;

    async fn count(database: &Database, sql: &'static str) -> i64 {
        database.fetch_one::<(i64,)>(Statement::new(QueryType::Select, "signals", sql)).await.unwrap().0
    }

    #[actix_web::test]
    async fn what_waits_is_kept_and_what_is_old_goes() {
        for test in engines() {
            old_goes(test).await;
        }
    }

    async fn old_goes(test: TestDatabase) {
        let database = Database::open(crate::NAME, &test.settings(), crate::migrations()).unwrap();
        let mut background = Background::new();
        background.spawn("database", |stop| database.clone().keep_up(stop));
        eventually("the database is there", async || database.ready().await.ok()).await;
        let signals = Signals::new(database.clone());
        let nobody = "http://127.0.0.1:1/".parse().unwrap();
        let dispatch = Dispatch::new(database.clone(), &nobody, signals.clone(), Queue::new(signals.clone()));
        let bus = bus::Bus::open(crate::NAME, &bus::BusSettings::at(test.url())).unwrap();
        let publisher = Publisher::new(database.clone(), bus, Duration::from_secs(5)).unwrap();
        let now = Utc::now();
        let mut ids = BTreeMap::new();
        for (number, what) in (0_u8..).zip(["queued", "executed", "failed"]) {
            let signal = Signal {
                signal_id: DecisionId::from_bytes([number; 16]),
                source: SignalSource::Tradingview,
                hook: None,
                symbol: "BTCUSDT".parse().unwrap(),
                action: SignalAction::Buy,
                quantity: None,
                notional: None,
                limit_price: None,
                seen_price: None,
                sender_order_id: None,
                comment: None,
                interval: None,
                paper_only: false,
                alerted_at: None,
                received_at: now,
            };
            let mut transaction = database.begin().await.unwrap();
            let expires_at = now + TimeDelta::hours(i64::from(number) - 1);
            assert!(keys::take(&mut transaction, what, &signal.signal_id, now, expires_at).await.unwrap());
            let payload = serde_json::to_value(&signal).unwrap();
            insert(&mut transaction, &signal, payload.to_string(), "hook", None).await.unwrap();
            dispatch.put(&mut transaction, &signal, payload).await.unwrap();
            transaction.commit().await.unwrap();
            ids.insert(what, signal.signal_id);
        }
        let outcome = SignalOutcome {
            signal_id: ids["executed"].clone(),
            result: SignalResult::Ordered,
            order: None,
            refusal: None,
            replayed: false,
            trace_id: None,
        };
        // Once is news, twice is not, and nothing changes what is written.
        assert!(signals.executed(&outcome).await.unwrap() && !signals.executed(&outcome).await.unwrap());
        assert!(
            signals.failed(&ids["failed"], "no").await.unwrap()
                && !signals.failed(&ids["executed"], "no").await.unwrap()
        );
        let parked = Statement::new(
            QueryType::Update,
            "outbox_entries",
            "UPDATE outbox_entries SET parked = $1, waiting = $2, parked_at = $3, last_error = 'no' WHERE key = $4",
        );
        let parked = parked.bind(true).bind(false).bind(now).bind(ids["failed"].as_str());
        assert_eq!(database.execute(parked).await.unwrap(), 1);

        // Nothing is old enough; of the keys, those of an hour ago and of this moment have expired.
        assert!(!clean(&database, &signals, &dispatch, &publisher, now - TimeDelta::hours(1)).await.unwrap());
        assert_eq!(count(&database, "SELECT COUNT(*) FROM signals").await, 3);
        assert_eq!(count(&database, "SELECT COUNT(*) FROM signal_keys").await, 1);
        assert!(!clean(&database, &signals, &dispatch, &publisher, Utc::now()).await.unwrap());
        assert_eq!(count(&database, "SELECT COUNT(*) FROM signals WHERE status = 'queued'").await, 1);
        assert_eq!(count(&database, "SELECT COUNT(*) FROM signals").await, 1);
        assert_eq!(count(&database, "SELECT COUNT(*) FROM outbox_entries WHERE parked").await, 0);
        background.token().cancel();
    }
}
