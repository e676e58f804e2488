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
}

/// Makes a [`Test`](crate::testing::Test) of an `async fn(TestDatabase)`.
#[macro_export]
macro_rules! test {
    ($($path:ident)::+) => {
        $crate::testing::Test {
            name: stringify!($($path)::+),
            body: |database| Box::pin($($path)::+(database)),
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
    let trials = tests.iter().flat_map(|&Test { name, body }| {
        // `stringify!` puts spaces around the colons.
        let name = name.replace(' ', "");
        let sqlite = Trial::test(format!("sqlite::{name}"), move || {
            play(body, TestDatabase::sqlite());
            Ok(())
        });
        let postgres = Trial::test(format!("postgresql::{name}"), move || {
            if !possible {
                return Err(MISSING.into());
            }
            play(body, TestDatabase::postgres());
            Ok(())
        });
        [sqlite, postgres.with_ignored_flag(skip)]
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if skip && !arguments.list {
        eprintln!("NOT RUN on PostgreSQL: {MISSING}");
    }
    conclusion.exit_code()
}

/// Within a runtime as services have it.
fn play(body: Body, database: TestDatabase) {
    actix_web::rt::System::new().block_on(body(database));
}
