//! Idempotency keys.

use std::time::Duration;

use serde_json::json;
use storage::idempotency::{Begun, IdempotencyKeys, Lease, migration};
use storage::testing::TestDatabase;
use storage::{QueryType, Statement};

use crate::support::{Kept, until};

const LONG: Duration = Duration::from_secs(600);

async fn open(test: &TestDatabase) -> (Kept, IdempotencyKeys) {
    let kept = Kept::open(&test.settings(), vec![migration(1)]);
    kept.wait_until_ready().await;
    let keys = IdempotencyKeys::new(kept.database.clone());
    (kept, keys)
}

async fn new(keys: &IdempotencyKeys, key: &str, hash: &str) -> Lease {
    match keys.begin(key, hash).await.unwrap() {
        Begun::New(lease) => lease,
        other => unreachable!("{key} is not new: {other:?}"),
    }
}

async fn count(kept: &Kept) -> i64 {
    let count = Statement::new(QueryType::Select, "idempotency_keys", "SELECT COUNT(*) FROM idempotency_keys");
    kept.database.fetch_one::<(i64,)>(count).await.unwrap().0
}

pub(crate) async fn a_repetition_gets_the_first_answer(test: TestDatabase) {
    let (_kept, keys) = open(&test).await;
    let lease = new(&keys, "k", "hash").await;
    match keys.begin("k", "hash").await.unwrap() {
        Begun::InProgress { retry_after } => {
            assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_secs(1))
        }
        other => unreachable!("{other:?}"),
    }
    assert_eq!(keys.begin("k", "other").await.unwrap(), Begun::Mismatch);
    let answer = json!({"id": "4bf9", "total": "46.22", "items": [], "note": "\u{e9}"});
    keys.complete(lease, &answer).await.unwrap();
    assert_eq!(keys.begin("k", "hash").await.unwrap(), Begun::Replay(answer));
    assert_eq!(keys.begin("k", "other").await.unwrap(), Begun::Mismatch);
    drop(new(&keys, "k2", "hash").await);
}

pub(crate) async fn a_released_key_is_the_same_request_s_again(test: TestDatabase) {
    let (_kept, keys) = open(&test).await;
    let lease = new(&keys, "k", "hash").await;
    keys.release(lease).await.unwrap();
    assert_eq!(keys.begin("k", "other").await.unwrap(), Begun::Mismatch, "something may have been done");
    // At once, and as often as it fails.
    let lease = new(&keys, "k", "hash").await;
    keys.release(lease).await.unwrap();
    let lease = new(&keys, "k", "hash").await;
    keys.complete(lease, &json!(1)).await.unwrap();
    assert_eq!(keys.begin("k", "hash").await.unwrap(), Begun::Replay(json!(1)));
}

/// Work that takes several times as long as a lease keeps its key; when it dies the key is free after one lease.
pub(crate) async fn a_lease_is_renewed_while_its_request_works(test: TestDatabase) {
    let (kept, keys) = open(&test).await;
    let lease_time = Duration::from_millis(600);
    let short = keys.clone().with_times(LONG, lease_time);
    let lease = new(&short, "k", "hash").await;
    let work = async {
        let began = tokio::time::Instant::now();
        while began.elapsed() < lease_time * 4 {
            let begun = keys.begin("k", "hash").await.unwrap();
            assert!(matches!(begun, Begun::InProgress { .. }), "after {:?}: {begun:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        "done"
    };
    assert_eq!(short.working(&lease, work).await, "done");
    // The process dies in the middle of its work.
    let working = actix_web::rt::spawn({
        let short = short.clone();
        async move { short.working(&lease, std::future::pending::<()>()).await }
    });
    tokio::time::sleep(lease_time / 2).await;
    working.abort();
    let died = tokio::time::Instant::now();
    until("the key is free", async || match keys.begin("k", "hash").await.unwrap() {
        Begun::New(_) => Ok(()),
        other => Err(other),
    })
    .await;
    assert!(died.elapsed() < lease_time * 3, "{:?}", died.elapsed());
    // The usual lease is no minute.
    let usual = new(&keys, "usual", "hash").await;
    let row = Statement::new(
        QueryType::Select,
        "idempotency_keys",
        "SELECT leased_until FROM idempotency_keys WHERE key = 'usual'",
    );
    let (until_when,): (chrono::DateTime<chrono::Utc>,) = kept.database.fetch_one(row).await.unwrap();
    let seconds = (until_when - chrono::Utc::now()).num_seconds();
    assert!((5..=15).contains(&seconds), "{seconds} s");
    keys.release(usual).await.unwrap();
}

/// Another request has taken over: the work goes on all the same, and what is kept is the other's answer.
pub(crate) async fn a_lost_lease_does_not_undo_work(test: TestDatabase) {
    let (_kept, keys) = open(&test).await;
    let short = keys.clone().with_times(LONG, Duration::from_millis(30));
    let lost = new(&short, "k", "hash").await;
    let other = until("the lease has run out", async || match keys.begin("k", "hash").await.unwrap() {
        Begun::New(lease) => Ok(lease),
        other => Err(other),
    })
    .await;
    assert!(!short.renew(&lost).await.unwrap());
    let done = short.working(&lost, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        "done"
    });
    assert_eq!(done.await, "done");
    keys.complete(lost, &json!("late")).await.unwrap();
    keys.complete(other, &json!("in time")).await.unwrap();
    assert_eq!(keys.begin("k", "hash").await.unwrap(), Begun::Replay(json!("in time")));
}

pub(crate) async fn expired_keys_are_deleted_without_any_request(test: TestDatabase) {
    let (kept, keys) = open(&test).await;
    let brief = keys.clone().with_times(Duration::from_millis(1), Duration::from_millis(1));
    for number in 0..30 {
        drop(new(&brief, &format!("old {number}"), "hash").await);
    }
    let lasting = new(&keys, "lasting", "hash").await;
    until("they have expired", async || {
        let expired = "SELECT COUNT(*) FROM idempotency_keys WHERE expires_at <= $1";
        let expired = Statement::new(QueryType::Select, "idempotency_keys", expired).bind(chrono::Utc::now());
        match kept.database.fetch_one::<(i64,)>(expired).await.unwrap() {
            (30,) => Ok(()),
            (few,) => Err(few),
        }
    })
    .await;
    let stop = web::CancellationToken::new();
    let cleaning = actix_web::rt::spawn(keys.clone().keep_clean(stop.clone()));
    until("only what has not expired is left", async || match count(&kept).await {
        1 => Ok(()),
        count => Err(count),
    })
    .await;
    keys.complete(lasting, &json!(1)).await.unwrap();
    stop.cancel();
    cleaning.await.unwrap();
}

pub(crate) async fn a_request_that_never_ended_gives_way(test: TestDatabase) {
    let (_kept, keys) = open(&test).await;
    let short = keys.clone().with_times(LONG, Duration::from_millis(100));
    let dead = new(&short, "k", "hash").await;
    let lease = until("the lease has run out", async || match keys.begin("k", "hash").await.unwrap() {
        Begun::New(lease) => Ok(lease),
        other => Err(other),
    })
    .await;
    assert_eq!(keys.begin("k", "other").await.unwrap(), Begun::Mismatch, "it may have done something");
    // The dead come back: theirs is not the answer.
    keys.complete(dead, &json!("late")).await.unwrap();
    keys.complete(lease, &json!("in time")).await.unwrap();
    assert_eq!(keys.begin("k", "hash").await.unwrap(), Begun::Replay(json!("in time")));
}

pub(crate) async fn only_one_of_many_at_once_is_the_first(test: TestDatabase) {
    let ((_one, first), (_two, second)) = (open(&test).await, open(&test).await);
    for round in 0..5 {
        let key = format!("key {round}");
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (keys, key) = (if number % 2 == 0 { first.clone() } else { second.clone() }, key.clone());
                actix_web::rt::spawn(async move { keys.begin(&key, "hash").await.unwrap() })
            })
            .collect();
        let mut new = 0;
        for task in tasks {
            match task.await.unwrap() {
                Begun::New(_) => new += 1,
                Begun::InProgress { .. } => {}
                other => unreachable!("{other:?}"),
            }
        }
        assert_eq!(new, 1, "{key}");
    }
}

pub(crate) async fn expired_keys_are_new_and_are_cleaned_up_bit_by_bit(test: TestDatabase) {
    let (kept, keys) = open(&test).await;
    let brief = keys.clone().with_times(Duration::from_millis(1), Duration::from_millis(1));
    for number in 0..300 {
        let lease = new(&brief, &format!("old {number}"), "hash").await;
        if number % 2 == 0 {
            // Answered ones expire too; a millisecond may have passed already.
            let _ = brief.complete(lease, &json!(number)).await;
        }
    }
    let answered = new(&keys, "old 0", "another request").await;
    keys.complete(answered, &json!("kept")).await.unwrap();
    let mut begun: i64 = 0;
    until("only what has not expired is left", async || {
        begun += 1;
        let lease = new(&keys, &format!("fresh {begun}"), "hash").await;
        keys.release(lease).await.unwrap();
        // A released key is kept as well.
        match count(&kept).await {
            count if count == 1 + begun => Ok(()),
            count => Err(count),
        }
    })
    .await;
    assert!(begun <= 3 * 64, "cleaned up after {begun} requests");
    assert_eq!(keys.begin("old 0", "another request").await.unwrap(), Begun::Replay(json!("kept")));
}
