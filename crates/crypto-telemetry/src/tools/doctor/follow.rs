//! Sends the probe and looks for it at every hop until it is there or the wait is over.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use url::Url;

use super::diagnosis::{Counted, Lookup, Measured, Stored};
use super::parse::{self, Counters, OwnMetrics, Target};
use super::probe::{self, Probe, Sent};
use super::settings::Stack;
use crate::tools::http::{self, CallError, Http};

/// Longest wait for one answer.
const LIMIT: Duration = Duration::from_secs(3);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// By now everything but Prometheus has been told about, on a stack that is well.
const TELL_AFTER: Duration = Duration::from_secs(3);

/// What is sent where, and how long it may take.
pub(super) struct Follower<'a> {
    http: Http,
    stack: &'a Stack,
    probe: &'a Probe,
    /// For every hop but Prometheus.
    limit: Duration,
    prometheus_limit: Duration,
}

/// Something to ask a store.
struct Question {
    name: &'static str,
    url: Url,
    read: fn(&[u8], &Probe) -> Result<bool, String>,
}

/// The state of one question.
struct Asked {
    question: Question,
    outcome: Option<Lookup>,
    /// What the last look failed with, to be told if no later one succeeds.
    trouble: Option<Lookup>,
}

enum Seen {
    Yes,
    No,
    Gone(String),
    Trouble(Lookup),
}

impl<'a> Follower<'a> {
    pub(super) fn new(stack: &'a Stack, probe: &'a Probe, limit: Duration, prometheus_limit: Duration) -> Self {
        Self { http: Http::new(LIMIT), stack, probe, limit, prometheus_limit }
    }

    /// Sends the span and follows it to Tempo.
    pub(super) async fn traces(&self) -> Stored {
        let id = self.probe.trace_id.as_str();
        let by_id = Question {
            name: "Tempo by id",
            url: http::join(&self.stack.tempo, &format!("/api/v2/traces/{id}")),
            read: |body, _| trace_reader::has_span(body),
        };
        let search = Question {
            name: "Tempo by TraceQL",
            url: http::join_query(&self.stack.tempo, "/api/search", &[("q", &self.probe.traceql())]),
            read: |body, probe| parse::tempo_found(body, &probe.trace_id),
        };
        self.stored("/v1/traces", &self.probe.trace(), vec![by_id, search], |own| own.traces).await
    }

    /// Sends the log record and follows it to Loki.
    pub(super) async fn logs(&self) -> Stored {
        let by_trace = Question {
            name: "Loki by trace id",
            url: http::join_query(
                &self.stack.loki,
                "/loki/api/v1/query_range",
                &[("query", &self.probe.logql()), ("limit", "10")],
            ),
            read: |body, _| trace_reader::has_line(body),
        };
        self.stored("/v1/logs", &self.probe.log(), vec![by_trace], |own| own.logs).await
    }

    async fn stored(
        &self,
        path: &str,
        body: &serde_json::Value,
        questions: Vec<Question>,
        of: fn(OwnMetrics) -> Counters,
    ) -> Stored {
        let before = self.own().await.map(of);
        let started = Instant::now();
        let sent = probe::send(&self.http, &self.stack.otlp_http, path, body).await;
        let mut asked: Vec<Asked> =
            questions.into_iter().map(|question| Asked { question, outcome: None, trouble: None }).collect();
        let mut seen = Stored {
            sent,
            counted: Counted::Unknown(String::new()),
            received_after: None,
            exported_after: None,
            lookups: Vec::new(),
        };
        if !matches!(seen.sent, Sent::Accepted(_)) {
            seen.lookups = asked.into_iter().map(|asked| (asked.question.name, Lookup::NotSent)).collect();
            return seen;
        }
        loop {
            let looks = asked.iter().map(|asked| async {
                match asked.outcome {
                    None => Some(self.look(&asked.question).await),
                    Some(_) => None,
                }
            });
            let (own, looks) = join(self.own_unless(seen.exported_after.is_some()), join_all(looks)).await;
            let now = started.elapsed();
            if let (Ok(before), Some(Ok(own))) = (&before, own) {
                let own = of(own);
                if own.accepted > before.accepted {
                    seen.received_after.get_or_insert(now);
                }
                if own.sent > before.sent {
                    seen.exported_after.get_or_insert(now);
                }
            }
            for (asked, look) in asked.iter_mut().zip(looks) {
                asked.heed(look, now);
            }
            if asked.iter().all(|asked| asked.outcome.is_some()) || now > self.limit {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        seen.counted = match (before, self.own().await.map(of)) {
            (Ok(before), Ok(after)) => Counted::Both { before, after },
            (Err(reason), _) | (_, Err(reason)) => Counted::Unknown(reason),
        };
        seen.lookups = asked.into_iter().map(|asked| (asked.question.name, asked.end(self.limit))).collect();
        seen
    }

    /// Sends the metric and follows it to Prometheus. `waiting` says so, when only Prometheus is
    /// still to come.
    ///
    /// # Errors
    /// Those of `waiting`.
    pub(super) async fn metrics(&self, waiting: impl Fn() -> std::io::Result<()>) -> std::io::Result<Measured> {
        let (before, offered_before) = join(self.own(), self.offered()).await;
        let before = before.map(|own| own.metrics);
        let spans_before = offered_before
            .ok()
            .and_then(|text| parse::of_service(&text, probe::SPAN_METRIC, probe::SERVICE))
            .unwrap_or(0.0);
        let started = Instant::now();
        let sent = probe::send(&self.http, &self.stack.otlp_http, "/v1/metrics", &self.probe.metric()).await;
        let mut seen = Measured {
            sent,
            counted: Counted::Unknown(String::new()),
            received_after: None,
            offered: Lookup::NotSent,
            scraped: Lookup::NotSent,
            targets: Vec::new(),
            span_metrics: Lookup::NotSent,
        };
        if !matches!(seen.sent, Sent::Accepted(_)) {
            return Ok(seen);
        }
        let mut told = false;
        let mut offered = None;
        let mut spans = None;
        let mut prometheus = Asked {
            question: Question {
                name: "Prometheus",
                url: http::join_query(
                    &self.stack.prometheus,
                    "/api/v1/query",
                    &[("query", &format!("max({})", probe::METRIC))],
                ),
                read: |body, probe| Ok(parse::prometheus_value(body)?.is_some_and(|value| probe.is_in(value))),
            },
            outcome: None,
            trouble: None,
        };
        loop {
            let (own, (text, look)) = join(
                self.own_unless(seen.received_after.is_some()),
                join(self.offered_unless(offered.is_some() && spans.is_some()), self.look(&prometheus.question)),
            )
            .await;
            let now = started.elapsed();
            if let (Ok(before), Some(Ok(own))) = (&before, own)
                && own.metrics.accepted > before.accepted
            {
                seen.received_after = Some(now);
            }
            match text {
                Some(Ok(text)) => {
                    let value = |metric| parse::of_service(&text, metric, probe::SERVICE);
                    if offered.is_none() && value(probe::METRIC).is_some_and(|value| self.probe.is_in(value)) {
                        offered = Some(Lookup::Found(now));
                    }
                    if spans.is_none() && value(probe::SPAN_METRIC).is_some_and(|count| count > spans_before) {
                        spans = Some(Lookup::Found(now));
                    }
                }
                Some(Err(lookup)) if offered.is_none() && now > self.limit => offered = Some(lookup),
                Some(Err(lookup @ Lookup::Unreachable(_))) if offered.is_none() => offered = Some(lookup),
                _ => {}
            }
            if offered.is_none() && now > self.limit {
                offered = Some(Lookup::Missing(self.limit));
            }
            prometheus.heed(Some(look), now);
            if !told && now > TELL_AFTER && matches!(offered, Some(Lookup::Found(_))) && prometheus.outcome.is_none() {
                waiting()?;
                told = true;
            }
            // What the Collector does not offer cannot be scraped.
            let hopeless = offered.as_ref().is_some_and(|offered| !matches!(offered, Lookup::Found(_)));
            if (offered.is_some() && prometheus.outcome.is_some()) || hopeless || now > self.prometheus_limit {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        seen.offered = offered.unwrap_or(Lookup::Missing(self.limit.min(self.prometheus_limit)));
        seen.scraped = prometheus.end(self.prometheus_limit);
        seen.span_metrics = spans.unwrap_or(Lookup::Missing(started.elapsed()));
        seen.counted = match (before, self.own().await) {
            (Ok(before), Ok(after)) => Counted::Both { before, after: after.metrics },
            (Err(reason), _) | (_, Err(reason)) => Counted::Unknown(reason),
        };
        if matches!(seen.scraped, Lookup::Missing(_)) {
            seen.targets = self.targets().await;
        }
        Ok(seen)
    }

    async fn own(&self) -> Result<OwnMetrics, String> {
        match self.http.get(&http::join(&self.stack.collector_self, "/metrics")).await {
            Ok(reply) if reply.is_success() => Ok(parse::own_metrics(&reply.text())),
            Ok(reply) => Err(format!("HTTP {}", reply.status)),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn own_unless(&self, known: bool) -> Option<Result<OwnMetrics, String>> {
        if known { None } else { Some(self.own().await) }
    }

    /// The text that Prometheus would scrape.
    async fn offered(&self) -> Result<String, Lookup> {
        match self.http.get(&http::join(&self.stack.collector_metrics, "/metrics")).await {
            Ok(reply) if reply.is_success() => Ok(reply.text()),
            Ok(reply) => Err(Lookup::Failed(format!("HTTP {}: {}", reply.status, reply.first_line()))),
            Err(error) => Err(Lookup::Unreachable(error.to_string())),
        }
    }

    async fn offered_unless(&self, known: bool) -> Option<Result<String, Lookup>> {
        if known { None } else { Some(self.offered().await) }
    }

    /// Prometheus's targets; none when they cannot be read, which the check of the components tells.
    async fn targets(&self) -> Vec<Target> {
        let url = http::join_query(&self.stack.prometheus, "/api/v1/targets", &[("state", "active")]);
        match self.http.get(&url).await {
            Ok(reply) => parse::prometheus_targets(&reply.body).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    async fn look(&self, question: &Question) -> Seen {
        match self.http.get(&question.url).await {
            // Tempo's older API answers 404 where the newer one answers with nothing.
            Ok(reply) if reply.status == 404 => Seen::No,
            Ok(reply) if reply.is_success() => match (question.read)(&reply.body, self.probe) {
                Ok(true) => Seen::Yes,
                Ok(false) => Seen::No,
                Err(reason) => Seen::Trouble(Lookup::Failed(format!("its answer cannot be read: {reason}"))),
            },
            Ok(reply) => Seen::Trouble(Lookup::Failed(format!("HTTP {}: {}", reply.status, reply.first_line()))),
            Err(CallError::Refused) => Seen::Gone(CallError::Refused.to_string()),
            Err(error) => Seen::Trouble(Lookup::Unreachable(error.to_string())),
        }
    }
}

impl Asked {
    fn heed(&mut self, seen: Option<Seen>, now: Duration) {
        match seen {
            _ if self.outcome.is_some() => {}
            None => {}
            Some(Seen::Yes) => self.outcome = Some(Lookup::Found(now)),
            // Where nothing listens nothing will be found by waiting.
            Some(Seen::Gone(reason)) => self.outcome = Some(Lookup::Unreachable(reason)),
            Some(Seen::No) => self.trouble = None,
            Some(Seen::Trouble(lookup)) => self.trouble = Some(lookup),
        }
    }

    fn end(self, limit: Duration) -> Lookup {
        self.outcome.or(self.trouble).unwrap_or(Lookup::Missing(limit))
    }
}
