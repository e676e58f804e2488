//! A small service's tables.

use std::time::Duration;

use storage::testing::TestDatabase;
use storage::{Database, DatabaseSettings, Migration};
use tracing::{Instrument as _, Span};
use web::CancellationToken;

/// The service of these tests.
pub(crate) const SERVICE: &str = "shop-service";

pub(crate) const THINGS: Migration = Migration {
    version: 1,
    name: "things",
    sqlite: "CREATE TABLE things (
                 id INTEGER PRIMARY KEY, name TEXT UNIQUE, price TEXT, sold INTEGER, at TEXT, extra TEXT,
                 CONSTRAINT things_id_check CHECK (id > 0)
             );
             CREATE TABLE parts (thing INTEGER NOT NULL REFERENCES things (id), amount INTEGER NOT NULL);",
    postgres: "CREATE TABLE things (
                   id BIGINT PRIMARY KEY CHECK (id > 0), name TEXT UNIQUE, price NUMERIC, sold BOOLEAN, at TIMESTAMPTZ,
                   extra JSONB
               );
               CREATE TABLE parts (thing BIGINT NOT NULL REFERENCES things (id), amount BIGINT NOT NULL);",
};

/// A database that is kept up until this is dropped.
pub(crate) struct Kept {
    pub(crate) database: Database,
    stop: CancellationToken,
}

impl Kept {
    pub(crate) fn open(settings: &DatabaseSettings, migrations: Vec<Migration>) -> Self {
        Self::open_within(settings, migrations, &Span::none())
    }

    /// Kept up within a span, which gets what is logged.
    pub(crate) fn open_within(settings: &DatabaseSettings, migrations: Vec<Migration>, span: &Span) -> Self {
        telemetry::testing::init();
        let database = Database::open(SERVICE, settings, migrations).unwrap();
        let stop = CancellationToken::new();
        actix_web::rt::spawn(database.clone().keep_up(stop.clone()).instrument(span.clone()));
        Self { database, stop }
    }

    /// With its tables made.
    pub(crate) async fn ready(test: &TestDatabase) -> Self {
        let kept = Self::open(&test.settings(), vec![THINGS]);
        kept.wait_until_ready().await;
        kept
    }

    pub(crate) async fn wait_until_ready(&self) {
        until("the database is ready", async || self.database.ready().await).await;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits for a condition, and gives up after half a minute with what it last said.
pub(crate) async fn until<T, E: std::fmt::Debug>(what: &str, mut condition: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        match condition().await {
            Ok(met) => return met,
            Err(not_yet) => {
                assert!(tokio::time::Instant::now() < deadline, "{what}: {not_yet:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
