//! The main function of a test binary whose tests run on each engine.

use std::pin::Pin;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use super::{Cluster, MISSING, TestDatabase, in_ci};

type Body = fn(TestDatabase) -> Pin<Box<dyn Future<Output = ()>>>;

/// A test, by name: `storage::test!(module::function)` of an `async fn(TestDatabase)`.
#[derive(Debug, Clone, Copy)]
pub struct Test {
    /// Its name, without the engine.
    pub name: &'static str,
    /// What it does with a fresh database.
    pub body: Body,
    /// The one engine that it is about; none for both.
    pub only: Option<&'static str>,
}

impl Test {
    /// It is about SQLite alone.
    #[must_use]
    pub const fn only_sqlite(self) -> Self {
        Self { only: Some("sqlite"), ..self }
    }

    /// It is about PostgreSQL alone.
    #[must_use]
    pub const fn only_postgres(self) -> Self {
        Self { only: Some("postgresql"), ..self }
    }

    fn is_for(&self, engine: &str) -> bool {
        self.only.is_none_or(|only| only == engine)
    }
}

/// Makes a [`Test`](crate::testing::Test) of an `async fn(TestDatabase)`.
#[macro_export]
macro_rules! test {
    ($($path:ident)::+) => {
        $crate::testing::Test {
            name: stringify!($($path)::+),
            body: |database| Box::pin($($path)::+(database)),
            only: None,
        }
    };
}

/// Runs each test on SQLite and on PostgreSQL, as `sqlite::name` and `postgresql::name`. Arguments are those of the usual
/// harness.
#[expect(clippy::print_stderr, reason = "what was not run is said, plainly")]
#[must_use]
pub fn run(tests: &[Test]) -> ExitCode {
    let arguments = Arguments::from_args();
    let possible = Cluster::is_possible();
    // Nothing is skipped in CI: there a missing server fails these tests.
    let skip = !possible && !in_ci();
    let mut trials = Vec::new();
    for &test in tests {
        // `stringify!` puts spaces around the colons.
        let name = test.name.replace(' ', "");
        if test.is_for("sqlite") {
            trials.push(Trial::test(format!("sqlite::{name}"), move || {
                play(test.body, TestDatabase::sqlite());
                Ok(())
            }));
        }
        if test.is_for("postgresql") {
            let trial = Trial::test(format!("postgresql::{name}"), move || {
                if !possible {
                    return Err(MISSING.into());
                }
                play(test.body, TestDatabase::postgres());
                Ok(())
            });
            trials.push(trial.with_ignored_flag(skip));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if skip && !arguments.list {
        eprintln!("NOT RUN on PostgreSQL: {MISSING}");
    }
    conclusion.exit_code()
}

/// Within a runtime as services have it.
fn play(body: Body, database: TestDatabase) {
    actix_web::rt::System::new().block_on(body(database));
}
