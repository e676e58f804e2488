//! golden_cross_generator: looks at closed candles, and makes a signal of each crossing of their averages, once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::strategy::{CrossFinder, CrossKind, Crossing, MAX_CANDLES, Sma};
use domain::trading::SignalAction;
use domain::{Candle, Interval, SignalEvent, SignalWord, SignalWordError, Symbol};
use futures_util::{StreamExt as _, stream};
use storage::{StorageError, Transaction};
use telemetry::metrics::generator::CANDLES_MISSED;
use tracing::Instrument as _;
use web::{CancellationToken, UpstreamError, UpstreamErrorKind};

use crate::config::GeneratorSettings;
use crate::error::ApiError;
use crate::making::{self, CROSSES, Maker};
use crate::market::Market;
use crate::{ids, progress};

/// Series that are looked at at once.
const AT_ONCE: usize = 4;

/// Candles before those that are new, as slow windows: averages that touch have a side that reaches back.
const SLOW_WINDOWS: u32 = 2;

/// Candles that an answer may be behind the one before.
const BEHIND: i32 = 10;

/// Most candles that market-data-service gives.
#[expect(clippy::cast_possible_truncation, reason = "it is 1000")]
const MOST: u32 = MAX_CANDLES as u32;

/// A symbol's candles of an interval.
pub(crate) type Series = (Symbol, Interval);

/// Why a look ended early, a sentence that stays the same while the reason does.
pub(crate) type Troubles = Arc<Mutex<BTreeMap<Series, String>>>;

/// Finds crossings.
pub(crate) struct CrossGenerator {
    maker: Maker,
    market: Market,
    finder: CrossFinder,
    windows: (u32, u32),
    series: Vec<Series>,
    interval: Duration,
    words: Words,
    troubles: Troubles,
    /// The candle whose signal was held back last, so that each is counted once.
    held_back: RefCell<BTreeMap<Series, DateTime<Utc>>>,
}

struct Words {
    golden: SignalWord,
    death: SignalWord,
    source: SignalWord,
}

/// How a look ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error("{0}")]
    Market(#[from] UpstreamError),
    #[error("{0}")]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Making(#[from] ApiError),
    // No times in it: the same trouble is said once.
    #[error(
        "market-data-service gives older candles than those that have been looked at; nothing is done before newer ones come"
    )]
    Older,
}

/// What became of a crossing.
enum Outcome {
    /// It is a signal now, or was one before.
    Passed,
    /// Another generator has moved on.
    Overtaken,
    /// Too many signals wait.
    HeldBack,
}

impl CrossGenerator {
    pub(crate) fn new(
        maker: Maker,
        market: Market,
        settings: &GeneratorSettings,
        finder: CrossFinder,
        troubles: Troubles,
    ) -> Result<Self, SignalWordError> {
        let of_symbol =
            |symbol: Symbol| settings.intervals.all().iter().map(move |interval| (symbol.clone(), *interval));
        Ok(Self {
            maker,
            market,
            finder,
            windows: (settings.fast_candles.get(), settings.slow_candles.get()),
            series: settings.symbols().into_iter().flat_map(of_symbol).collect(),
            interval: settings.look_interval(),
            words: Words {
                golden: SignalWord::GOLDEN_CROSS.parse()?,
                death: SignalWord::DEATH_CROSS.parse()?,
                source: CROSSES.parse()?,
            },
            troubles,
            held_back: RefCell::default(),
        })
    }

    /// Looks until `stop` is cancelled.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if self.series.is_empty() {
            return;
        }
        loop {
            let began = Instant::now();
            let round = stream::iter(&self.series).for_each_concurrent(AT_ONCE, |series| self.look_and_tell(series));
            tokio::select! {
                () = stop.cancelled() => return,
                () = round => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.interval.saturating_sub(began.elapsed())) => {}
            }
        }
    }

    async fn look_and_tell(&self, series: &Series) {
        let trouble = match self.look(series).await {
            Ok(()) => None,
            // It has failed before, which was said, and is given a rest.
            Err(LookError::Market(UpstreamError { kind: UpstreamErrorKind::CircuitOpen { .. }, .. })) => return,
            // The database says itself that it is away.
            Err(LookError::Storage(error) | LookError::Making(ApiError::Storage(error))) if error.is_passing() => {
                return;
            }
            Err(error) => Some(error.to_string()),
        };
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let before: BTreeSet<String> = troubles.values().cloned().collect();
        match &trouble {
            Some(words) => troubles.insert(series.clone(), words.clone()),
            None => troubles.remove(series),
        };
        let is_over = troubles.is_empty() && !before.is_empty();
        drop(troubles);
        let (symbol, interval) = series;
        match trouble {
            // What fails for all of them alike is one line.
            Some(words) if !before.contains(&words) => {
                tracing::warn!(error = words, crypto.symbol = %symbol, candle.interval = %interval, "candles cannot be looked at; it is tried again");
            }
            _ if is_over => tracing::info!("all candles are looked at again"),
            _ => {}
        }
    }

    /// Looks at the candles since the last look.
    pub(crate) async fn look(&self, series: &Series) -> Result<(), LookError> {
        let began = Instant::now();
        let (symbol, interval) = series;
        let database = &self.maker.database;
        let known = progress::find(database, symbol, *interval).await?;
        let Some(known) = known else {
            let candles = self.market.closed_candles(symbol, *interval, self.finder.fewest_candles()).await?;
            // What closed before the first start is history.
            if let Some(newest) = candles.last() {
                progress::begin(database, symbol, *interval, newest.open_time).await?;
            }
            return Ok(());
        };
        let mut last = known.last_candle;
        let limit = self.limit(last, *interval);
        let mut candles = self.market.closed_candles(symbol, *interval, limit).await?;
        if limit < MOST
            && candles.last().is_some_and(|newest| newest.open_time > last)
            && !self.has_side(&candles, last)
        {
            candles = self.market.closed_candles(symbol, *interval, MOST).await?;
        }
        let newest = match candles.last() {
            Some(newest) if newest.open_time > last => newest.open_time,
            // A cache may be some candles behind; clocks that were set back are for people to see.
            Some(newest) if newest.open_time + length(*interval) * BEHIND < last => return Err(LookError::Older),
            _ => return Ok(()),
        };
        if let Some(reached) = self.gap(&candles, last) {
            if !progress::pass(database, symbol, *interval, last, reached).await? {
                return Ok(());
            }
            tell_gap(series, &candles, last, reached);
            last = reached;
        }
        let fresh =
            |crossing: &Crossing| candles.get(crossing.candle).filter(|candle| candle.open_time > last).cloned();
        let found: Vec<_> =
            self.finder.find(&candles).into_iter().filter_map(|found| Some((fresh(&found)?, found))).collect();
        for (candle, crossing) in found {
            match self.make(series, last, &candle, &crossing, began).await? {
                Outcome::Passed => last = candle.open_time,
                Outcome::Overtaken | Outcome::HeldBack => return Ok(()),
            }
        }
        if last < newest && candles.len() >= usize::try_from(self.finder.fewest_candles()).unwrap_or(usize::MAX) {
            progress::pass(database, symbol, *interval, last, newest).await?;
        }
        Ok(())
    }

    /// How many candles are needed: those since the last look, and those that averages and sides reach back to.
    fn limit(&self, last: DateTime<Utc>, interval: Interval) -> u32 {
        let since = (Utc::now() - last).num_minutes().max(0) / i64::from(interval.minutes());
        let since = u32::try_from(since).unwrap_or(MOST);
        // The one that is not closed yet is given, too.
        since.saturating_add(self.windows.1 * SLOW_WINDOWS).saturating_add(2).min(MOST)
    }

    /// Whether it is known at a candle on which side of the slow average the fast one was last.
    fn has_side(&self, candles: &[Candle], at: DateTime<Utc>) -> bool {
        let (Some(fast), Some(slow)) = (self.windows.0.try_into().ok(), self.windows.1.try_into().ok()) else {
            return true;
        };
        let (mut fast, mut slow) = (Sma::new(fast), Sma::new(slow));
        candles.iter().take_while(|candle| candle.open_time <= at).any(|candle| {
            fast.push(candle.close);
            slow.push(candle.close);
            match (fast.sum(), slow.sum()) {
                (Some(fast_sum), Some(slow_sum)) => fast_sum * slow.divisor() != slow_sum * fast.divisor(),
                _ => false,
            }
        })
    }

    /// Where candles are missing between the last one that has been looked at and those that are given: the candle up to
    /// which no crossing can be found. A crossing is found at the earliest one candle after a whole slow window.
    fn gap(&self, candles: &[Candle], last: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if candles.first().is_none_or(|first| first.open_time <= last) {
            return None;
        }
        let window = usize::try_from(self.windows.1).unwrap_or(usize::MAX);
        candles.get(window.saturating_sub(1)).map(|candle| candle.open_time)
    }

    /// Makes the signal of a crossing, and moves on to its candle.
    async fn make(
        &self,
        series: &Series,
        last: DateTime<Utc>,
        candle: &Candle,
        crossing: &Crossing,
        began: Instant,
    ) -> Result<Outcome, LookError> {
        let event = self.event(series, candle, crossing);
        if self.maker.room().await? == 0 {
            if self.held_back.borrow_mut().insert(series.clone(), candle.open_time) != Some(candle.open_time) {
                making::held_back(&event.signal_type, 1);
            }
            return Ok(Outcome::HeldBack);
        }
        let span = making::root_span(&event);
        let work = async {
            let outcome = self.commit(series, last, candle, &event).await;
            if let Err(error) = &outcome {
                making::show_failure(error);
            }
            outcome
        };
        let Some(is_new) = work.instrument(span).await? else { return Ok(Outcome::Overtaken) };
        if is_new {
            self.maker.made(&event, began.elapsed());
        }
        Ok(Outcome::Passed)
    }

    /// One transaction. None where another generator has moved on; else whether the signal is new.
    async fn commit(
        &self,
        (symbol, interval): &Series,
        last: DateTime<Utc>,
        candle: &Candle,
        event: &SignalEvent,
    ) -> Result<Option<bool>, ApiError> {
        let mut transaction: Transaction = self.maker.database.begin().await?;
        let id = event.signal_id.as_str();
        if !progress::pass_with(&mut transaction, symbol, *interval, last, candle.open_time, id).await? {
            transaction.rollback().await?;
            return Ok(None);
        }
        let is_new = self.maker.write(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(Some(is_new))
    }

    fn event(&self, (symbol, interval): &Series, candle: &Candle, crossing: &Crossing) -> SignalEvent {
        let (signal_type, action, went) = match crossing.kind {
            CrossKind::Golden => (&self.words.golden, SignalAction::Buy, "above"),
            CrossKind::Death => (&self.words.death, SignalAction::Sell, "below"),
        };
        let (fast, slow) = self.windows;
        let reason = format!(
            "SMA {fast} ({}) went {went} SMA {slow} ({}) of the {interval} candles.",
            shown(crossing.fast),
            shown(crossing.slow)
        );
        SignalEvent {
            version: SignalEvent::VERSION,
            signal_id: ids::of_crossing(signal_type.as_str(), symbol, *interval, self.windows, candle.open_time),
            signal_type: signal_type.clone(),
            source: self.words.source.clone(),
            symbol: symbol.clone(),
            action,
            confidence: crossing.confidence,
            price: Some(candle.close),
            interval: Some(*interval),
            candle_closed_at: Some(candle.close_time),
            reason: Some(reason),
            generated_at: Utc::now(),
        }
    }
}

/// Eight significant digits: enough for people.
fn shown(price: rust_decimal::Decimal) -> rust_decimal::Decimal {
    price.round_sf(8).unwrap_or(price).normalize()
}

fn length(interval: Interval) -> TimeDelta {
    TimeDelta::minutes(interval.minutes().into())
}

fn tell_gap((symbol, interval): &Series, candles: &[Candle], last: DateTime<Utc>, reached: DateTime<Utc>) {
    // As long as they are: a simulated minute may be shorter.
    let apart = match candles {
        [first, second, ..] => second.open_time - first.open_time,
        _ => length(*interval),
    };
    let missed = (reached - last).num_milliseconds() / apart.num_milliseconds().max(1);
    CANDLES_MISSED.add(missed.max(0).unsigned_abs(), &[]);
    tracing::warn!(
        crypto.symbol = %symbol,
        candle.interval = %interval,
        candles.missed = missed,
        candles.last = %last,
        "candles have closed that were never looked at: more than market-data-service gives at once"
    );
}
