//! The main function of a test binary whose tests run on each engine.

use std::pin::Pin;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use storage::testing::Cluster;

use super::{Kafka, TestBus};

type Body = fn(TestBus) -> Pin<Box<dyn Future<Output = ()>>>;

/// A test, by name: `bus::test!(module::function)` of an `async fn(TestBus)`.
#[derive(Debug, Clone, Copy)]
pub struct Test {
    /// Its name, without the engine.
    pub name: &'static str,
    /// What it does with a fresh bus.
    pub body: Body,
    /// The engines that it is about; none for all.
    pub only: &'static [&'static str],
}

impl Test {
    /// It is about logs in databases.
    #[must_use]
    pub const fn only_log(self) -> Self {
        Self { only: &["sqlite", "postgresql"], ..self }
    }

    /// It is about Kafka.
    #[must_use]
    pub const fn only_kafka(self) -> Self {
        Self { only: &["kafka"], ..self }
    }

    /// It is about engines that are servers.
    #[must_use]
    pub const fn only_servers(self) -> Self {
        Self { only: &["postgresql", "kafka"], ..self }
    }

    fn is_for(&self, engine: &str) -> bool {
        self.only.is_empty() || self.only.contains(&engine)
    }
}

/// Makes a [`Test`](crate::testing::Test) of an `async fn(TestBus)`.
#[macro_export]
macro_rules! test {
    ($($path:ident)::+) => {
        $crate::testing::Test {
            name: stringify!($($path)::+),
            body: |bus| Box::pin($($path)::+(bus)),
            only: &[],
        }
    };
}

/// An engine: its name, what makes a bus of it, and why that is not possible here.
type Engine = (&'static str, fn() -> TestBus, Option<String>);

/// Runs each test on every engine, as `sqlite::name`, `postgresql::name` and `kafka::name`. Arguments are those of the
/// usual harness.
#[expect(clippy::print_stderr, reason = "what was not run is said, plainly")]
#[must_use]
pub fn run(tests: &[Test]) -> ExitCode {
    let arguments = Arguments::from_args();
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    let no_postgres = (!Cluster::is_possible()).then(|| storage::testing::MISSING.to_owned());
    let no_kafka = (!Kafka::is_possible()).then(|| super::MISSING.to_owned());
    let engines: [Engine; 3] = [
        ("sqlite", TestBus::sqlite, None),
        ("postgresql", TestBus::postgres, no_postgres),
        ("kafka", TestBus::kafka, no_kafka),
    ];
    let mut trials = Vec::new();
    for (engine, make, missing) in &engines {
        for test in tests.iter().filter(|test| test.is_for(engine)) {
            // `stringify!` puts spaces around the colons.
            let name = format!("{engine}::{}", test.name.replace(' ', ""));
            let (body, make, why) = (test.body, *make, missing.clone());
            let trial = Trial::test(name, move || {
                if let Some(why) = why {
                    return Err(why.into());
                }
                play(body, make());
                Ok(())
            });
            // Nothing is skipped in CI: there a missing server fails these tests.
            trials.push(trial.with_ignored_flag(missing.is_some() && !in_ci));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !in_ci && !arguments.list {
        for (engine, _, missing) in &engines {
            if let Some(missing) = missing {
                eprintln!("NOT RUN on {engine}: {missing}");
            }
        }
    }
    conclusion.exit_code()
}

/// Within a runtime as services have it.
fn play(body: Body, bus: TestBus) {
    actix_web::rt::System::new().block_on(body(bus));
}
