//! Every way a stack can be broken, as it is seen, and the hop that must be named.

use std::time::Duration;

use super::diagnosis::*;
use super::hop::{Hop, Next, State};
use super::parse::{Counters, Target};
use super::probe::Sent;

const OTLP: &str = "http://127.0.0.1:4318";
const OWN: &str = "http://127.0.0.1:8888";
const REFUSED: &str = "nothing listens there (connection refused)";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn counted(sent: f64, failed: f64, queued: f64) -> Counted {
    let before = Counters { accepted: 40.0, sent: 39.0, ..Counters::default() };
    Counted::Both { before, after: Counters { accepted: 41.0, refused: 0.0, sent: 39.0 + sent, failed, queued } }
}

const fn tempo() -> Store<'static> {
    Store {
        name: "Tempo",
        process: "tempo",
        url: "http://127.0.0.1:3200",
        receives_on: "TEMPO_OTLP_PORT",
        item: "span",
    }
}

fn traces(counted: Counted, by_id: Lookup, search: Lookup) -> Stored {
    Stored {
        sent: Sent::Accepted(ms(3)),
        counted,
        received_after: Some(ms(10)),
        exported_after: Some(ms(250)),
        lookups: vec![("Tempo by id", by_id), ("Tempo by TraceQL", search)],
    }
}

fn of_traces(seen: &Stored) -> Vec<Hop> {
    stored("traces", seen, tempo(), OTLP, OWN)
}

fn broken(hops: &[Hop]) -> Vec<&Hop> {
    hops.iter().filter(|hop| hop.state == State::Broken).collect()
}

/// The only broken hop, after which nothing is reached.
fn only_broken<'a>(hops: &'a [Hop], name: &str) -> &'a Hop {
    let at = hops
        .iter()
        .position(|hop| hop.state == State::Broken)
        .unwrap_or_else(|| panic!("nothing is broken: {hops:#?}"));
    assert_eq!(hops[at].name, name, "{hops:#?}");
    assert!(hops[..at].iter().all(|hop| hop.state == State::Well), "{hops:#?}");
    assert!(hops[at + 1..].iter().all(|hop| hop.state == State::NotReached), "{hops:#?}");
    assert!(hops[at].next.is_some());
    &hops[at]
}

#[test]
fn all_well() {
    let hops = of_traces(&traces(counted(1.0, 0.0, 0.0), Lookup::Found(ms(400)), Lookup::Found(ms(900))));
    assert_eq!(hops.len(), 5);
    assert!(hops.iter().all(|hop| hop.state == State::Well), "{hops:#?}");
    let times: Vec<_> = hops.iter().map(|hop| hop.after.unwrap()).collect();
    assert_eq!(times, [ms(3), ms(10), ms(250), ms(400), ms(900)]);
}

#[test]
fn the_collector_is_stopped() {
    let seen = Stored {
        sent: Sent::Unreachable(REFUSED.to_owned()),
        counted: Counted::Unknown(REFUSED.to_owned()),
        received_after: None,
        exported_after: None,
        lookups: vec![("Tempo by id", Lookup::NotSent), ("Tempo by TraceQL", Lookup::NotSent)],
    };
    let hops = of_traces(&seen);
    let hop = only_broken(&hops, "doctor → Collector");
    assert_eq!(hop.detail, format!("the Collector does not listen at {OTLP}: {REFUSED}"));
    assert_eq!(hop.next, Some(Next::Log("otelcol")));
}

#[test]
fn the_collector_refuses() {
    let refusing = Stored {
        sent: Sent::Rejected("it answered HTTP 503: data refused due to high memory usage".to_owned()),
        ..traces(counted(0.0, 0.0, 0.0), Lookup::NotSent, Lookup::NotSent)
    };
    assert!(only_broken(&of_traces(&refusing), "doctor → Collector").detail.contains("high memory usage"));
}

#[test]
fn another_program_answers_at_the_otlp_port() {
    let nothing = Counted::Both { before: Counters::default(), after: Counters::default() };
    let hops = of_traces(&traces(nothing, Lookup::Missing(ms(12_000)), Lookup::Missing(ms(12_000))));
    assert!(only_broken(&hops, "Collector receiver").detail.contains("two different programs"));
}

#[test]
fn tempo_is_stopped() {
    let gone = || Lookup::Unreachable(REFUSED.to_owned());
    let hops = of_traces(&traces(counted(0.0, 0.0, 1.0), gone(), gone()));
    let hop = only_broken(&hops, "Collector → Tempo");
    assert_eq!(
        hop.detail,
        format!(
            "Tempo does not answer at http://127.0.0.1:3200: {REFUSED}; 1 span waits in the Collector's queue on disk and will be sent when it is back"
        )
    );
    assert_eq!(hop.next, Some(Next::Log("tempo")));
    // Also when the Collector's own metrics are away.
    let hops = of_traces(&traces(Counted::Unknown("x".to_owned()), gone(), gone()));
    only_broken(&hops, "Collector → Tempo");
}

#[test]
fn loki_is_stopped() {
    let store = Store {
        name: "Loki",
        process: "loki",
        url: "http://127.0.0.1:3100",
        receives_on: "LOKI_PORT",
        item: "log record",
    };
    let seen = Stored {
        lookups: vec![("Loki by trace id", Lookup::Unreachable(REFUSED.to_owned()))],
        ..traces(counted(0.0, 0.0, 3.0), Lookup::NotSent, Lookup::NotSent)
    };
    let hops = stored("logs", &seen, store, OTLP, OWN);
    assert_eq!(hops.len(), 4);
    let hop = only_broken(&hops, "Collector → Loki");
    assert!(
        hop.detail.contains("Loki does not answer at http://127.0.0.1:3100")
            && hop.detail.contains("3 log records wait"),
        "{}",
        hop.detail
    );
    assert_eq!(hop.next, Some(Next::Log("loki")));
}

#[test]
fn the_collector_sends_elsewhere() {
    let missing = || Lookup::Missing(ms(12_000));
    let hops = of_traces(&traces(counted(0.0, 0.0, 1.0), missing(), missing()));
    assert!(only_broken(&hops, "Collector → Tempo").detail.contains("TEMPO_OTLP_PORT"));
    let hops = of_traces(&traces(counted(0.0, 2.0, 0.0), missing(), missing()));
    assert!(only_broken(&hops, "Collector → Tempo").detail.contains("failed to send 2 spans"));
    let hops = of_traces(&traces(counted(0.0, 0.0, 0.0), missing(), missing()));
    assert!(only_broken(&hops, "Collector → Tempo").detail.contains("neither sent nor queued"));
}

#[test]
fn tempo_takes_it_and_does_not_find_it() {
    let hops = of_traces(&traces(counted(1.0, 0.0, 0.0), Lookup::Found(ms(300)), Lookup::Missing(ms(12_000))));
    let broken = broken(&hops);
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].name, "Tempo by TraceQL");
    assert!(broken[0].detail.contains("within 12.0 s"), "{}", broken[0].detail);
    // Tempo's query side is away, its receiver is not.
    let gone = || Lookup::Unreachable(REFUSED.to_owned());
    let hops = of_traces(&traces(counted(1.0, 0.0, 0.0), gone(), gone()));
    assert_eq!(hops[2].state, State::Well);
    assert_eq!(hops[3].state, State::Broken);
}

#[test]
fn own_metrics_away_is_no_reason_to_doubt_what_was_found() {
    let hops =
        of_traces(&traces(Counted::Unknown("refused".to_owned()), Lookup::Found(ms(300)), Lookup::Found(ms(400))));
    assert!(broken(&hops).is_empty(), "{hops:#?}");
    assert!(hops[1].detail.contains("cannot be read"));
}

fn metric(offered: Lookup, scraped: Lookup, health: Option<&str>) -> Vec<Hop> {
    let target = |health: &str| Target {
        scrape_pool: "applications".to_owned(),
        scrape_url: "http://127.0.0.1:8889/metrics".to_owned(),
        health: health.to_owned(),
        last_error: "context deadline exceeded".to_owned(),
    };
    let seen = Measured {
        sent: Sent::Accepted(ms(2)),
        counted: counted(1.0, 0.0, 0.0),
        received_after: Some(ms(4)),
        offered,
        scraped,
        targets: health.map(target).into_iter().collect(),
        span_metrics: Lookup::Missing(ms(1)),
    };
    let addresses = MetricAddresses {
        otlp: OTLP,
        collector_self: OWN,
        offered_at: "http://127.0.0.1:8889",
        prometheus: "http://127.0.0.1:9090",
    };
    measured(&seen, &addresses)
}

#[test]
fn a_metric_that_arrives() {
    let hops = metric(Lookup::Found(ms(20)), Lookup::Found(ms(9_000)), Some("up"));
    assert!(broken(&hops).is_empty());
    assert_eq!(hops.last().unwrap().state, State::Note, "span metrics are optional");
}

#[test]
fn prometheus_is_stopped() {
    let hops = metric(Lookup::Found(ms(20)), Lookup::Unreachable(REFUSED.to_owned()), None);
    let broken = broken(&hops);
    assert_eq!(broken.len(), 1);
    assert_eq!(
        (broken[0].name.as_str(), broken[0].next.clone()),
        ("Collector → Prometheus", Some(Next::Log("prometheus")))
    );
    assert_eq!(broken[0].detail, format!("Prometheus does not answer at http://127.0.0.1:9090: {REFUSED}"));
}

#[test]
fn prometheus_does_not_scrape_the_collector() {
    let missing = || Lookup::Missing(ms(20_000));
    let detail = |health| broken(&metric(Lookup::Found(ms(20)), missing(), health))[0].detail.clone();
    assert!(detail(Some("down")).contains("cannot scrape http://127.0.0.1:8889/metrics: context deadline exceeded"));
    assert!(detail(None).contains("no target at port 8889"));
    assert!(detail(Some("up")).contains("within 20.0 s"));
}

#[test]
fn the_collector_does_not_offer_the_metric() {
    let hops = metric(Lookup::Missing(ms(12_000)), Lookup::Missing(ms(12_000)), Some("up"));
    assert!(only_broken(&hops, "Collector for Prometheus").detail.contains("http://127.0.0.1:8889"));
    let hops = metric(Lookup::Unreachable(REFUSED.to_owned()), Lookup::Missing(ms(12_000)), Some("down"));
    assert!(only_broken(&hops, "Collector for Prometheus").detail.contains("does not offer metrics"));
}
