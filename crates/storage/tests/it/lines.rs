//! The outbox's groups: order within them, none between them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use opentelemetry::trace::SpanKind;
use serde_json::json;
use storage::outbox::{NewEntry, Outbox, Undelivered};
use storage::testing::TestDatabase;
use storage::{Database, QueryType, Statement};
use telemetry::testing::{attribute, finished_spans, metric_values};
use tokio::time::Instant;
use tracing::Instrument as _;
use web::CancellationToken;

use crate::outboxes::{LONG, left, open, put_into, run, until_left};
use crate::support::until;

fn later<T>(reason: &str) -> Result<T, Undelivered> {
    Err(Undelivered::Later(reason.to_owned()))
}

async fn known(outbox: &Outbox) {
    until("the outbox has been looked through", async || outbox.ready()).await;
}

async fn count(database: &Database, text: &'static str) -> i64 {
    database.fetch_one::<(i64,)>(Statement::new(QueryType::Select, "outbox_entries", text)).await.unwrap().0
}

/// One group's first entry fails for ever, another group's hangs: all others are delivered, each in its order, and many
/// at the same time.
pub(crate) async fn groups_do_not_wait_for_each_other(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "groups");
    let groups: Vec<String> = (0..60).map(|number| format!("group {number}")).collect();
    for number in 0..3 {
        for group in &groups {
            put_into(&kept.database, &outbox, group, &format!("{group}/{number}"), None).await;
        }
    }
    let log: Rc<RefCell<Vec<String>>> = Rc::default();
    let (now, most) = (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(0_usize)));
    let (seen, at_once, peak) = (Rc::clone(&log), Rc::clone(&now), Rc::clone(&most));
    let (stop, delivered) = run(&outbox, async move |entry| {
        seen.borrow_mut().push(entry.key.clone());
        match entry.group.as_str() {
            "group 7" => return later("not this one"),
            "group 30" => std::future::pending::<()>().await,
            _ => {}
        }
        at_once.set(at_once.get() + 1);
        peak.set(peak.get().max(at_once.get()));
        tokio::time::sleep(Duration::from_millis(2)).await;
        at_once.set(at_once.get() - 1);
        Ok(())
    });
    until_left(&kept.database, 6).await;
    for group in &groups {
        let of_group: Vec<String> =
            delivered.keys().into_iter().filter(|key| key.starts_with(&format!("{group}/"))).collect();
        let expected: Vec<String> = match group.as_str() {
            "group 7" | "group 30" => Vec::new(),
            _ => (0..3).map(|number| format!("{group}/{number}")).collect(),
        };
        assert_eq!(of_group, expected);
        if !expected.is_empty() {
            until("nothing of it waits", async || if outbox.has_backlog(group) { Err(()) } else { Ok(()) }).await;
        }
    }
    assert!(outbox.has_backlog("group 7") && outbox.has_backlog("group 30") && !outbox.has_backlog("new"));
    let tried: Vec<String> =
        log.borrow().iter().filter(|key| key.contains(" 7/") || key.contains(" 30/")).cloned().collect();
    assert!(tried.iter().all(|key| key.ends_with("/0")), "those behind are not attempted: {tried:?}");
    assert!((8..=16).contains(&most.get()), "{} at once", most.get());
    stop.cancel();
}

/// A receiver that can be away, and what it was given: a number that counts up in each group.
#[derive(Clone, Default)]
struct Receiver {
    away: Rc<Cell<bool>>,
    given: Rc<RefCell<HashMap<String, Vec<i64>>>>,
}

impl Receiver {
    async fn take(&self, group: &str, payload: &serde_json::Value) -> Result<(), Undelivered> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if self.away.get() {
            return later("away");
        }
        let number = payload["number"].as_i64().unwrap();
        self.given.borrow_mut().entry(group.to_owned()).or_default().push(number);
        Ok(())
    }
}

/// Requests of many users come in all the time. An outage leaves a backlog; it is worked off although the load goes on,
/// after that requests deliver themselves again, and nothing ever overtakes in its group.
pub(crate) async fn an_outage_is_made_up_for_while_the_load_goes_on(test: TestDatabase) {
    const WORKERS: usize = 12;
    const GROUPS: usize = 20;
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "load");
    let receiver = Receiver::default();
    let at_receiver = receiver.clone();
    let (stop, _) = run(&outbox, async move |entry| at_receiver.take(&entry.group, &entry.payload).await);
    known(&outbox).await;
    let load_stop = CancellationToken::new();
    let (direct, written) = (Rc::new(Cell::new(0_u32)), Rc::new(RefCell::new(HashMap::<String, i64>::new())));
    let load: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (database, outbox, receiver) = (kept.database.clone(), outbox.clone(), receiver.clone());
            let (stop, direct, written) = (load_stop.clone(), Rc::clone(&direct), Rc::clone(&written));
            actix_web::rt::spawn(async move {
                for number in 0.. {
                    if stop.is_cancelled() {
                        return;
                    }
                    let group = format!("{worker}-{}", number % GROUPS);
                    let number = *written.borrow().get(&group).unwrap_or(&0);
                    let payload = json!({ "number": number });
                    let lease = (!outbox.has_backlog(&group)).then_some(LONG);
                    let key = format!("{group}/{number}");
                    let mut transaction = database.begin().await.unwrap();
                    let entry = NewEntry { group: group.clone(), key, payload: payload.clone(), lease };
                    let id = outbox.put(&mut transaction, entry).await.unwrap();
                    transaction.commit().await.unwrap();
                    written.borrow_mut().insert(group.clone(), number + 1);
                    if !id.waits() {
                        match receiver.take(&group, &payload).await {
                            Ok(()) => {
                                direct.set(direct.get() + 1);
                                outbox.done(id).await.unwrap();
                            }
                            Err(error) => outbox.failed(id, &error.to_string()).await.unwrap(),
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    let goes_on = async |what: &str| {
        let wanted = direct.get() + 200;
        until(what, async || if direct.get() >= wanted { Ok(()) } else { Err((direct.get(), wanted)) }).await;
    };
    goes_on("requests deliver themselves").await;
    let waiting = "SELECT COUNT(*) FROM outbox_entries WHERE waiting";
    for _ in 0..2 {
        receiver.away.set(true);
        until("every group waits", async || {
            let groups = "SELECT COUNT(DISTINCT order_group) FROM outbox_entries WHERE waiting";
            let (groups, entries) = (count(&kept.database, groups).await, count(&kept.database, waiting).await);
            if groups == i64::try_from(WORKERS * GROUPS).unwrap() && entries >= 1_000 {
                Ok(())
            } else {
                Err((groups, entries))
            }
        })
        .await;
        receiver.away.set(false);
        let back = Instant::now();
        until("the backlog is worked off", async || match count(&kept.database, waiting).await {
            0 => Ok(()),
            left => Err(left),
        })
        .await;
        assert!(back.elapsed() < Duration::from_secs(20), "{:?}", back.elapsed());
        goes_on("requests deliver themselves again").await;
    }
    load_stop.cancel();
    for task in load {
        task.await.unwrap();
    }
    until_left(&kept.database, 0).await;
    let (given, written) = (receiver.given.borrow(), written.borrow());
    assert_eq!(written.len(), WORKERS * GROUPS);
    for (group, count) in written.iter() {
        assert_eq!(given[group], (0..*count).collect::<Vec<i64>>(), "{group}: all, each once, in order");
    }
    stop.cancel();
}

/// Whatever a process has in memory: the database knows.
pub(crate) async fn a_later_entry_of_a_group_waits_whoever_writes_it(test: TestDatabase) {
    let (kept, second) = (open(&test).await, open(&test).await);
    let one = Outbox::new(kept.database.clone(), "two");
    let other = Outbox::new(second.database.clone(), "two");
    let away = Rc::new(Cell::new(true));
    let receiver = Rc::clone(&away);
    let (stop, delivered) = run(&one, async move |_| if receiver.get() { later("away") } else { Ok(()) });
    let (other_stop, by_other) = run(&other, async |_| later("away from here"));
    known(&one).await;
    known(&other).await;
    assert!(put_into(&second.database, &other, "a", "first", None).await.waits());
    assert!(put_into(&kept.database, &one, "a", "second", Some(LONG)).await.waits(), "known without a look");
    assert!(one.has_backlog("a"));
    assert!(!put_into(&kept.database, &one, "b", "another group's", Some(LONG)).await.waits());
    other_stop.cancel();
    away.set(false);
    until_left(&kept.database, 1).await;
    assert_eq!((delivered.keys(), by_other.keys().len()), (vec!["first".to_owned(), "second".to_owned()], 0));
    until("nothing of the group waits", async || if one.has_backlog("a") { Err(()) } else { Ok(()) }).await;
    assert!(!put_into(&kept.database, &one, "a", "third", Some(LONG)).await.waits());
    stop.cancel();
}

/// Entries that a dead process holds a lease on are not overtaken by its successor.
pub(crate) async fn what_a_crash_has_left_is_not_overtaken(test: TestDatabase) {
    let kept = open(&test).await;
    let dead = Outbox::new(kept.database.clone(), "crash");
    let lease = Duration::from_secs(2);
    let written = Instant::now();
    assert!(!put_into(&kept.database, &dead, "a", "left", Some(lease)).await.waits());
    let outbox = Outbox::new(kept.database.clone(), "crash");
    let (stop, delivered) = run(&outbox, async |_| Ok(()));
    known(&outbox).await;
    assert!(outbox.has_backlog("a") && !outbox.has_backlog("b"));
    assert!(put_into(&kept.database, &outbox, "a", "fresh", Some(LONG)).await.waits());
    // Its own are under way, and no backlog.
    assert!(!put_into(&kept.database, &outbox, "b", "own", Some(LONG)).await.waits());
    assert!(!outbox.has_backlog("b"));
    until_left(&kept.database, 1).await;
    assert_eq!(delivered.keys(), ["left", "fresh"]);
    assert!(written.elapsed() >= lease, "its process might have lived");
    until("nothing of the group waits", async || if outbox.has_backlog("a") { Err(()) } else { Ok(()) }).await;
    stop.cancel();
}

/// Leaving an entry to the outbox is no failed delivery, and costs no second statement.
pub(crate) async fn an_entry_without_a_lease_costs_one_statement(test: TestDatabase) {
    let kept = open(&test).await;
    // Metrics are the whole process's, and the other engine has this test, too.
    let name = if test.engine() == "sqlite" { "unleased" } else { "unleased-too" };
    let outbox = Outbox::new(kept.database.clone(), name);
    let span = tracing::info_span!("request");
    let trace_id = span.in_scope(telemetry::trace_id).unwrap();
    let id = put_into(&kept.database, &outbox, "a", "one", None).instrument(span).await;
    assert!(id.waits());
    let statements = finished_spans()
        .into_iter()
        .filter(|span| span.span_context.trace_id().to_string() == trace_id && span.span_kind == SpanKind::Client)
        .filter(|span| attribute(span, "db.collection.name").is_some())
        .count();
    assert_eq!(statements, 1);
    assert!(metric_values("outbox_deliveries_total", &[("outbox", name)]).is_empty());
    let attempts = Rc::new(Cell::new(0));
    let seen = Rc::clone(&attempts);
    let (stop, _) = run(&outbox, async move |entry| {
        assert_eq!(entry.last_error, None);
        seen.set(entry.attempts);
        Ok(())
    });
    until_left(&kept.database, 0).await;
    assert_eq!(attempts.get(), 1);
    // The table is looked through again and again, and never all of it is counted in between.
    assert_eq!(left(&kept.database).await, 0);
    stop.cancel();
}

pub(crate) async fn a_slow_delivery_is_ended_and_holds_up_its_group_alone(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "slow").with_delivery_timeout(Duration::from_millis(200));
    assert!(outbox.lease_for(Duration::from_secs(10)) > Duration::from_secs(10) + kept.database.longest_statement());
    for (group, key) in [("a", "hanging"), ("a", "behind"), ("b", "other")] {
        put_into(&kept.database, &outbox, group, key, None).await;
    }
    let errors: Rc<RefCell<Vec<Option<String>>>> = Rc::default();
    let seen = Rc::clone(&errors);
    let (stop, delivered) = run(&outbox, async move |entry| {
        if entry.key == "hanging" {
            seen.borrow_mut().push(entry.last_error.clone());
            if entry.attempts == 1 {
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    });
    until_left(&kept.database, 0).await;
    assert_eq!(delivered.keys(), ["other", "hanging", "behind"]);
    assert_eq!(*errors.borrow(), [None, Some("it took too long".to_owned())], "the next try knows why");
    stop.cancel();
}

#[derive(storage::FromRow)]
struct Until {
    leased_until: DateTime<Utc>,
}

/// A lease is short, whatever a delivery may take, and renewed while it lasts: what a process held that died is soon free,
/// and what is being delivered is nobody else's.
pub(crate) async fn a_lease_lasts_as_long_as_its_process_and_not_much_longer(test: TestDatabase) {
    let kept = open(&test).await;
    let leased_until = async || {
        let text = "SELECT leased_until FROM outbox_entries";
        let statement = Statement::new(QueryType::Select, "outbox_entries", text);
        kept.database.fetch_one::<Until>(statement).await.unwrap().leased_until
    };
    let outbox = Outbox::new(kept.database.clone(), "leases").with_delivery_timeout(Duration::from_secs(3_600));
    put_into(&kept.database, &outbox, "a", "one", None).await;
    let begun = Rc::new(Cell::new(false));
    let seen = Rc::clone(&begun);
    let dies = actix_web::rt::spawn(outbox.run(CancellationToken::new(), async move |_| {
        seen.set(true);
        std::future::pending().await
    }));
    until("the delivery has begun", async || begun.get().then_some(()).ok_or("not yet")).await;
    let first = leased_until().await;
    assert!(first <= Utc::now() + TimeDelta::seconds(30), "{first}");
    let renewed = until("the lease is renewed", async || {
        let now = leased_until().await;
        if now > first { Ok(now) } else { Err(now) }
    })
    .await;
    assert!(renewed <= Utc::now() + TimeDelta::seconds(30), "{renewed}");
    // The process dies. Another one gets it once the lease is over, which nobody renews any more.
    dies.abort();
    assert!(dies.await.is_err());
    let other = Outbox::new(kept.database.clone(), "leases");
    let (stop, delivered) = run(&other, async |_| Ok(()));
    until_left(&kept.database, 0).await;
    assert_eq!(delivered.keys(), ["one"]);
    assert!(Utc::now() >= renewed, "not before");
    stop.cancel();
}
