//! Entries that no try will ever deliver.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use storage::outbox::{Outbox, Undelivered};
use storage::testing::TestDatabase;
use storage::{QueryType, Statement};
use telemetry::testing::{finished_spans, metric_values};
use tracing::Instrument as _;

use crate::outboxes::{LONG, open, put_into, run, until_left};
use crate::support::until;

async fn parked_gauge(outbox: &'static str, wanted: f64) {
    until("the gauge is set", async || match metric_values("outbox_parked", &[("outbox", outbox)])[..] {
        [parked] if parked.to_bits() == wanted.to_bits() => Ok(()),
        ref other => Err(other.to_vec()),
    })
    .await;
}

/// The log's lines about entries in a trace: what they say, with their fields.
fn said(trace_id: &str, line: &str) -> Vec<Vec<(String, String)>> {
    let spans = finished_spans();
    let ours = spans.iter().filter(|span| span.span_context.trace_id().to_string() == trace_id);
    let events = ours.flat_map(|span| span.events.iter()).filter(|event| event.name.contains(line));
    events
        .map(|event| event.attributes.iter().map(|field| (field.key.to_string(), field.value.to_string())).collect())
        .collect()
}

fn has(fields: &[(String, String)], key: &str, value: &str) -> bool {
    fields.iter().any(|(found, is)| found == key && is == value)
}

pub(crate) async fn what_is_refused_for_good_is_parked_and_can_be_given_back(test: TestDatabase) {
    let kept = open(&test).await;
    // Metrics are the whole process's, and the other engine has this test, too.
    let name = if test.engine() == "sqlite" { "refused" } else { "refused-too" };
    let outbox = Outbox::new(kept.database.clone(), name);
    for key in ["before", "poison", "behind"] {
        put_into(&kept.database, &outbox, "a", key, None).await;
    }
    let refusing = Rc::new(Cell::new(true));
    let refuses = Rc::clone(&refusing);
    let (stop, delivered) = run(&outbox, async move |entry| {
        if entry.key == "poison" && refuses.get() {
            Err(Undelivered::Never("no such thing".to_owned()))
        } else {
            Ok(())
        }
    });
    until_left(&kept.database, 1).await;
    assert_eq!(delivered.keys(), ["before", "behind"], "those behind it go on");
    let parked = outbox.parked(i64::MAX, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].group.as_str(), parked[0].key.as_str(), parked[0].attempts), ("a", "poison", 1));
    assert_eq!((parked[0].reason.as_str(), parked[0].payload.as_str()), ("no such thing", r#"{"about":"poison"}"#));
    assert!(parked[0].parked_at >= parked[0].created_at);
    assert!(outbox.parked(i64::MAX, 0).await.unwrap().is_empty());
    assert_eq!(metric_values("outbox_parked_total", &[("outbox", name)]), [1.0]);
    parked_gauge(name, 1.0).await;
    // It holds nobody up.
    until("its group is free", async || if outbox.has_backlog("a") { Err(()) } else { Ok(()) }).await;
    let fresh = put_into(&kept.database, &outbox, "a", "fresh", Some(LONG)).await;
    assert!(!fresh.waits());
    outbox.done(fresh).await.unwrap();

    assert!(!outbox.unpark("another").await.unwrap());
    let mut undone = kept.database.begin().await.unwrap();
    assert!(!outbox.unpark_with(&mut undone, "another").await.unwrap());
    assert!(outbox.unpark_with(&mut undone, "poison").await.unwrap());
    undone.rollback().await.unwrap();
    assert_eq!(outbox.parked(i64::MAX, 10).await.unwrap().len(), 1, "with what was undone, it is parked as before");
    refusing.set(false);
    assert!(outbox.unpark("poison").await.unwrap());
    assert!(!outbox.unpark("poison").await.unwrap(), "it is not parked any more");
    until_left(&kept.database, 0).await;
    assert_eq!(delivered.keys(), ["before", "behind", "poison"]);
    assert!(outbox.parked(i64::MAX, 10).await.unwrap().is_empty());
    parked_gauge(name, 0.0).await;
    stop.cancel();
}

pub(crate) async fn what_cannot_be_read_is_parked(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "unreadable");
    for key in ["broken", "behind"] {
        put_into(&kept.database, &outbox, "a", key, None).await;
    }
    let breaking = "UPDATE outbox_entries SET payload = '{\"about\":' WHERE key = 'broken'";
    kept.database.execute(Statement::new(QueryType::Update, "outbox_entries", breaking)).await.unwrap();
    let (stop, delivered) = run(&outbox, async |_| Ok(()));
    until_left(&kept.database, 1).await;
    assert_eq!(delivered.keys(), ["behind"]);
    let parked = outbox.parked(i64::MAX, 10).await.unwrap();
    assert_eq!((parked[0].key.as_str(), parked[0].payload.as_str()), ("broken", "{\"about\":"));
    assert!(parked[0].reason.contains("cannot be read"), "{}", parked[0].reason);
    stop.cancel();
}

pub(crate) async fn the_writer_may_park_its_own(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "own");
    let (stop, delivered) = run(&outbox, async |_| Ok(()));
    until("it has been looked through", async || outbox.ready()).await;
    let span = tracing::info_span!("request");
    let trace_id = span.in_scope(telemetry::trace_id).unwrap();
    async {
        let id = put_into(&kept.database, &outbox, "a", "refused", Some(LONG)).await;
        outbox.park(id, "HTTP 422").await.unwrap();
    }
    .instrument(span)
    .await;
    assert_eq!(outbox.parked(i64::MAX, 10).await.unwrap()[0].reason, "HTTP 422");
    let said = said(&trace_id, "parked");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        has(&said[0], "outbox", "own") && has(&said[0], "key", "refused") && has(&said[0], "level", "ERROR"),
        "{said:?}"
    );
    let later = put_into(&kept.database, &outbox, "a", "later", Some(LONG)).await;
    assert!(!later.waits());
    outbox.failed(later, "away").await.unwrap();
    until_left(&kept.database, 1).await;
    assert_eq!(delivered.keys(), ["later"]);
    stop.cancel();
}

pub(crate) async fn parked_entries_are_read_in_pages_and_can_be_discarded(test: TestDatabase) {
    let kept = open(&test).await;
    let (outbox, another) = (Outbox::new(kept.database.clone(), "mine"), Outbox::new(kept.database.clone(), "theirs"));
    for key in ["one", "two", "three"] {
        let id = put_into(&kept.database, &outbox, "a", key, Some(LONG)).await;
        outbox.park(id, "HTTP 422").await.unwrap();
    }
    let waits = put_into(&kept.database, &outbox, "b", "waits", None).await;
    assert!(waits.waits());
    let keys = async |before: i64, limit: u32| -> Vec<(i64, String)> {
        outbox.parked(before, limit).await.unwrap().into_iter().map(|entry| (entry.id, entry.key)).collect()
    };
    let first = keys(i64::MAX, 2).await;
    assert_eq!([first[0].1.as_str(), first[1].1.as_str()], ["three", "two"], "the newest first");
    let rest = keys(first[1].0, 2).await;
    assert_eq!((rest.len(), rest[0].1.as_str()), (1, "one"));
    assert!(keys(rest[0].0, 2).await.is_empty());
    assert!(another.parked(i64::MAX, 2).await.unwrap().is_empty(), "an outbox has its own only");

    let span = tracing::info_span!("request");
    let trace_id = span.in_scope(telemetry::trace_id).unwrap();
    async {
        assert_eq!(another.discard("two").await.unwrap(), None, "another outbox's");
        assert_eq!(outbox.discard("waits").await.unwrap(), None, "what waits is not thrown away");
        assert_eq!(outbox.discard("two").await.unwrap().as_deref(), Some("HTTP 422"));
        assert_eq!(outbox.discard("two").await.unwrap(), None, "it is gone");
    }
    .instrument(span)
    .await;
    assert!(!outbox.unpark("two").await.unwrap());
    let said = said(&trace_id, "discarded");
    assert_eq!(said.len(), 1, "{said:?}");
    for (field, value) in
        [("outbox", "mine"), ("key", "two"), ("attempts", "1"), ("reason", "HTTP 422"), ("level", "WARN")]
    {
        assert!(has(&said[0], field, value), "{field}: {said:?}");
    }
    assert!(!format!("{said:?}").contains("about"), "nothing of what was to be delivered: {said:?}");
    let left: Vec<String> = keys(i64::MAX, 10).await.into_iter().map(|(_, key)| key).collect();
    assert_eq!(left, ["three", "one"]);
}

pub(crate) async fn a_blocked_entry_is_named_in_the_log(test: TestDatabase) {
    let kept = open(&test).await;
    let outbox = Outbox::new(kept.database.clone(), "named");
    let span = tracing::info_span!("service");
    let trace_id = span.in_scope(telemetry::trace_id).unwrap();
    // In nobody's trace, so that the lines of the log are in the service's.
    let poison = put_into(&kept.database, &outbox, "a", "poison", None).await;
    let stop = web::CancellationToken::new();
    let attempts = Rc::new(RefCell::new(0));
    let (seen, until_stop, runs) = (Rc::clone(&attempts), stop.clone(), outbox.clone());
    let running = actix_web::rt::spawn(
        async move {
            let deliver = async |_| {
                *seen.borrow_mut() += 1;
                Err(Undelivered::Later("the receiver says no".to_owned()))
            };
            runs.run(until_stop, deliver).await;
        }
        .instrument(span),
    );
    until("it has failed three times", async || match *attempts.borrow() {
        few @ 0..3 => Err(few),
        _ => Ok(()),
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    let said = said(&trace_id, "cannot be delivered");
    assert_eq!(said.len(), 1, "once a minute: {said:?}");
    let id = Statement::new(QueryType::Select, "outbox_entries", "SELECT id FROM outbox_entries");
    let (id,): (i64,) = kept.database.fetch_one(id).await.unwrap();
    for (field, value) in
        [("outbox", "named"), ("key", "poison"), ("attempts", "1"), ("reason", "the receiver says no")]
    {
        assert!(has(&said[0], field, value), "{field}: {said:?}");
    }
    assert!(has(&said[0], "entry_id", &id.to_string()), "{said:?}");
    assert!(poison.waits());
    // What failed is on the delivery's span as an exception.
    let spans = finished_spans();
    let failed = spans.iter().find(|span| span.name == "deliver named").unwrap();
    let exception = failed.events.iter().find(|event| event.name == "exception").unwrap();
    assert!(
        exception.attributes.iter().any(|field| field.value.to_string() == "the receiver says no"),
        "{exception:?}"
    );
}
