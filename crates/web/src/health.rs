//! Liveness and readiness.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use futures_util::future::{LocalBoxFuture, join_all};
use serde::Serialize;

use crate::Probe;

type Check = Arc<dyn Fn() -> LocalBoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The dependencies a service needs to do its work, each by name.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Vec<Named>,
}

#[derive(Clone)]
struct Named {
    name: &'static str,
    check: Check,
    /// Whether the service is not ready without it.
    needed: bool,
}

/// A check that takes longer than this has failed: a probe must be quick itself.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Report {
    status: &'static str,
    service: &'static str,
    version: &'static str,
    checks: Vec<CheckReport>,
}

#[derive(Serialize)]
struct CheckReport {
    name: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Readiness {
    /// No dependency.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a dependency; an `Err` says in a sentence what is wrong.
    #[must_use]
    pub fn check<F>(mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        self.checks.push(Named { name, check: Arc::new(move || Box::pin(check())), needed: true });
        self
    }

    /// Adds one of our services that may be away, because its work waits for it: the report names it, `ok` or `away`, and
    /// is no worse for it.
    #[must_use]
    pub fn noted(self, name: &'static str, probe: Probe) -> Self {
        self.noted_check(name, move || {
            let probe = probe.clone();
            async move { probe.alive().await }
        })
    }

    /// Adds anything that may be away, as [`Readiness::noted`] does with a service.
    #[must_use]
    pub fn noted_check<F>(mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        self.checks.push(Named { name, check: Arc::new(move || Box::pin(check())), needed: false });
        self
    }

    /// Adds another of our services.
    #[must_use]
    pub fn probe(self, name: &'static str, probe: Probe) -> Self {
        self.check(name, move || {
            let probe = probe.clone();
            async move { probe.alive().await }
        })
    }

    async fn report(&self, service: &'static str) -> Report {
        let checks = join_all(self.checks.iter().map(|Named { name, check, needed }| async move {
            let outcome = tokio::time::timeout(CHECK_TIMEOUT, check())
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())));
            let status = match (&outcome, needed) {
                (Ok(()), _) => "ok",
                (Err(_), true) => "failing",
                (Err(_), false) => "away",
            };
            CheckReport { name, status, detail: outcome.err() }
        }))
        .await;
        let ready = checks.iter().all(|check| check.status != "failing");
        Report { status: if ready { "ok" } else { "unavailable" }, service, version: env!("CARGO_PKG_VERSION"), checks }
    }
}

pub(crate) fn routes(service: &'static str, readiness: Readiness) -> impl Fn(&mut web::ServiceConfig) + Clone {
    move |config| {
        let live = move || async move {
            HttpResponse::Ok().json(Report {
                status: "ok",
                service,
                version: env!("CARGO_PKG_VERSION"),
                checks: Vec::new(),
            })
        };
        config.route("/health/live", web::get().to(live));
        for path in ["/health/ready", "/health"] {
            let readiness = readiness.clone();
            let ready = move || {
                let readiness = readiness.clone();
                async move {
                    let report = readiness.report(service).await;
                    if report.status == "ok" {
                        HttpResponse::Ok().json(report)
                    } else {
                        HttpResponse::ServiceUnavailable().json(report)
                    }
                }
            };
            config.route(path, web::get().to(ready));
        }
    }
}
