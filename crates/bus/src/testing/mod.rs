//! Buses for tests, on every engine: fresh databases, and topics of their own on a Kafka broker that belongs to the test
//! process alone and ends with it.
//!
//! [`run`] is the main function of a test binary (`harness = false`) whose tests run on each engine. Where PostgreSQL or
//! Kafka is missing its tests are reported as ignored, with a line that says so; in CI (`CI` is set) they fail.

#![expect(clippy::expect_used, reason = "a test set-up that fails must fail the test")]

mod kafka;
mod suite;

use std::sync::OnceLock;
use std::time::Duration;

use storage::testing::TestDatabase;
use web::CancellationToken;

pub use kafka::{Kafka, MISSING};
pub use suite::{Test, run};

use crate::{Bus, BusSettings, Consumer, ConsumerSettings};

/// A bus of one engine for one test, with nothing on it.
#[derive(Debug)]
pub struct TestBus {
    engine: &'static str,
    url: String,
    /// Removed with it.
    database: Option<TestDatabase>,
}

impl TestBus {
    /// A log in an SQLite file of its own.
    #[must_use]
    pub fn sqlite() -> Self {
        Self::log(TestDatabase::sqlite())
    }

    /// A log in a database of its own on the PostgreSQL server of this test process.
    #[must_use]
    pub fn postgres() -> Self {
        Self::log(TestDatabase::postgres())
    }

    fn log(database: TestDatabase) -> Self {
        Self { engine: database.engine(), url: database.url().to_owned(), database: Some(database) }
    }

    /// The broker of this test process, which is started by the first call. Topics and groups need names of their own.
    #[must_use]
    pub fn kafka() -> Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        let kafka = SHARED.get_or_init(Kafka::start);
        Self { engine: "kafka", url: kafka.url(), database: None }
    }

    /// The engine, as [`Bus::engine`] tells it.
    #[must_use]
    pub const fn engine(&self) -> &'static str {
        self.engine
    }

    /// The database behind it; none with Kafka.
    #[must_use]
    pub const fn database(&self) -> Option<&TestDatabase> {
        self.database.as_ref()
    }

    /// For `BUS_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Settings with this bus, sessions as short as the engine bears, and four partitions.
    #[must_use]
    pub fn settings(&self) -> BusSettings {
        let session = if self.engine == "kafka" { 3_000 } else { 1_000 };
        BusSettings { bus_partitions: 4, bus_session_timeout_ms: Some(session), ..BusSettings::at(&self.url) }
    }

    /// Opens it, as a process of its own would.
    ///
    /// # Panics
    /// When the settings cannot be used.
    #[must_use]
    pub fn open(&self) -> Kept {
        Kept::open(&self.settings())
    }
}

/// A bus that is kept up until this is dropped.
pub struct Kept {
    /// The bus.
    pub bus: Bus,
    stop: CancellationToken,
}

impl Kept {
    /// Opens a bus and keeps it up.
    ///
    /// # Panics
    /// When the settings cannot be used.
    #[must_use]
    pub fn open(settings: &BusSettings) -> Self {
        telemetry::testing::init();
        let bus = Bus::open("test-service", settings).expect("a bus");
        let stop = CancellationToken::new();
        actix_web::rt::spawn(bus.clone().keep_up(stop.clone()));
        Self { bus, stop }
    }

    /// A consumer with batches of ten that waits for half a second.
    ///
    /// # Panics
    /// When the names cannot be used.
    #[must_use]
    pub fn consumer(&self, topic: &str, group: &str) -> Consumer {
        let (topic, group) = (topic.to_owned(), group.to_owned());
        let settings = ConsumerSettings { topic, group, max_batch: 10, max_wait: Duration::from_millis(500) };
        self.bus.consumer(settings).expect("a consumer")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
