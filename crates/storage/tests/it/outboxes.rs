//! The durable outbox.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use storage::outbox::{Entry, EntryId, NewEntry, Outbox, Undelivered, migration};
use storage::testing::TestDatabase;
use storage::{Database, QueryType, Statement, StorageError};
use telemetry::testing::{attribute, finished_spans, metric_values};
use tracing::Instrument as _;
use web::CancellationToken;

use crate::support::{Kept, until};

pub(crate) async fn open(test: &TestDatabase) -> Kept {
    let kept = Kept::open(&test.settings(), vec![migration(1)]);
    kept.wait_until_ready().await;
    kept
}

async fn put(database: &Database, outbox: &Outbox, key: &str, lease: Duration) -> EntryId {
    put_into(database, outbox, GROUP, key, Some(lease)).await
}

pub(crate) async fn put_into(
    database: &Database,
    outbox: &Outbox,
    group: &str,
    key: &str,
    lease: Option<Duration>,
) -> EntryId {
    let mut transaction = database.begin().await.unwrap();
    let entry = NewEntry { group: group.to_owned(), key: key.to_owned(), payload: json!({ "about": key }), lease };
    let id = outbox.put(&mut transaction, entry).await.unwrap();
    transaction.commit().await.unwrap();
    id
}

pub(crate) async fn left(database: &Database) -> i64 {
    let count = Statement::new(QueryType::Select, "outbox_entries", "SELECT COUNT(*) FROM outbox_entries");
    database.fetch_one::<(i64,)>(count).await.unwrap().0
}

pub(crate) async fn until_left(database: &Database, wanted: i64) {
    until("entries are delivered", async || match left(database).await {
        left if left == wanted => Ok(()),
        left => Err(left),
    })
    .await;
}

/// Runs an outbox until the token it gives is cancelled, and keeps what was delivered.
pub(crate) fn run(
    outbox: &Outbox,
    deliver: impl AsyncFn(&Entry) -> Result<(), Undelivered> + 'static,
) -> (CancellationToken, Delivered) {
    let (stop, delivered) = (CancellationToken::new(), Delivered::default());
    let (outbox, until, seen) = (outbox.clone(), stop.clone(), delivered.clone());
    actix_web::rt::spawn(async move {
        let deliver = async |entry: Entry| {
            deliver(&entry).await?;
            seen.0.borrow_mut().push(entry.key);
            Ok(())
        };
        outbox.run(until, deliver).await;
    });
    (stop, delivered)
}

#[derive(Clone, Default)]
pub(crate) struct Delivered(Rc<RefCell<Vec<String>>>);

impl Delivered {
    pub(crate) fn keys(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

pub(crate) const LONG: Duration = Duration::from_secs(600);

/// That of most entries here.
const GROUP: &str = "7";

pub(crate) async fn order_is_kept(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "order");
    let keys: Vec<String> = (0..30).map(|number| format!("entry {number}")).collect();
    for key in &keys {
        put(&kept.database, &outbox, key, Duration::ZERO).await;
    }
    // Another outbox in the same table is none of this one's business.
    let other = Outbox::new(kept.database.clone(), "other");
    put(&kept.database, &other, &keys[0], Duration::ZERO).await;
    let (stop, delivered) = run(&outbox, async |entry| {
        assert_eq!(entry.payload, json!({ "about": entry.key }));
        Ok(())
    });
    until_left(&kept.database, 1).await;
    assert_eq!(delivered.keys(), keys);
    stop.cancel();
}

pub(crate) async fn an_entry_of_a_rolled_back_transaction_never_was(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "rolled-back");
    let mut transaction = kept.database.begin().await.unwrap();
    let entry = NewEntry { group: GROUP.to_owned(), key: "one".to_owned(), payload: json!(1), lease: Some(LONG) };
    outbox.put(&mut transaction, entry.clone()).await.unwrap();
    let twice = outbox.put(&mut transaction, entry).await.unwrap_err();
    assert!(matches!(twice, StorageError::Conflict { .. }), "{twice}");
    drop(transaction);
    until_left(&kept.database, 0).await;
}

pub(crate) async fn whoever_writes_an_entry_may_deliver_it_itself(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "self");
    assert!(outbox.has_backlog(GROUP), "nobody has looked yet");
    let (stop, delivered) = run(&outbox, async |_| Ok(()));
    until("it has been looked", async || if outbox.has_backlog(GROUP) { Err(()) } else { Ok(()) }).await;

    let first = put(&kept.database, &outbox, "first", LONG).await;
    let second = put(&kept.database, &outbox, "second", LONG).await;
    assert!(!outbox.has_backlog(GROUP), "entries that somebody is delivering are no backlog");
    outbox.done(first).await.unwrap();
    outbox.failed(second, "nobody there").await.unwrap();
    assert!(outbox.has_backlog(GROUP), "it is known at once that one waits");
    until_left(&kept.database, 0).await;
    assert_eq!(delivered.keys(), ["second"]);
    until("the backlog is gone", async || if outbox.has_backlog(GROUP) { Err(()) } else { Ok(()) }).await;
    stop.cancel();
}

/// Those that are said to be delivered while the outbox stops, and after it has stopped, are ticked off all the same.
pub(crate) async fn what_its_writer_has_delivered_is_ticked_off_once(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "ticked");
    let (stop, delivered) = run(&outbox, async |_| Ok(()));
    until("it has been looked", async || if outbox.has_backlog(GROUP) { Err(()) } else { Ok(()) }).await;
    let mut entries = Vec::new();
    for number in 0..60 {
        entries.push(put(&kept.database, &outbox, &format!("entry {number}"), LONG).await);
    }
    let mut entries = entries.into_iter();
    for id in entries.by_ref().take(20) {
        outbox.done(id).await.unwrap();
    }
    until_left(&kept.database, 40).await;
    for id in entries.by_ref().take(20) {
        outbox.done(id).await.unwrap();
    }
    stop.cancel();
    until_left(&kept.database, 20).await;
    for id in entries {
        outbox.done(id).await.unwrap();
    }
    assert_eq!(left(&kept.database).await, 0, "nobody runs who would do it later");
    assert_eq!(delivered.keys(), [""; 0]);
}

pub(crate) async fn an_entry_whose_writer_died_is_delivered_when_its_lease_has_run_out(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "died");
    let lease = Duration::from_millis(700);
    let written = tokio::time::Instant::now();
    put(&kept.database, &outbox, "orphan", lease).await;
    // One behind it that is nobody's waits for its turn.
    put(&kept.database, &outbox, "behind", Duration::ZERO).await;
    let (stop, delivered) = run(&outbox, async |_| Ok(()));
    until_left(&kept.database, 0).await;
    assert!(written.elapsed() >= lease, "it was somebody's until then");
    assert_eq!(delivered.keys(), ["orphan", "behind"]);
    stop.cancel();
}

pub(crate) async fn a_failing_entry_blocks_those_behind_it(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "failing");
    for key in ["bad", "good", "better"] {
        put(&kept.database, &outbox, key, Duration::ZERO).await;
    }
    let attempts = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&attempts);
    let (stop, delivered) = run(&outbox, async move |entry| {
        seen.borrow_mut().push((entry.key.clone(), entry.attempts));
        if entry.key == "bad" && entry.attempts < 5 { Err(Undelivered::Later("not yet".to_owned())) } else { Ok(()) }
    });
    until("it has failed twice", async || {
        let reasons = "SELECT last_error FROM outbox_entries WHERE key = 'bad' AND attempts >= 3";
        let reasons = Statement::new(QueryType::Select, "outbox_entries", reasons);
        match kept.database.fetch_optional::<(Option<String>,)>(reasons).await.unwrap() {
            Some((Some(reason),)) if reason == "not yet" => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert!(outbox.has_backlog(GROUP));
    assert_eq!(metric_values("outbox_backlog", &[("outbox", "failing")]), [3.0]);
    until_left(&kept.database, 0).await;
    assert_eq!(delivered.keys(), ["bad", "good", "better"]);
    let seen: Vec<(String, i64)> = attempts.borrow().clone();
    // The first attempt was its writer's; the others had to wait, so nobody has tried them.
    let expected = [("bad", 2), ("bad", 3), ("bad", 4), ("bad", 5), ("good", 1), ("better", 1)];
    assert!(seen.iter().map(|(key, attempt)| (key.as_str(), *attempt)).eq(expected), "{seen:?}");
    let failed = metric_values("outbox_deliveries_total", &[("outbox", "failing"), ("outcome", "failed")]);
    let done = metric_values("outbox_deliveries_total", &[("outbox", "failing"), ("outcome", "delivered")]);
    assert!(failed[0] >= 3.0 && done[0] >= 3.0, "{failed:?} {done:?}");
    until("the gauge is back at 0", async || match metric_values("outbox_backlog", &[("outbox", "failing")])[..] {
        [0.0] => Ok(()),
        _ => Err(()),
    })
    .await;
    stop.cancel();
}

pub(crate) async fn two_processes_never_deliver_the_same_entry_at_once(test: TestDatabase) {
    let processes = [open(&test).await, open(&test).await];
    // Three loops each, which all want the first entry at the same moment.
    let outboxes: Vec<Outbox> =
        processes.iter().cycle().take(6).map(|kept| Outbox::new(kept.database.clone(), "shared")).collect();
    let database = &processes[0].database;
    let keys: Vec<String> = (0..60).map(|number| format!("entry {number}")).collect();
    for key in &keys {
        put(database, &outboxes[0], key, Duration::ZERO).await;
    }
    let log: Rc<RefCell<Vec<(String, bool)>>> = Rc::default();
    let runs: Vec<(CancellationToken, Delivered)> = outboxes
        .iter()
        .map(|outbox| {
            let log = Rc::clone(&log);
            run(outbox, async move |entry| {
                log.borrow_mut().push((entry.key.clone(), true));
                tokio::time::sleep(Duration::from_millis(2)).await;
                log.borrow_mut().push((entry.key.clone(), false));
                Ok(())
            })
        })
        .collect();
    // Whoever has done ten stops, so that others take over.
    until("all are delivered", async || {
        for (stop, delivered) in &runs[1..] {
            if delivered.keys().len() >= 10 {
                stop.cancel();
            }
        }
        match left(database).await {
            0 => Ok(()),
            left => Err(left),
        }
    })
    .await;
    // Begun and ended one after the other, each once, in order, whoever did it.
    let expected: Vec<(String, bool)> =
        keys.iter().flat_map(|key| [(key.clone(), true), (key.clone(), false)]).collect();
    assert_eq!(*log.borrow(), expected);
    for (stop, _) in runs {
        stop.cancel();
    }
}

pub(crate) async fn a_late_word_does_not_disturb_who_has_the_entry_now(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "late");
    let early = put(&kept.database, &outbox, "slow", Duration::ZERO).await;
    let (begun, end) = (CancellationToken::new(), CancellationToken::new());
    let (tell, wait) = (begun.clone(), end.clone());
    let count = Rc::new(RefCell::new(0));
    let calls = Rc::clone(&count);
    let (stop, delivered) = run(&outbox, async move |_| {
        *calls.borrow_mut() += 1;
        tell.cancel();
        wait.cancelled().await;
        Ok(())
    });
    begun.cancelled().await;
    // The writer, whose lease has run out, gives up only now: the entry must not become free.
    outbox.failed(early, "too late").await.unwrap();
    let second = Outbox::new(kept.database.clone(), "late");
    let (second_stop, second_delivered) = run(&second, async |_| Ok(()));
    until("the second has looked", async || second.ready()).await;
    end.cancel();
    until_left(&kept.database, 0).await;
    assert_eq!((*count.borrow(), delivered.keys().len(), second_delivered.keys().len()), (1, 1, 0));
    stop.cancel();
    second_stop.cancel();
}

pub(crate) async fn a_stopped_service_gives_back_what_it_was_delivering(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "stopped");
    put(&kept.database, &outbox, "hanging", Duration::ZERO).await;
    let begun = CancellationToken::new();
    let tell = begun.clone();
    let (stop, nothing) = run(&outbox, async move |_| {
        tell.cancel();
        std::future::pending().await
    });
    begun.cancelled().await;
    stop.cancel();
    // Long before the lease of 30 s runs out.
    let stopped = tokio::time::Instant::now();
    let (stop, delivered) = run(&Outbox::new(kept.database.clone(), "stopped"), async |_| Ok(()));
    until_left(&kept.database, 0).await;
    assert!(stopped.elapsed() < Duration::from_secs(15));
    assert_eq!((nothing.keys().len(), delivered.keys()), (0, vec!["hanging".to_owned()]));
    stop.cancel();
}

pub(crate) async fn a_delivery_belongs_to_the_trace_that_wrote_the_entry(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "traced");
    let request = tracing::info_span!("request");
    let trace_id = async {
        use opentelemetry::trace::FutureExt as _;
        let context = telemetry::propagation::with_baggage(&[("user.id", "1001"), ("note", "a b,c=d;\u{e9}")]);
        async { put(&kept.database, &outbox, "one", Duration::ZERO).await }.with_context(context).await;
        telemetry::trace_id().unwrap()
    }
    .instrument(request)
    .await;
    let told: Rc<RefCell<Vec<Option<String>>>> = Rc::default();
    let tell = Rc::clone(&told);
    let (stop, _) = run(&outbox, async move |_| {
        let baggage = telemetry::propagation::baggage;
        tell.borrow_mut().extend([telemetry::trace_id(), baggage("user.id"), baggage("note")]);
        Ok(())
    });
    until_left(&kept.database, 0).await;
    let expected = [Some(trace_id.clone()), Some("1001".to_owned()), Some("a b,c=d;\u{e9}".to_owned())];
    assert_eq!(*told.borrow(), expected);
    until("the delivery's span has ended", async || {
        let spans = finished_spans();
        let mut ours = spans.iter().filter(|span| span.span_context.trace_id().to_string() == trace_id);
        ours.find(|span| span.name == "deliver traced").map(drop).ok_or(())
    })
    .await;
    // Looking for entries again and again is in nobody's trace.
    let looks = finished_spans()
        .iter()
        .filter(|span| attribute(span, "db.query.text").is_some_and(|text| text.contains("has_waiting")))
        .count();
    assert_eq!(looks, 0);
    stop.cancel();
}
