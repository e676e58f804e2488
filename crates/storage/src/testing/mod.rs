//! Databases for tests, of both engines: fresh SQLite files, and fresh databases on a PostgreSQL server that belongs to
//! the test process alone and ends with it, however that ends.
//!
//! [`run`] is the main function of a test binary (`harness = false`) whose tests run on each engine. Where there is no
//! PostgreSQL its tests are reported as ignored, with a line that says so; in CI (`CI` is set) they fail.

#![expect(clippy::expect_used, clippy::panic, reason = "a test set-up that fails must fail the test")]

mod cluster;
mod suite;

use std::sync::OnceLock;

use tempfile::TempDir;

pub use cluster::{Cluster, MISSING};
pub use suite::{Test, run};

use crate::DatabaseSettings;

/// A fresh, empty database.
#[derive(Debug)]
pub struct TestDatabase {
    engine: &'static str,
    url: String,
    /// Removed with it.
    folder: Option<TempDir>,
}

impl TestDatabase {
    /// An SQLite file in a folder of its own. Its URL names the folder, so each service has its own file in it.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn sqlite() -> Self {
        let folder = tempfile::Builder::new().prefix("ct-sqlite-").tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}/", folder.path().display());
        Self { engine: "sqlite", url, folder: Some(folder) }
    }

    /// A database on the PostgreSQL server of this test process, which is started by the first call.
    ///
    /// # Panics
    /// When there is no PostgreSQL, or it cannot be started.
    #[must_use]
    pub fn postgres() -> Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        let url = SHARED.get_or_init(Cluster::start).database();
        Self { engine: "postgresql", url, folder: None }
    }

    /// The engine, as [`crate::Database::engine`] tells it: `sqlite` or `postgresql`.
    #[must_use]
    pub const fn engine(&self) -> &'static str {
        self.engine
    }

    /// For `DATABASE_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The default settings with this database.
    #[must_use]
    pub fn settings(&self) -> DatabaseSettings {
        DatabaseSettings::at(&self.url)
    }

    /// The folder of the SQLite files; none for PostgreSQL.
    #[must_use]
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_ref().map(TempDir::path)
    }
}

/// A fresh database of each engine, for a test under the usual harness that goes through both.
///
/// Where there is no PostgreSQL this is SQLite alone, and a line on standard error says so, past the harness; in CI it
/// fails. Prefer [`run`], which reports what was not run test by test.
///
/// # Panics
/// When a database cannot be made, or there is no PostgreSQL in CI.
#[must_use]
pub fn engines() -> Vec<TestDatabase> {
    use std::io::Write as _;
    if Cluster::is_possible() {
        return vec![TestDatabase::sqlite(), TestDatabase::postgres()];
    }
    assert!(!in_ci(), "{MISSING}");
    // Not through the macro, whose output the harness keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "NOT RUN on PostgreSQL: {MISSING}");
    vec![TestDatabase::sqlite()]
}

pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}
