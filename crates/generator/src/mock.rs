//! mock_generator: random signals at a steady rate, for trying things out.

use std::time::{Duration, Instant};

use chrono::Utc;
use domain::{DecisionId, SignalEvent, SignalWord, SignalWordError, Symbol};
use rust_decimal::Decimal;
use tracing::{Instrument as _, Span};
use web::CancellationToken;

use crate::config::{GeneratorSettings, Mix};
use crate::error::ApiError;
use crate::making::{self, MOCK, Maker};
use crate::{ids, progress};

/// Most signals of one transaction.
const BATCH: u64 = 50;

/// Signals that are due within this time are made together.
const TOGETHER: Duration = Duration::from_millis(20);

/// Further behind than this it does not catch up.
const LONGEST_BEHIND: Duration = Duration::from_secs(1);

/// Wait after a failure.
const AGAIN: Duration = Duration::from_millis(500);

/// Draws signals, each by its number.
pub(crate) struct MockGenerator {
    maker: Maker,
    symbols: Vec<Symbol>,
    mix: Mix,
    /// Of the settings; without one, of this process.
    seed: u64,
    is_seeded: bool,
    per_minute: u32,
    signal_type: SignalWord,
    source: SignalWord,
}

/// How a batch ended.
enum Outcome {
    Made,
    /// Another generator has taken the numbers.
    Overtaken,
}

impl MockGenerator {
    pub(crate) fn new(maker: Maker, settings: &GeneratorSettings) -> Result<Self, SignalWordError> {
        Ok(Self {
            maker,
            symbols: settings.symbols(),
            mix: settings.mock_mix.clone(),
            seed: settings.mock_seed.unwrap_or_else(rand::random),
            is_seeded: settings.mock_seed.is_some(),
            per_minute: settings.mock_per_minute,
            signal_type: SignalWord::MOCK.parse()?,
            source: MOCK.parse()?,
        })
    }

    /// Makes signals until `stop` is cancelled.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if self.per_minute == 0 || self.symbols.is_empty() {
            return;
        }
        let apart = Duration::from_secs(60) / self.per_minute;
        let mut next = Instant::now();
        let mut number: Option<i64> = if self.is_seeded { None } else { Some(0) };
        let mut said = false;
        loop {
            // Those that are due a little later come along.
            let together = if apart < TOGETHER { TOGETHER } else { Duration::ZERO };
            let wait = (next + together).saturating_duration_since(Instant::now());
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            let now = Instant::now();
            let behind = now.saturating_duration_since(next);
            let due = due(behind, apart);
            let worked = tokio::select! {
                () = stop.cancelled() => return,
                worked = self.make(due, &mut number) => worked,
            };
            next = if behind > LONGEST_BEHIND { now + apart } else { next + apart * u32::try_from(due).unwrap_or(1) };
            match worked {
                Ok(()) => said = false,
                Err(error) => {
                    let passing = matches!(&error, ApiError::Storage(error) if error.is_passing());
                    // The database says itself that it is away.
                    if !passing && !std::mem::replace(&mut said, true) {
                        tracing::error!(error = %telemetry::causes(&error).join(": "), "random signals cannot be made");
                    }
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(AGAIN) => {}
                    }
                }
            }
        }
    }

    /// Makes as many as there is room for, and leaves the others out.
    pub(crate) async fn make(&self, due: u64, number: &mut Option<i64>) -> Result<(), ApiError> {
        let began = Instant::now();
        let room = self.maker.room().await?;
        if room < due {
            making::held_back(&self.signal_type, due - room);
        }
        let count = due.min(room);
        if count == 0 {
            return Ok(());
        }
        let first = match number {
            Some(first) => *first,
            None => progress::number(&self.maker.database, self.seed).await?,
        };
        let after = first.saturating_add(i64::try_from(count).unwrap_or(0));
        let drawn: Vec<(SignalEvent, Span)> = (first..after)
            .map(|number| {
                let event = self.draw(number.unsigned_abs());
                let span = making::root_span(&event);
                (event, span)
            })
            .collect();
        let outcome = self.commit(&drawn, first, after).await;
        match outcome {
            Ok(Outcome::Made) => {
                *number = Some(after);
                for (event, _) in &drawn {
                    self.maker.made(event, began.elapsed());
                }
                Ok(())
            }
            Ok(Outcome::Overtaken) => {
                *number = None;
                Ok(())
            }
            Err(error) => {
                // Whether it was committed may not be known: the database says how far it is.
                if self.is_seeded {
                    *number = None;
                }
                for (_, span) in &drawn {
                    span.in_scope(|| making::show_failure(&error));
                }
                Err(error)
            }
        }
    }

    /// One transaction for all of them; what is of one is in its trace, what is of all in the first one's.
    async fn commit(&self, drawn: &[(SignalEvent, Span)], first: i64, after: i64) -> Result<Outcome, ApiError> {
        let shared = drawn.first().map_or_else(Span::none, |(_, span)| span.clone());
        let mut transaction = self.maker.database.begin().instrument(shared.clone()).await?;
        if self.is_seeded {
            let taken = progress::take_numbers(&mut transaction, self.seed, first, after).instrument(shared.clone());
            if !taken.await? {
                transaction.rollback().instrument(shared).await?;
                return Ok(Outcome::Overtaken);
            }
        }
        for (event, span) in drawn {
            self.maker.write(&mut transaction, event).instrument(span.clone()).await?;
        }
        transaction.commit().instrument(shared).await?;
        Ok(Outcome::Made)
    }

    /// The signal of a number: the same each time, but for its time, and for its id where there is no seed.
    fn draw(&self, number: u64) -> SignalEvent {
        let (symbol, action, confidence) = draw(self.seed, number, &self.symbols, &self.mix);
        let (signal_id, of_seed) = if self.is_seeded {
            (ids::of_number(self.seed, number), format!(", number {number} of seed {}", self.seed))
        } else {
            (DecisionId::from_bytes(rand::random()), String::new())
        };
        SignalEvent {
            version: SignalEvent::VERSION,
            signal_id,
            signal_type: self.signal_type.clone(),
            source: self.source.clone(),
            symbol,
            action,
            confidence,
            price: None,
            interval: None,
            candle_closed_at: None,
            reason: Some(format!("Random, for trying things out{of_seed}.")),
            generated_at: Utc::now(),
        }
    }
}

/// How many are due: one, and one more for each time that they are apart.
fn due(behind: Duration, apart: Duration) -> u64 {
    let more = behind.as_nanos() / apart.as_nanos().max(1);
    u64::try_from(more).unwrap_or(BATCH).saturating_add(1).min(BATCH)
}

/// What a number of a seed says. By a digest and not by a generator of random numbers: any number can be drawn without
/// those before it, and stays the same with each version of whatever makes random numbers.
fn draw(seed: u64, number: u64, symbols: &[Symbol], mix: &Mix) -> (Symbol, domain::trading::SignalAction, Decimal) {
    let digest = ids::digest(&[b"draw", &seed.to_be_bytes(), &number.to_be_bytes()]);
    let part = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[at..at + 8]);
        u64::from_be_bytes(bytes)
    };
    let count = u64::try_from(symbols.len()).unwrap_or(1).max(1);
    let symbol = symbols[usize::try_from(part(0) % count).unwrap_or(0)].clone();
    // From 0.50 to 1.00, as a crossing's.
    let confidence = Decimal::new(50 + i64::try_from(part(16) % 51).unwrap_or(0), 2);
    (symbol, mix.at(part(8)), confidence)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_number_of_a_seed_says_the_same_each_time() {
        let symbols: Vec<Symbol> = ["BTCUSDT", "ETHUSDT"].iter().map(|symbol| symbol.parse().unwrap()).collect();
        let mix: Mix = "buy:45,sell:45,close:10".parse().unwrap();
        let say = |seed, number| {
            let (symbol, action, confidence) = draw(seed, number, &symbols, &mix);
            format!("{symbol} {action} {confidence}")
        };
        let of = |seed| (0..200).map(|number| say(seed, number)).collect::<Vec<_>>();
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        let mut actions: BTreeMap<String, u32> = BTreeMap::new();
        for number in 0..10_000 {
            let (_, action, confidence) = draw(7, number, &symbols, &mix);
            assert!(confidence >= Decimal::new(50, 2) && confidence <= Decimal::ONE, "{confidence}");
            *actions.entry(action.to_string()).or_default() += 1;
        }
        assert!((4_300..4_700).contains(&actions["buy"]) && (900..1_100).contains(&actions["close"]), "{actions:?}");
    }

    #[test]
    fn what_is_due_is_bounded() {
        let apart = Duration::from_millis(1);
        assert_eq!(due(Duration::ZERO, apart), 1);
        assert_eq!(due(Duration::from_millis(20), apart), 21);
        assert_eq!(due(Duration::from_secs(9), apart), BATCH);
    }
}
