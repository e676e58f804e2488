//! signal-generator before a market-data-service and a bus of the test.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use actix_web::HttpResponse;
use bus::BusSettings;
use domain::{Candle, CandleSeries, Interval, SignalEvent, Symbol};
use generator::{Config, Publish};
use serde_json::{Value, json};
use storage::outbox::Undelivered;
use storage::testing::TestDatabase;
use url::Url;
use web::RunningServer;
use web::testing::{Reply, eventually, fake, get, post_text, ready, url};

type Key = (Symbol, Interval);

/// A stand-in for market-data-service, of this test and nothing more: it speaks the contract of
/// `GET /v1/candles/{symbol}`, and time goes on in it with each look.
#[derive(Clone, Default)]
pub(crate) struct Market {
    state: Arc<Mutex<MarketState>>,
}

#[derive(Default)]
struct MarketState {
    series: BTreeMap<Key, Line>,
    away: bool,
    lies: bool,
    traceparents: Vec<String>,
    limits: Vec<usize>,
}

struct Line {
    candles: Vec<Candle>,
    /// How many have closed.
    closed: usize,
    /// How many close after a look, one number after the other and then again.
    steps: Vec<usize>,
    looks: usize,
}

impl Market {
    pub(crate) fn start(&self) -> Url {
        let market = self.clone();
        fake(move |request, _| {
            let market = market.clone();
            async move {
                let Some(symbol) = request.path().strip_prefix("/v1/candles/") else {
                    return HttpResponse::Ok().finish();
                };
                let traceparent = request.headers().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
                let query: BTreeMap<String, String> = request
                    .query_string()
                    .split('&')
                    .map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap())
                    .collect();
                let key = (symbol.parse().unwrap(), query["interval"].parse().unwrap());
                market.answer(key, query["limit"].parse().unwrap(), traceparent)
            }
        })
    }

    fn answer(&self, key: Key, limit: usize, traceparent: Option<String>) -> HttpResponse {
        let mut state = self.state.lock().unwrap();
        if state.away {
            return HttpResponse::ServiceUnavailable().finish();
        }
        state.traceparents.push(traceparent.unwrap_or_default());
        state.limits.push(limit);
        let lies = state.lies;
        assert!((1..=1000).contains(&limit), "market-data-service takes no limit of {limit}");
        let (symbol, interval) = key.clone();
        let Some(line) = state.series.get_mut(&key) else {
            let problem = json!({"type": "urn:crypto-telemetry:problem:unknown_symbol", "title": "Not Found",
                "status": 404, "code": "unknown_symbol", "detail": "It is not served."});
            return HttpResponse::NotFound().json(problem);
        };
        let mut given = line.candles[..line.closed].to_vec();
        if let Some(open) = line.candles.get(line.closed) {
            given.push(Candle { closed: false, ..open.clone() });
        }
        let candles = given.split_off(given.len().saturating_sub(limit));
        line.closed = (line.closed + line.steps[line.looks % line.steps.len()]).min(line.candles.len());
        line.looks += 1;
        let symbol = if lies { "XRPUSDT".parse().unwrap() } else { symbol };
        HttpResponse::Ok().json(CandleSeries { symbol, interval, candles, trace_id: None })
    }

    /// Serves candles, of which some have closed.
    pub(crate) fn serve(&self, symbol: &str, interval: Interval, candles: &[Candle], closed: usize, steps: &[usize]) {
        let line = Line { candles: candles.to_vec(), closed, steps: steps.to_vec(), looks: 0 };
        self.state.lock().unwrap().series.insert((symbol.parse().unwrap(), interval), line);
    }

    /// So many close now.
    pub(crate) fn close(&self, symbol: &str, interval: Interval, count: usize) {
        let mut state = self.state.lock().unwrap();
        state.series.get_mut(&(symbol.parse().unwrap(), interval)).unwrap().closed += count;
    }

    /// How many have closed.
    pub(crate) fn closed(&self, symbol: &str, interval: Interval) -> usize {
        self.state.lock().unwrap().series[&(symbol.parse().unwrap(), interval)].closed
    }

    /// How many looks there were.
    pub(crate) fn looks(&self, symbol: &str, interval: Interval) -> usize {
        self.state.lock().unwrap().series[&(symbol.parse().unwrap(), interval)].looks
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    pub(crate) fn set_lies(&self, lies: bool) {
        self.state.lock().unwrap().lies = lies;
    }

    pub(crate) fn traceparents(&self) -> Vec<String> {
        self.state.lock().unwrap().traceparents.clone()
    }

    pub(crate) fn limits(&self) -> Vec<usize> {
        self.state.lock().unwrap().limits.clone()
    }
}

/// What is published, and the trace it was published in.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) key: String,
    pub(crate) event: SignalEvent,
    pub(crate) trace_id: Option<String>,
}

/// A stand-in for the bus: it keeps what it takes, in order, and says no while told to.
#[derive(Clone, Default)]
pub(crate) struct Topic {
    state: Arc<Mutex<TopicState>>,
}

#[derive(Default)]
struct TopicState {
    published: Vec<Published>,
    away: bool,
    /// A key that is refused for good.
    refused: Option<String>,
    /// Takes the next one, and loses the answer.
    forgetful: bool,
    tries: usize,
}

impl Topic {
    pub(crate) fn publish(&self) -> Publish {
        let state = Arc::clone(&self.state);
        Rc::new(move |key, payload| {
            let state = Arc::clone(&state);
            Box::pin(async move {
                let mut state = state.lock().unwrap();
                state.tries += 1;
                if state.away {
                    return Err(Undelivered::Later("the bus is away".to_owned()));
                }
                if state.refused.as_deref() == Some(&key) {
                    return Err(Undelivered::Never("the bus does not take it".to_owned()));
                }
                let event: SignalEvent = serde_json::from_str(&payload).unwrap();
                assert_eq!((event.check(), event.symbol.as_str()), (Ok(()), key.as_str()));
                state.published.push(Published { key, event, trace_id: telemetry::trace_id() });
                match std::mem::take(&mut state.forgetful) {
                    true => Err(Undelivered::Later("the answer was lost".to_owned())),
                    false => Ok(()),
                }
            })
        })
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    pub(crate) fn set_forgetful(&self) {
        self.state.lock().unwrap().forgetful = true;
    }

    pub(crate) fn refuse(&self, key: &str) {
        self.state.lock().unwrap().refused = Some(key.to_owned());
    }

    pub(crate) fn tries(&self) -> usize {
        self.state.lock().unwrap().tries
    }

    pub(crate) fn published(&self) -> Vec<Published> {
        self.state.lock().unwrap().published.clone()
    }

    /// What was published of a symbol and an interval: kind, action, price, end of the candle, how sure.
    pub(crate) fn told(&self, symbol: &str, interval: Interval) -> Vec<[String; 5]> {
        let of = |one: &Published| one.key == symbol && one.event.interval == Some(interval);
        let published = self.published();
        let told = published.iter().filter(|one| of(one)).map(|Published { event, .. }| {
            [
                event.signal_type.to_string(),
                event.action.to_string(),
                event.price.unwrap().to_string(),
                event.candle_closed_at.unwrap().to_rfc3339(),
                event.confidence.to_string(),
            ]
        });
        told.collect()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.published().iter().map(|one| one.event.signal_id.to_string()).collect()
    }
}

/// signal-generator, what it asks and what it tells.
pub(crate) struct World {
    pub(crate) server: RunningServer,
    pub(crate) topic: Topic,
    pub(crate) config: Config,
}

impl World {
    /// Looks at one symbol's candles of one minute, unless that is changed.
    pub(crate) async fn start(database: &TestDatabase, market: &Market, change: impl FnOnce(&mut Config)) -> Self {
        telemetry::testing::init();
        let mut config = Config::ephemeral(database.settings(), BusSettings::at(database.url()), market.start());
        config.generator.symbols = vec!["BTCUSDT".parse().unwrap()];
        change(&mut config);
        let topic = Topic::default();
        let server = generator::start_with(config.clone(), topic.publish()).await.unwrap();
        ready(&server).await;
        Self { server, topic, config }
    }

    /// One that makes nothing by itself.
    pub(crate) async fn idle(database: &TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        Self::start(database, &Market::default(), |config| {
            config.generator.intervals = "none".parse().unwrap();
            change(config);
        })
        .await
    }

    /// Another process beside it.
    pub(crate) async fn another(&self) -> RunningServer {
        let server = generator::start_with(self.config.clone(), self.topic.publish()).await.unwrap();
        ready(&server).await;
        server
    }

    /// The same service once more, as after a restart.
    pub(crate) async fn restart(&mut self) {
        let server = generator::start_with(self.config.clone(), self.topic.publish()).await.unwrap();
        std::mem::replace(&mut self.server, server).stop().await;
        ready(&self.server).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        get(&url(&self.server, path)).await
    }

    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: &Value) -> Reply {
        let headers: Vec<_> =
            [("content-type", "application/json")].into_iter().chain(headers.iter().copied()).collect();
        post_text(&url(&self.server, "/v1/signals"), &headers, &body.to_string()).await
    }

    /// Makes a signal by hand: its id.
    pub(crate) async fn make(&self, symbol: &str, number: usize) -> String {
        let made = self.post(&[], &json!({"symbol": symbol, "action": "buy", "reason": number.to_string()})).await;
        assert_eq!(made.status, 202, "{}", made.text);
        made.json()["signal"]["signal_id"].as_str().unwrap().to_owned()
    }

    /// When the last candle opened that has been looked at, of the first series.
    pub(crate) async fn last_candle(&self) -> Option<String> {
        let generators = self.get("/v1/generators").await.ok();
        generators["golden_cross"]["series"][0]["last_candle"].as_str().map(str::to_owned)
    }

    pub(crate) async fn unpublished(&self) -> i64 {
        self.get("/v1/generators").await.ok()["unpublished"].as_i64().unwrap()
    }

    /// Waits for so many signals.
    pub(crate) async fn published(&self, count: usize) -> Vec<Published> {
        eventually(&format!("{count} are published"), async || {
            let published = self.topic.published();
            (published.len() >= count).then_some(published)
        })
        .await
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}
