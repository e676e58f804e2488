//! How long it takes to find the pipelines that a signal sets off among very many, and what they take of memory: with the
//! index that trigger-dispatcher has, filled as it fills it. Prints one JSON object.
//!
//! `cargo run --release -p pipeline --example match_bench [PIPELINES [SIGNALS]]`
//!
//! Always the same pipelines and signals. Each pipeline waits for one to three types of signals and one to three markets
//! of two thousand, one in a thousand for any market, and asks for a confidence between 0.50 and 0.95. Of the first kind of
//! signals (`few`) each is about any of the markets; of the second (`hot`) all are about one that one in a hundred
//! pipelines waits for besides.

#![expect(clippy::print_stdout, reason = "what it is for")]

use std::error::Error;
use std::time::Instant;

use chrono::DateTime;
use domain::pipeline::{Pipeline, PipelineRequest, SignalTrigger, Trigger};
use domain::trading::SignalAction;
use domain::{DecisionId, SignalEvent, SignalWord, Symbol};
use pipeline::dispatch::Index;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

/// Pipelines that are read from the database at once.
const PAGE: usize = 500;

const MARKETS: u64 = 2_000;

const TYPES: [&str; 8] =
    ["golden_cross", "death_cross", "tradingview", "mock", "breakout", "reversal", "volume_spike", "news"];

/// Numbers that look random and are the same each time: SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn market(&mut self) -> Result<Symbol, Box<dyn Error>> {
        Ok(format!("C{:04}USDT", self.below(MARKETS)).parse()?)
    }

    fn signal_type(&mut self) -> Result<SignalWord, Box<dyn Error>> {
        let place = usize::try_from(self.below(TYPES.len() as u64))?;
        Ok(TYPES.get(place).copied().unwrap_or_default().parse()?)
    }

    fn hundredths(&mut self, from: u64, to: u64) -> Result<Decimal, Box<dyn Error>> {
        Ok(Decimal::new(i64::try_from(from + self.below(to - from + 1))?, 2))
    }

    fn pipeline(&mut self, number: usize, like: &PipelineRequest) -> Result<Pipeline, Box<dyn Error>> {
        let types = 1 + self.below(3);
        let markets = if self.below(1_000) == 0 { 0 } else { 1 + self.below(3) };
        let mut tickers = (0..markets).map(|_| self.market()).collect::<Result<Vec<_>, _>>()?;
        if self.below(100) == 0 {
            tickers.push(hot()?);
        }
        let trigger = Trigger::Signal(SignalTrigger {
            signal_types: (0..types).map(|_| self.signal_type()).collect::<Result<_, _>>()?,
            tickers,
            minimum_confidence: self.hundredths(50, 95)?,
        });
        Ok(Pipeline {
            pipeline_id: Uuid::from_u64_pair(self.below(u64::MAX), number as u64).to_string().parse()?,
            revision: 1,
            request: PipelineRequest { trigger, ..like.clone() },
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        })
    }

    fn signal(&mut self, symbol: Symbol) -> Result<SignalEvent, Box<dyn Error>> {
        Ok(SignalEvent {
            version: 1,
            signal_id: DecisionId::from_bytes([1; 16]),
            signal_type: self.signal_type()?,
            source: "match_bench".parse()?,
            symbol,
            action: SignalAction::Buy,
            confidence: self.hundredths(50, 99)?,
            price: None,
            interval: None,
            candle_closed_at: None,
            reason: None,
            generated_at: DateTime::UNIX_EPOCH,
        })
    }
}

/// The market that many wait for.
fn hot() -> Result<Symbol, Box<dyn Error>> {
    Ok("BTCUSDT".parse()?)
}

/// A figure of this process's memory in bytes: `VmRSS`, or `VmHWM`, which is the most of it so far.
fn memory(name: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no figure of memory")?;
    let kilobytes: u64 = line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1_024)
}

/// How long matching these takes, in microseconds, and how many pipelines they match.
fn measure(index: &Index, signals: &[SignalEvent]) -> Value {
    let (mut took, mut matches) = (Vec::with_capacity(signals.len()), Vec::with_capacity(signals.len()));
    for signal in signals {
        let began = Instant::now();
        let found = std::hint::black_box(index.matching(std::hint::black_box(signal)));
        took.push(began.elapsed());
        matches.push(found.len());
    }
    took.sort_unstable();
    matches.sort_unstable();
    let at = |percent: usize| (signals.len() * percent / 100).min(signals.len().saturating_sub(1));
    let micros = |percent| took.get(at(percent)).map(|took| took.as_secs_f64() * 1e6);
    let count = |percent| matches.get(at(percent));
    json!({
        "signals": signals.len(),
        "p50_microseconds": micros(50),
        "p99_microseconds": micros(99),
        "most_microseconds": micros(100),
        "p50_matches": count(50),
        "p99_matches": count(99),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let pipelines = arguments.next().transpose()?.unwrap_or(100_000);
    let signals = arguments.next().transpose()?.unwrap_or(20_000);
    let like: PipelineRequest = serde_json::from_value(json!({
        "name": "one of many", "trigger": {"mode": "signal"}, "steps": [{"name": "tell", "agent": "notify"}],
    }))?;
    let mut numbers = Numbers(7);
    let before = memory("VmRSS")?;
    let began = Instant::now();
    let mut index = Index::filling();
    // In pages, as they are read: no more than one of them is in memory beside the index.
    for begin in (0..pipelines).step_by(PAGE) {
        let page = (begin..pipelines.min(begin + PAGE)).map(|number| numbers.pipeline(number, &like));
        page.collect::<Result<Vec<_>, _>>()?.iter().for_each(|pipeline| index.put(pipeline));
    }
    let index = index.filled();
    let filled = began.elapsed();
    let (after, most) = (memory("VmRSS")?, memory("VmHWM")?);
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for _ in 0..signals {
        let symbol = numbers.market()?;
        few.push(numbers.signal(symbol)?);
    }
    for _ in 0..signals / 10 {
        many.push(numbers.signal(hot()?)?);
    }
    // Once for nothing, so that what is measured is in the caches of the processor as far as it fits.
    measure(&index, &few);
    let report = json!({
        "pipelines": index.on_signals(),
        "few": measure(&index, &few),
        "hot": measure(&index, &many),
        "index_bytes": index.size_bytes(),
        "resident_growth_bytes": after.saturating_sub(before),
        "resident_growth_bytes_at_most": most.saturating_sub(before),
        "fill_seconds": filled.as_secs_f64(),
    });
    println!("{report}");
    Ok(())
}
