//! Candles over REST: at the start, after every reconnection, and whenever there is a hole.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use binance::rest::{KlinesQuery, RestError};
use binance::stream::Backoff;
use chrono::Utc;
use domain::{Interval, Symbol};
use futures_util::future::join_all;
use telemetry::metrics::market_data::{GAP_FILL_FAILURES, GAPS_FILLED};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;
use web::CancellationToken;

use crate::Market;
use crate::series::{FULL_DEPTH, Merged};

/// A symbol the exchange does not list will not be listed in a second.
pub(crate) const UNLISTED_PAUSE: Duration = Duration::from_secs(600);

/// Why candles are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FillReason {
    /// There are none yet.
    Start,
    /// The stream was away.
    Reconnect,
    /// Candles do not join.
    Hole,
    /// The stream has said nothing of this symbol's candles for a while.
    Quiet,
}

impl FillReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reconnect => "reconnect",
            Self::Hole => "hole",
            Self::Quiet => "quiet",
        }
    }
}

#[derive(Debug)]
struct Request {
    reason: FillReason,
    not_before: Instant,
    backoff: Backoff,
}

/// Symbols whose candles have to be read, each once.
#[derive(Debug, Default)]
pub(crate) struct FillQueue {
    requests: Mutex<BTreeMap<Symbol, Request>>,
    wake: Notify,
}

impl FillQueue {
    /// Asks for a symbol's candles; one that waits already goes on waiting.
    pub(crate) fn request(&self, symbol: &Symbol, reason: FillReason) {
        self.requests().entry(symbol.clone()).or_insert_with(|| Request {
            reason,
            not_before: Instant::now(),
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(15)),
        });
        self.wake.notify_one();
    }

    fn again(&self, symbol: Symbol, mut request: Request, pause: Option<Duration>) {
        let pause = pause.unwrap_or_else(|| request.backoff.next_delay(rand::random()));
        request.not_before = Instant::now() + pause;
        // What was asked for while this one failed is the same wish.
        self.requests().insert(symbol, request);
    }

    fn due(&self, now: Instant) -> Vec<(Symbol, Request)> {
        let mut requests = self.requests();
        let (due, waiting) =
            std::mem::take(&mut *requests).into_iter().partition(|(_, request)| request.not_before <= now);
        *requests = waiting;
        BTreeMap::into_iter(due).collect()
    }

    fn next(&self) -> Option<Instant> {
        self.requests().values().map(|request| request.not_before).min()
    }

    fn requests(&self) -> MutexGuard<'_, BTreeMap<Symbol, Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fulfils requests until cancelled; failed ones again and again.
pub(crate) async fn run(market: Arc<Market>, cancel: CancellationToken) {
    loop {
        let next = market.fills.next();
        tokio::select! {
            () = cancel.cancelled() => return,
            () = market.fills.wake.notified() => {}
            () = async { match next { Some(next) => sleep_until(next).await, None => std::future::pending().await } } => {}
        }
        let due = market.fills.due(Instant::now());
        let fills = due.into_iter().map(|(symbol, request)| market.fulfil(symbol, request));
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = join_all(fills) => {}
        }
    }
}

impl Market {
    async fn fulfil(&self, symbol: Symbol, request: Request) {
        // A trace of its own: no request asked for it, and the stream's connection is no parent either.
        let span = tracing::info_span!(
            parent: None,
            "market_data.gap_fill",
            crypto.symbol = symbol.as_str(),
            fill.reason = request.reason.as_str(),
            candles.added = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let outcome = self.fill(&symbol, request.reason).instrument(span.clone()).await;
        match outcome {
            Ok(Merged { newly_final, contiguous }) => {
                // Signed: an unsigned number would reach the trace as text.
                span.record("candles.added", i64::try_from(newly_final).unwrap_or(i64::MAX));
                if !contiguous {
                    // REST is a moment behind the stream.
                    self.fills.again(symbol, request, None);
                }
            }
            Err(error) => {
                span.record("otel.status_code", "ERROR");
                span.record("error.type", error.label());
                GAP_FILL_FAILURES.add(1, &[("reason", error.label())]);
                let pause = match &error {
                    RestError::InvalidSymbol { .. } => Some(UNLISTED_PAUSE),
                    error => error.retry_after(),
                };
                self.fills.again(symbol, request, pause);
            }
        }
    }

    async fn fill(&self, symbol: &Symbol, reason: FillReason) -> Result<Merged, RestError> {
        let (limit, had_hole) = self
            .store
            .with_series(symbol, |series| {
                (series.missing(self.store.exchange_time(Utc::now())), !series.is_contiguous())
            })
            .unwrap_or((FULL_DEPTH, false));
        let mut merged = self.read_candles(symbol, limit).await?;
        if !merged.contiguous && limit < FULL_DEPTH {
            let rest = self.read_candles(symbol, FULL_DEPTH).await?;
            merged = Merged { newly_final: merged.newly_final + rest.newly_final, ..rest };
        }
        if merged.newly_final > 0 {
            tracing::info!(
                symbol = symbol.as_str(),
                added = merged.newly_final,
                reason = reason.as_str(),
                "candles filled in"
            );
        }
        let mended = reason != FillReason::Start && merged.contiguous && (had_hole || merged.newly_final > 0);
        if mended {
            GAPS_FILLED.add(1, &[("symbol", symbol.as_str())]);
        }
        Ok(merged)
    }

    /// Reads the newest `limit` one-minute candles into the store.
    pub(crate) async fn read_candles(&self, symbol: &Symbol, limit: u16) -> Result<Merged, RestError> {
        // By the exchange's clock, as the stream's statements are.
        let asked_at = self.store.exchange_time(Utc::now());
        let query = KlinesQuery { symbol: symbol.clone(), interval: Interval::OneMinute, limit };
        let outcome = self.rest.klines(&query).await;
        self.link.note_rest(&outcome);
        let klines = outcome?;
        let exhaustive = limit == FULL_DEPTH || klines.len() < usize::from(limit);
        Ok(self.store.merge_candles(symbol, &klines, asked_at, exhaustive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_symbol_waits_once_and_comes_again_after_a_failure() {
        let queue = FillQueue::default();
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        queue.request(&symbol, FillReason::Start);
        queue.request(&symbol, FillReason::Hole);
        let now = Instant::now();
        let mut due = queue.due(now);
        assert_eq!(due.len(), 1);
        assert!(queue.due(now).is_empty());
        let (symbol, request) = due.pop().unwrap();
        assert_eq!(request.reason, FillReason::Start);
        queue.again(symbol.clone(), request, Some(Duration::from_secs(60)));
        // A wish in between does not shorten the pause: the exchange asked for it.
        queue.request(&symbol, FillReason::Hole);
        assert!(queue.due(Instant::now()).is_empty());
        assert!(queue.next().unwrap() > now + Duration::from_secs(59));
        assert_eq!(queue.due(now + Duration::from_secs(120)).len(), 1);
    }
}
