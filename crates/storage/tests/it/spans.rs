//! What statements leave behind: spans and metrics.

use opentelemetry::Value;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use storage::testing::TestDatabase;
use storage::{Database, QueryType, Statement, StorageError};
use telemetry::testing::{attribute, finished_spans, metric_values};
use tracing::Instrument as _;

use crate::proxy::Proxy;
use crate::support::{Kept, SERVICE};

const INSERT: &str = "INSERT INTO things (id, name) VALUES ($1, $2)";

fn insert(id: i64, name: &str) -> Statement {
    Statement::new(QueryType::Insert, "things", INSERT).bind(id).bind(name)
}

/// The spans of one trace, in the order in which they began.
fn of_trace(trace_id: &str) -> Vec<SpanData> {
    let mut spans: Vec<SpanData> = finished_spans()
        .into_iter()
        .filter(|span| span.span_context.trace_id().to_string() == trace_id && span.span_kind == SpanKind::Client)
        .collect();
    spans.sort_by_key(|span| span.start_time);
    spans
}

async fn traced<T>(work: impl Future<Output = T>) -> (T, Vec<SpanData>) {
    let span = tracing::info_span!("request");
    let (done, trace_id) = async { (work.await, telemetry::trace_id().unwrap()) }.instrument(span).await;
    (done, of_trace(&trace_id))
}

fn number(span: &SpanData, key: &str) -> Option<i64> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|found| match found.value {
        Value::I64(number) => number,
        ref other => unreachable!("{key} reaches the trace as {other:?}"),
    })
}

pub(crate) async fn each_statement_is_a_client_span(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    let database = &kept.database;
    let ((), spans) = traced(async {
        let mut transaction = database.begin().await.unwrap();
        transaction.execute(insert(1, "a secret")).await.unwrap();
        transaction.execute(insert(2, "another secret")).await.unwrap();
        transaction.commit().await.unwrap();
        let select = Statement::new(QueryType::Select, "things", "SELECT id FROM things WHERE name LIKE $1");
        assert_eq!(database.fetch_all::<(i64,)>(select.bind("%secret")).await.unwrap().len(), 2);
        let mut dropped = database.begin().await.unwrap();
        dropped.execute(insert(3, "three")).await.unwrap();
        dropped.rollback().await.unwrap();
    })
    .await;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
    let expected =
        ["BEGIN", "INSERT things", "INSERT things", "COMMIT", "SELECT things", "BEGIN", "INSERT things", "ROLLBACK"];
    assert_eq!(names, expected);
    let parent = spans[0].parent_span_id;
    for span in &spans {
        assert_eq!(span.parent_span_id, parent, "statements are side by side");
        assert_eq!(span.status, Status::Unset);
        assert_eq!(attribute(span, "db.system.name").as_deref(), Some(test.engine()));
        let namespace = attribute(span, "db.namespace").unwrap();
        match test.engine() {
            "sqlite" => assert_eq!(namespace, format!("{SERVICE}.db")),
            _ => assert!(namespace.starts_with("test_") && namespace.ends_with("|shop_service"), "{namespace}"),
        }
        assert_eq!(attribute(span, "db.query.summary").as_deref(), Some(span.name.as_ref()));
        assert!(span.attributes.iter().all(|attribute| !attribute.value.to_string().contains("secret")), "{span:?}");
        assert_eq!(attribute(span, "server.address").is_some(), test.engine() == "postgresql");
        assert_eq!(number(span, "server.port"), None, "there is none on a socket");
    }
    let begin = if test.engine() == "sqlite" { "BEGIN IMMEDIATE" } else { "BEGIN" };
    assert_eq!(attribute(&spans[0], "db.query.text").as_deref(), Some(begin));
    assert_eq!(attribute(&spans[0], "db.collection.name"), None);
    assert_eq!(attribute(&spans[1], "db.query.text").as_deref(), Some(INSERT));
    assert_eq!(attribute(&spans[1], "db.operation.name").as_deref(), Some("INSERT"));
    assert_eq!(attribute(&spans[1], "db.collection.name").as_deref(), Some("things"));
    assert_eq!(number(&spans[1], "db.response.returned_rows"), None);
    assert_eq!(number(&spans[4], "db.response.returned_rows"), Some(2));
}

pub(crate) async fn an_error_is_on_its_span(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    let failed = || metric_values("db_query_errors_total", &[("query_type", "insert"), ("reason", "conflict")]);
    let before = failed().first().copied().unwrap_or_default();
    let (error, spans) = traced(async {
        kept.database.execute(insert(7, "personal")).await.unwrap();
        kept.database.execute(insert(7, "personal")).await.unwrap_err()
    })
    .await;
    assert!(matches!(error, StorageError::Conflict { .. }), "{error}");
    let Status::Error { description } = &spans[1].status else { unreachable!("{:?}", spans[1].status) };
    assert!(description.contains("there is such a row already") && !description.contains("personal"), "{description}");
    assert_eq!(attribute(&spans[1], "error.type").as_deref(), Some("conflict"));
    let code = if test.engine() == "sqlite" { "1555" } else { "23505" };
    assert_eq!(attribute(&spans[1], "db.response.status_code").as_deref(), Some(code));
    assert!(failed()[0] > before);
    // With its exception, as OpenTelemetry has it.
    let exception = spans[1].events.iter().find(|event| event.name == "exception").unwrap();
    let said = |key| exception.attributes.iter().find(|attribute| attribute.key.as_str() == key).unwrap();
    assert_eq!(said("exception.type").value.to_string(), "conflict");
    assert_eq!(said("exception.message").value.to_string(), error.to_string());
    assert!(said("exception.stacktrace").value.to_string().contains("there is such a row already"), "{exception:?}");
    assert!(spans[0].events.is_empty(), "{:?}", spans[0].events);
}

/// Other tests of this process use connections at the same time, so there may be more, never fewer.
pub(crate) async fn a_connection_at_work_is_counted(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    let active = || metric_values("db_active_connections", &[]).first().copied().unwrap_or_default();
    for _ in 0..20 {
        let transaction = kept.database.begin().await.unwrap();
        assert!(active() >= 1.0, "{}", active());
        transaction.rollback().await.unwrap();
        let waiting = kept.database.begin().await.unwrap();
        actix_web::rt::task::yield_now().await;
        assert!(active() >= 1.0, "{}", active());
        drop(waiting);
    }
    crate::support::until("all are given back", async || match active() {
        0.0 => Ok(()),
        some => Err(some),
    })
    .await;
}

pub(crate) async fn statements_are_measured(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    let counted = |kind| {
        let counts = metric_values("db_query_duration_seconds_count", &[("query_type", kind)]);
        assert!(counts.len() <= 1, "one series a kind: {counts:?}");
        counts.first().copied().unwrap_or_default()
    };
    let kinds = ["begin", "insert", "commit", "select"];
    let before = kinds.map(counted);
    for id in 1..=10 {
        let mut transaction = kept.database.begin().await.unwrap();
        transaction.execute(insert(id, &id.to_string())).await.unwrap();
        transaction.commit().await.unwrap();
        let select = Statement::new(QueryType::Select, "things", "SELECT id FROM things WHERE id = $1").bind(id);
        kept.database.fetch_one::<(i64,)>(select).await.unwrap();
    }
    for (kind, before) in kinds.into_iter().zip(before) {
        assert!(counted(kind) >= before + 10.0, "{kind}");
    }
    let bounds = |le| metric_values("db_query_duration_seconds_bucket", &[("query_type", "select"), ("le", le)]).len();
    assert_eq!((bounds("0.0001"), bounds("5"), bounds("10")), (1, 1, 0));
    crate::support::until("the gauge is set", async || {
        // Other databases of this process set the same gauge.
        match metric_values("db_pool_size", &[])[..] {
            [open] if open >= 1.0 => Ok(()),
            ref open => Err(open.to_vec()),
        }
    })
    .await;
}

pub(crate) async fn a_server_has_its_address_on_the_span(test: TestDatabase) {
    let socket = test.url().rsplit_once("host=").unwrap().1;
    let proxy = Proxy::before(std::path::Path::new(socket).join(".s.PGSQL.5432")).await;
    let kept = Kept::open(&storage::DatabaseSettings::at(&proxy.url(test.url())), Vec::new());
    kept.wait_until_ready().await;
    let database: &Database = &kept.database;
    let query = Statement::new(QueryType::Select, "nothing", "SELECT CAST(1 AS BIGINT)");
    let (_, spans) = traced(database.fetch_one::<(i64,)>(query)).await;
    assert_eq!(attribute(&spans[0], "server.address").as_deref(), Some("127.0.0.1"));
    assert_eq!(number(&spans[0], "server.port"), Some(i64::from(proxy.port())));
}
