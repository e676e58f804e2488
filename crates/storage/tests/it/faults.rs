//! Databases that are away, locked, slow, full, or none.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use storage::testing::{Cluster, TestDatabase};
use storage::{Database, DatabaseSettings, QueryType, Statement, StorageError};
use telemetry::testing::finished_spans;
use tokio::time::Instant;
use tracing::Instrument as _;
use web::StartError;

use crate::proxy::Proxy;
use crate::support::{Kept, SERVICE, THINGS, until};

fn insert(id: i64) -> Statement {
    Statement::new(QueryType::Insert, "things", "INSERT INTO things (id) VALUES ($1)").bind(id)
}

fn ids() -> Statement {
    Statement::new(QueryType::Select, "things", "SELECT id FROM things ORDER BY id")
}

fn one() -> Statement {
    Statement::new(QueryType::Select, "nothing", "SELECT CAST(1 AS BIGINT)")
}

/// Far longer than any time limit here.
fn slow(engine: &str) -> Statement {
    let sqlite =
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 10000000000) SELECT MAX(x) FROM n";
    let text = if engine == "sqlite" { sqlite } else { "SELECT CAST(1 AS BIGINT) FROM pg_sleep(600)" };
    Statement::new(QueryType::Select, "nothing", text)
}

fn is_away<T: std::fmt::Debug>(result: &Result<T, StorageError>) -> bool {
    matches!(result, Err(StorageError::Unavailable { reason }) if reason.len() > 10)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    actix_web::rt::task::spawn_blocking(work).await.unwrap()
}

async fn cluster() -> std::sync::Arc<Cluster> {
    blocking(|| std::sync::Arc::new(Cluster::start())).await
}

/// What was logged in a trace about the database, from all its spans.
fn logged(trace_id: &str) -> Vec<String> {
    let spans = finished_spans();
    let ours = spans.iter().filter(|span| span.span_context.trace_id().to_string() == trace_id);
    let events = ours.flat_map(|span| span.events.iter().map(|event| event.name.to_string()));
    events.filter(|event| event.starts_with("the database")).collect()
}

/// Stopped, and crashed, under load: every statement fails in words and soon, nothing that was acknowledged is lost, and
/// the same `Database` works again by itself.
pub(crate) async fn a_stopped_server_is_away_and_comes_back(_: TestDatabase) {
    let cluster = cluster().await;
    telemetry::testing::init();
    let span = tracing::info_span!("outage");
    let trace_id = span.in_scope(telemetry::trace_id).unwrap();
    let settings = DatabaseSettings::at(&cluster.database());
    let kept = Kept::open_within(&settings, vec![THINGS], &span);
    kept.wait_until_ready().await;
    let acknowledged: Rc<RefCell<Vec<i64>>> = Rc::default();
    let errors: Rc<RefCell<Vec<StorageError>>> = Rc::default();
    let stop = web::CancellationToken::new();
    let load: Vec<_> = (0..8)
        .map(|worker| {
            let (database, stop) = (kept.database.clone(), stop.clone());
            let (acknowledged, errors) = (Rc::clone(&acknowledged), Rc::clone(&errors));
            let work = async move {
                let mut id = worker;
                while !stop.is_cancelled() {
                    id += 8;
                    let began = Instant::now();
                    let result = async {
                        let mut transaction = database.begin().await?;
                        transaction.execute(insert(id)).await?;
                        transaction.commit().await
                    }
                    .await;
                    match result {
                        Ok(()) => acknowledged.borrow_mut().push(id),
                        Err(error) => {
                            assert!(began.elapsed() < Duration::from_secs(4), "{error} after {:?}", began.elapsed());
                            errors.borrow_mut().push(error);
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            actix_web::rt::spawn(work.instrument(span.clone()))
        })
        .collect();
    let progress = async |more: usize| {
        let wanted = acknowledged.borrow().len() + more;
        until("work is done", async || {
            let done = acknowledged.borrow().len();
            if done >= wanted { Ok(()) } else { Err((done, wanted, errors.borrow().last().cloned())) }
        })
        .await;
    };
    for crash in [false, true] {
        progress(40).await;
        let server = cluster.clone();
        blocking(move || if crash { server.crash() } else { server.stop() }).await;
        until("statements fail", async || {
            let result = kept.database.fetch_one::<(i64,)>(one()).await;
            if is_away(&result) { Ok(()) } else { Err(result) }
        })
        .await;
        // Once it is known to be away nobody waits.
        let began = Instant::now();
        for _ in 0..100 {
            assert!(is_away(&kept.database.fetch_one::<(i64,)>(one()).await));
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert!(kept.database.ready().await.unwrap_err().starts_with("the database cannot be used now"));
        let server = cluster.clone();
        blocking(move || server.start_again()).await;
        progress(40).await;
        kept.wait_until_ready().await;
    }
    stop.cancel();
    for task in load {
        task.await.unwrap();
    }
    for error in errors.borrow().iter() {
        assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    }
    let there: Vec<i64> = kept.database.fetch_all::<(i64,)>(ids()).await.unwrap().into_iter().map(|(id,)| id).collect();
    let lost: Vec<i64> = acknowledged.borrow().iter().copied().filter(|id| !there.contains(id)).collect();
    assert_eq!(lost, [0; 0], "acknowledged and lost");
    drop(kept);
    drop(span);
    until("the log is told", async || {
        let logged = logged(&trace_id);
        let of = |word: &str| logged.iter().filter(|line| line.contains(word)).count();
        // A server that is being stopped may still answer on one connection when it has closed another, and is away a
        // second time then; but it is never said once a statement.
        if of("is away") == of("is back") && (2..=4).contains(&of("is away")) { Ok(()) } else { Err(logged) }
    })
    .await;
}

pub(crate) async fn a_service_starts_while_its_server_is_away(_: TestDatabase) {
    let cluster = cluster().await;
    let settings = DatabaseSettings::at(&cluster.database());
    let server = cluster.clone();
    blocking(move || server.stop()).await;
    let kept = Kept::open(&settings, vec![THINGS]);
    until("it is known to be away", async || match kept.database.ready().await {
        Err(reason) if reason.contains("the connection failed") => Ok(()),
        other => Err(other),
    })
    .await;
    assert!(is_away(&kept.database.execute(insert(1)).await));
    let begun = kept.database.begin().await.map(drop);
    assert!(is_away(&begun));
    let server = cluster.clone();
    blocking(move || server.start_again()).await;
    kept.wait_until_ready().await;
    kept.database.execute(insert(1)).await.unwrap();
}

pub(crate) async fn a_server_that_does_not_answer_any_more_is_away(test: TestDatabase) {
    let socket = test.url().rsplit_once("host=").unwrap().1;
    let proxy = Proxy::before(std::path::Path::new(socket).join(".s.PGSQL.5432")).await;
    let settings = DatabaseSettings {
        database_statement_timeout_ms: 300,
        database_acquire_timeout_ms: 300,
        database_max_connections: 2,
        ..DatabaseSettings::at(&proxy.url(test.url()))
    };
    let kept = Kept::open(&settings, vec![THINGS]);
    kept.wait_until_ready().await;
    kept.database.execute(insert(1)).await.unwrap();
    proxy.shut();
    let error = kept.database.execute(insert(2)).await.unwrap_err();
    assert_eq!(error, StorageError::Timeout { reason: "the server does not answer" });
    assert!(is_away(&kept.database.execute(insert(3)).await));
    assert!(kept.database.ready().await.unwrap_err().contains("does not answer"));
    proxy.open();
    kept.wait_until_ready().await;
    kept.database.execute(insert(4)).await.unwrap();
}

pub(crate) async fn a_server_that_never_answers_is_waited_for_in_vain_for_a_bounded_time(_: TestDatabase) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://me:s3cret@127.0.0.1:{}/db", silent.local_addr().unwrap().port());
    let settings = DatabaseSettings { database_acquire_timeout_ms: 100, ..DatabaseSettings::at(&url) };
    let kept = Kept::open(&settings, vec![THINGS]);
    let reason = until("it is told", async || match kept.database.ready().await {
        Err(reason) if reason.contains("did not let us in") => Ok(reason),
        other => Err(other),
    })
    .await;
    assert!(!reason.contains("s3cret"), "{reason}");
}

pub(crate) async fn a_wrong_password_is_a_sentence_without_it(_: TestDatabase) {
    // A server that asks for a password and takes none.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    actix_web::rt::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut client, _)) = listener.accept().await {
            let mut asked = vec![0; 4096];
            let _ = client.read(&mut asked).await;
            let fields = b"SFATAL\0C28P01\0Mpassword authentication failed for user \"me\"\0\0";
            let mut answer = vec![b'E'];
            answer.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
            answer.extend(fields);
            let _ = client.write_all(&answer).await;
        }
    });
    let url = format!("postgres://me:s3cret@127.0.0.1:{port}/db?sslmode=disable");
    let kept = Kept::open(&DatabaseSettings::at(&url), vec![THINGS]);
    let reason = until("it is told", async || match kept.database.ready().await {
        Err(reason) if reason.contains("password authentication failed") => Ok(reason),
        other => Err(other),
    })
    .await;
    assert!(!reason.contains("s3cret"), "{reason}");
}

pub(crate) async fn a_slow_statement_is_ended(test: TestDatabase) {
    let settings = DatabaseSettings { database_statement_timeout_ms: 200, ..test.settings() };
    let kept = Kept::open(&settings, vec![THINGS]);
    kept.wait_until_ready().await;
    for _ in 0..5 {
        let began = Instant::now();
        let error = kept.database.fetch_all::<(i64,)>(slow(test.engine())).await.unwrap_err();
        assert!(matches!(error, StorageError::Timeout { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        // It was the statement, not the database.
        kept.database.ready().await.unwrap();
    }
}

pub(crate) async fn a_full_pool_is_a_timeout(test: TestDatabase) {
    let settings = DatabaseSettings {
        database_max_connections: 2,
        database_acquire_timeout_ms: 500,
        database_statement_timeout_ms: 60_000,
        ..test.settings()
    };
    let kept = Kept::open(&settings, vec![THINGS]);
    kept.wait_until_ready().await;
    let first = kept.database.begin().await.unwrap();
    // SQLite has one connection that writes.
    let second = if test.engine() == "sqlite" { None } else { Some(kept.database.begin().await.unwrap()) };
    let error = kept.database.execute(insert(1)).await.unwrap_err();
    assert!(matches!(&error, StorageError::Timeout { reason } if reason.contains("no connection")), "{error}");
    let problem = web::Problem::from(error);
    assert_eq!((problem.status().as_u16(), problem.code()), (504, "database_timeout"));
    assert_eq!(problem.failed_upstream(), None);
    if test.engine() == "sqlite" {
        kept.database.fetch_all::<(i64,)>(ids()).await.unwrap();
    }
    drop((first, second));
    until("there is room again", async || kept.database.execute(insert(1)).await).await;
}

/// Whoever asked has gone: what was under way must not stay in the pool.
pub(crate) async fn statements_that_are_given_up_leave_nothing_behind(test: TestDatabase) {
    let settings =
        DatabaseSettings { database_max_connections: 2, database_acquire_timeout_ms: 1_000, ..test.settings() };
    let kept = Kept::open(&settings, vec![THINGS]);
    kept.wait_until_ready().await;
    for round in 1..=10 {
        let gone = kept.database.fetch_all::<(i64,)>(slow(test.engine()));
        assert!(tokio::time::timeout(Duration::from_millis(10), gone).await.is_err());
        let mut transaction = kept.database.begin().await.unwrap();
        transaction.execute(insert(-round)).await.unwrap_err();
        drop(transaction);
        let mut transaction = kept.database.begin().await.unwrap();
        transaction.execute(insert(round * 1_000)).await.unwrap();
        let gone = transaction.fetch_all::<(i64,)>(slow(test.engine()));
        assert!(tokio::time::timeout(Duration::from_millis(10), gone).await.is_err());
        drop(transaction);
        let began = Instant::now();
        until("the next can write", async || kept.database.execute(insert(round)).await).await;
        assert!(began.elapsed() < Duration::from_secs(2), "it was kept out for {:?}", began.elapsed());
    }
    let there: Vec<i64> = kept.database.fetch_all::<(i64,)>(ids()).await.unwrap().into_iter().map(|(id,)| id).collect();
    assert_eq!(there, (1..=10).collect::<Vec<_>>(), "nothing of the transactions that were given up is there");
}

pub(crate) async fn another_writer_is_waited_for_within_bounds(test: TestDatabase) {
    let settings = DatabaseSettings { database_statement_timeout_ms: 100, ..test.settings() };
    let (one, two) = (Kept::open(&settings, vec![THINGS]), Kept::open(&settings, vec![THINGS]));
    one.wait_until_ready().await;
    two.wait_until_ready().await;
    let mut transaction = one.database.begin().await.unwrap();
    transaction.execute(insert(1)).await.unwrap();
    let locked = two.database.execute(insert(2)).await.unwrap_err();
    assert!(matches!(&locked, StorageError::Timeout { reason } if reason.contains("another writer")), "{locked}");
    let locked = two.database.begin().await.map(drop).unwrap_err();
    assert!(matches!(locked, StorageError::Timeout { .. }), "{locked}");
    assert!(two.database.fetch_all::<(i64,)>(ids()).await.unwrap().is_empty(), "reading goes on");
    two.database.ready().await.unwrap();
    transaction.commit().await.unwrap();
    two.database.execute(insert(2)).await.unwrap();
}

/// No commit does it: their own would come at 64 MiB.
pub(crate) async fn what_was_written_reaches_the_file_beside_the_writers(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    let path = std::path::Path::new(test.url().strip_prefix("sqlite://").unwrap()).join(format!("{SERVICE}.db"));
    let length = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let before = length(&path);
    for id in 1..=120 {
        let name = format!("{id}{}", "x".repeat(50_000));
        let insert = Statement::new(QueryType::Insert, "things", "INSERT INTO things (id, name) VALUES ($1, $2)");
        kept.database.execute(insert.bind(id).bind(name)).await.unwrap();
    }
    until("the file has it all", async || {
        let length = length(&path);
        if length > before + 100 * 50_000 { Ok(()) } else { Err(length) }
    })
    .await;
    kept.database.execute(insert(1_000)).await.unwrap();
}

/// Without its beginning anew the log would be as long as all that was written, and grow to 64 MiB.
pub(crate) async fn the_log_begins_anew_while_somebody_writes(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    let folder = std::path::Path::new(test.url().strip_prefix("sqlite://").unwrap());
    let log = folder.join(format!("{SERVICE}.db-wal"));
    let (mut written, mut longest) = (0, 0);
    for id in 1..=550 {
        let name = format!("{id}{}", "x".repeat(50_000));
        // Once into the table, once into the index of its unique column.
        written += 2 * name.len();
        let insert = Statement::new(QueryType::Insert, "things", "INSERT INTO things (id, name) VALUES ($1, $2)");
        kept.database.execute(insert.bind(id).bind(name)).await.unwrap();
        longest = longest.max(std::fs::metadata(&log).map_or(0, |log| log.len()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(written > 50 * 1024 * 1024 && longest < 45 * 1024 * 1024, "{longest} of {written}");
}

pub(crate) async fn a_file_that_is_no_database_is_told_until_it_is_gone(test: TestDatabase) {
    let path = test.folder().unwrap().join(format!("{SERVICE}.db"));
    std::fs::write(&path, "these are the words of somebody's diary, and no database at all").unwrap();
    let kept = Kept::open(&test.settings(), vec![THINGS]);
    until("it is told", async || match kept.database.ready().await {
        Err(reason) if reason.contains("not a database") => Ok(()),
        other => Err(other),
    })
    .await;
    assert!(is_away(&kept.database.execute(insert(1)).await));
    std::fs::remove_file(&path).unwrap();
    kept.wait_until_ready().await;
    kept.database.execute(insert(1)).await.unwrap();
}

pub(crate) async fn settings_that_cannot_be_used_are_told_without_the_secret(test: TestDatabase) {
    let refused = |settings: &DatabaseSettings| match Database::open(SERVICE, settings, Vec::new()).map(drop) {
        Err(StartError::Setting { setting, reason }) => format!("{setting}: {reason}"),
        other => unreachable!("{other:?}"),
    };
    for url in ["", "mysql://me:s3cret@host/db", "postgres://me:s3/cret@host:x/db", "postgres://me@h/db?key=s3cret"] {
        let sentence = refused(&DatabaseSettings::at(url));
        assert!(sentence.starts_with("DATABASE_URL: ") && !sentence.contains("s3"), "{sentence}");
    }
    let folder = test.folder().unwrap();
    let file = folder.join("url");
    let from_file = |text: &str| {
        std::fs::write(&file, text).unwrap();
        DatabaseSettings { database_url_file: Some(file.clone()), ..DatabaseSettings::at("sqlite://ignored/") }
    };
    assert!(refused(&from_file("mysql://s3cret")).starts_with("DATABASE_URL_FILE: it is no such URL"));
    let gone = DatabaseSettings { database_url_file: Some(folder.join("gone")), ..from_file("") };
    assert!(refused(&gone).contains("cannot be read"));
    // A folder where a file is.
    let below = DatabaseSettings::at(&format!("sqlite://{}/below/", file.display()));
    assert!(refused(&below).contains("cannot be made"));

    let good = from_file(&format!("\n  {}  \n", test.url()));
    assert!(!format!("{:?}", DatabaseSettings::at("postgres://me:s3cret@h/db")).contains("s3cret"));
    let kept = Kept::open(&good, vec![THINGS]);
    kept.wait_until_ready().await;
}
