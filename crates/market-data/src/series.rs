//! One symbol's one-minute candles: what the stream and REST said, put together without holes.
//!
//! Two candles join when the later one opens one millisecond after the earlier one closes *and* the earlier one is
//! final. The length of a candle is never assumed: a simulator may compress time.

use std::collections::BTreeMap;

use binance::rest::Kline;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Candle;

/// Most candles that are kept: the thousand that can be asked for, and some to spare.
pub(crate) const CAPACITY: usize = 1200;

/// Most candles one REST call gives.
pub(crate) const FULL_DEPTH: u16 = 1000;

#[derive(Debug, Clone)]
struct Entry {
    candle: Candle,
    /// The exchange's time of the statement, or when it was asked.
    stated_at: DateTime<Utc>,
    from_stream: bool,
    /// The exchange itself has nothing between the candle before and this one.
    after_known_hole: bool,
}

/// What a candle of the stream did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    /// A candle became final that was not before.
    pub(crate) became_final: bool,
    /// There is a hole before it: something was missed.
    pub(crate) hole: bool,
}

/// What candles of REST did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Candles that became final, or were not there before.
    pub(crate) newly_final: usize,
    /// No hole is left.
    pub(crate) contiguous: bool,
}

/// The candles, by the time they open.
#[derive(Debug, Default)]
pub(crate) struct Series {
    entries: BTreeMap<DateTime<Utc>, Entry>,
    confirmed_at: Option<DateTime<Utc>>,
    /// The oldest candle is the first there ever was.
    whole_history: bool,
}

fn joined(before: &Entry, after: &Entry) -> bool {
    before.candle.closed
        && (after.after_known_hole || after.candle.open_time == before.candle.close_time + TimeDelta::milliseconds(1))
}

impl Series {
    /// Takes a candle of the stream. Duplicates and late statements change nothing.
    pub(crate) fn apply(&mut self, candle: Candle, event_time: DateTime<Utc>) -> Applied {
        const NOTHING: Applied = Applied { became_final: false, hole: false };
        let open_time = candle.open_time;
        if let Some(known) = self.entries.get_mut(&open_time) {
            // Only the end makes a candle final, and nothing that was said before it counts any more.
            let supersedes = match (known.candle.closed, candle.closed) {
                (false, true) => true,
                (false, false) => event_time >= known.stated_at,
                (true, true) => !known.from_stream,
                (true, false) => false,
            };
            if !supersedes {
                return NOTHING;
            }
            let became_final = candle.closed && !known.candle.closed;
            known.candle = candle;
            known.stated_at = event_time;
            known.from_stream = true;
            self.confirm(open_time, event_time);
            return Applied { became_final, hole: self.hole_around(open_time) };
        }
        if self.is_full() && self.entries.first_key_value().is_some_and(|(oldest, _)| open_time < *oldest) {
            return NOTHING;
        }
        let became_final = candle.closed;
        let entry = Entry { candle, stated_at: event_time, from_stream: true, after_known_hole: false };
        self.entries.insert(open_time, entry);
        self.trim();
        self.confirm(open_time, event_time);
        Applied { became_final, hole: self.hole_around(open_time) }
    }

    /// Takes the newest candles as REST gives them: in order, the last one perhaps not final. Within their range they
    /// are the whole truth. `exhaustive` says that the exchange has nothing older to give, so that older candles that
    /// do not join can never be joined.
    pub(crate) fn merge(&mut self, klines: &[Kline], asked_at: DateTime<Utc>, exhaustive: bool) -> Merged {
        let (Some(first), Some(last)) = (klines.first(), klines.last()) else {
            return Merged { newly_final: 0, contiguous: self.is_contiguous() };
        };
        let range = (first.open_time, last.close_time);
        self.entries.retain(|open_time, entry| {
            let overlaps = entry.candle.close_time >= range.0 && *open_time <= range.1;
            !overlaps || klines.binary_search_by_key(open_time, |kline| kline.open_time).is_ok()
        });
        let mut newly_final = 0;
        let mut before: Option<&Kline> = None;
        for (index, kline) in klines.iter().enumerate() {
            // REST does not say which candle is final; one that has a successor is.
            let closed = index + 1 < klines.len();
            let after_known_hole =
                before.is_some_and(|before| kline.open_time != before.close_time + TimeDelta::milliseconds(1));
            let candle = kline.candle(closed);
            match self.entries.get_mut(&kline.open_time) {
                Some(known) => {
                    known.after_known_hole |= after_known_hole;
                    if !known.candle.closed && (closed || asked_at >= known.stated_at) {
                        newly_final += usize::from(closed);
                        known.candle = candle;
                        known.stated_at = asked_at;
                        known.from_stream = false;
                    }
                }
                None => {
                    newly_final += usize::from(closed);
                    let entry = Entry { candle, stated_at: asked_at, from_stream: false, after_known_hole };
                    self.entries.insert(kline.open_time, entry);
                }
            }
            before = Some(kline);
        }
        if exhaustive && self.hole_before(first.open_time) {
            self.entries = self.entries.split_off(&first.open_time);
        }
        if exhaustive {
            // Fewer than could be had are all there are.
            self.whole_history = klines.len() < usize::from(FULL_DEPTH);
        }
        // A frozen exchange repeats itself for ever: a candle that has ended says nothing of the time after its end.
        self.confirm(last.open_time, asked_at.min(last.close_time));
        self.trim();
        Merged { newly_final, contiguous: self.is_contiguous() }
    }

    /// The newest candles without a hole among them, oldest first, at most `limit`.
    pub(crate) fn newest(&self, limit: usize) -> Vec<Candle> {
        let mut newest: Vec<Candle> = Vec::with_capacity(limit.min(self.entries.len()));
        let mut after: Option<&Entry> = None;
        for entry in self.entries.values().rev().take(limit) {
            if after.is_some_and(|after| !joined(entry, after)) {
                break;
            }
            newest.push(entry.candle.clone());
            after = Some(entry);
        }
        newest.reverse();
        newest
    }

    /// [`Series::newest`], unless the exchange may have more that join.
    pub(crate) fn enough(&self, limit: usize) -> Option<Vec<Candle>> {
        let newest = self.newest(limit);
        (newest.len() >= limit || (self.whole_history && newest.len() == self.entries.len())).then_some(newest)
    }

    /// When the exchange last stated the newest candle.
    pub(crate) const fn confirmed_at(&self) -> Option<DateTime<Utc>> {
        self.confirmed_at
    }

    /// Whether every candle joins the next.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.oldest_hole().is_none()
    }

    /// How many candles, counted back from `now`, have to be read so that nothing is missing.
    pub(crate) fn missing(&self, now: DateTime<Utc>) -> u16 {
        let Some((_, newest)) = self.entries.last_key_value() else { return FULL_DEPTH };
        let from = self.oldest_hole().unwrap_or(newest);
        // An estimate by the newest candle's length; the caller asks for everything when it was too low.
        let length_ms = (newest.candle.close_time - newest.candle.open_time).num_milliseconds().max(0) + 1;
        let elapsed_ms = (now - from.candle.open_time).num_milliseconds().max(0);
        let candles = (elapsed_ms / length_ms).saturating_add(3);
        u16::try_from(candles).unwrap_or(FULL_DEPTH).min(FULL_DEPTH)
    }

    /// The oldest candle that does not join its successor.
    fn oldest_hole(&self) -> Option<&Entry> {
        self.entries
            .values()
            .zip(self.entries.values().skip(1))
            .find(|(before, after)| !joined(before, after))
            .map(|(before, _)| before)
    }

    fn hole_before(&self, open_time: DateTime<Utc>) -> bool {
        let before = self.entries.range(..open_time).next_back();
        let this = self.entries.get(&open_time);
        matches!((before, this), (Some((_, before)), Some(this)) if !joined(before, this))
    }

    fn hole_around(&self, open_time: DateTime<Utc>) -> bool {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.entries.range((Excluded(open_time), Unbounded)).next();
        self.hole_before(open_time) || after.is_some_and(|(after, _)| self.hole_before(*after))
    }

    fn confirm(&mut self, open_time: DateTime<Utc>, at: DateTime<Utc>) {
        let newest = self.entries.last_key_value().is_some_and(|(newest, _)| *newest == open_time);
        if newest && self.confirmed_at.is_none_or(|confirmed| confirmed < at) {
            self.confirmed_at = Some(at);
        }
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= CAPACITY
    }

    fn trim(&mut self) {
        while self.entries.len() > CAPACITY {
            self.entries.pop_first();
        }
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
