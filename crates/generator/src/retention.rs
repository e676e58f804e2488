//! Deletes what is not needed any more, a little at a time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use storage::StorageError;
use web::CancellationToken;

use crate::making::Maker;

/// Most rows that one statement deletes: others wait for it.
const BATCH: i64 = 500;

/// Time between two looks, and between two batches.
const INTERVAL: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Deletes signals that were published, or refused, longer ago than `kept_for`, until `stop` is cancelled. What waits is
/// never deleted.
pub(crate) async fn keep_small(maker: Maker, kept_for: Duration, stop: CancellationToken) {
    loop {
        let wait = match clean(&maker, Utc::now() - kept_for).await {
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
async fn clean(maker: &Maker, before: DateTime<Utc>) -> Result<bool, StorageError> {
    let published = maker.signals.forget_published(before, BATCH).await?;
    let refused = maker.signals.refused_before(before, BATCH).await?;
    for id in &refused {
        // What is set aside of it first: a signal that is listed no more must not be there any more.
        maker.outbox.discard(id).await?;
        maker.signals.forget_refused(id).await?;
    }
    let full = BATCH.unsigned_abs();
    Ok(published >= full || u64::try_from(refused.len()).is_ok_and(|count| count >= full))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use domain::SignalEvent;
    use domain::trading::SignalAction;
    use rust_decimal::Decimal;
    use storage::outbox::{Outbox, Undelivered};
    use storage::testing::{TestDatabase, engines};
    use storage::{Database, QueryType, Statement};
    use web::Background;
    use web::testing::eventually;

    use super::*;
    use crate::ids;
    use crate::signals::Signals;

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
        let outbox = Outbox::new(database.clone(), "signals");
        let maker = Maker::new(database.clone(), Signals::new(database.clone()), outbox, 10);
        for symbol in ["GOODUSDT", "BADUSDT", "AWAYUSDT"] {
            let event = SignalEvent {
                version: 1,
                signal_id: ids::of_key(symbol),
                signal_type: "mock".parse().unwrap(),
                source: "by_hand".parse().unwrap(),
                symbol: symbol.parse().unwrap(),
                action: SignalAction::Buy,
                confidence: Decimal::ONE,
                price: None,
                interval: None,
                candle_closed_at: None,
                reason: None,
                generated_at: Utc::now(),
            };
            let mut transaction = database.begin().await.unwrap();
            assert!(maker.write(&mut transaction, &event).await.unwrap());
            transaction.commit().await.unwrap();
        }
        let publish: crate::Publish = std::rc::Rc::new(|key, _| {
            Box::pin(async move {
                match key.as_str() {
                    "GOODUSDT" => Ok(()),
                    "BADUSDT" => Err(Undelivered::Never("it is none".to_owned())),
                    _ => Err(Undelivered::Later("away".to_owned())),
                }
            })
        });
        background.spawn("outbox", |stop| crate::publish::deliver(maker.clone(), publish, stop));
        let left = async || {
            let statement = Statement::new(QueryType::Select, "signals", "SELECT status FROM signals ORDER BY number");
            let rows: Vec<(String,)> = database.fetch_all(statement).await.unwrap();
            rows.into_iter().map(|row| row.0).collect::<Vec<_>>()
        };
        let entries = async || {
            let statement = Statement::new(QueryType::Select, "outbox_entries", "SELECT COUNT(*) FROM outbox_entries");
            database.fetch_one::<(i64,)>(statement).await.unwrap().0
        };
        eventually("two are done, and one is set aside", async || {
            let parked = maker.outbox.parked(i64::MAX, 10).await.unwrap().len();
            (left().await == ["published", "refused", "waiting"] && parked == 1 && entries().await == 2).then_some(())
        })
        .await;
        assert!(!clean(&maker, Utc::now() - TimeDelta::hours(1)).await.unwrap());
        assert_eq!(left().await.len(), 3, "none is old");
        assert!(!clean(&maker, Utc::now() + TimeDelta::hours(1)).await.unwrap());
        assert_eq!((left().await, entries().await), (vec!["waiting".to_owned()], 1));
        background.token().cancel();
    }
}
