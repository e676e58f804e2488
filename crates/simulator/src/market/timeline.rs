//! Which minute of the month the wall clock is in.

use std::num::NonZeroU16;

/// Maps wall-clock time to candles of the month.
///
/// A base candle ("1m") lasts a set number of seconds and is aligned to 1970 as on the real exchange. Candles are
/// counted from 1970 too ("number"); the month's minutes are told apart as "index". When the month ends it begins
/// again. There is no history before the month's first minute of the first round, as there is none before a listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    candle_ms: i64,
    tick_ms: i64,
    /// Candle that was forming when the simulator started.
    start_number: i64,
    /// Its minute of the month.
    start_index: i64,
    /// Minutes of the month.
    month: i64,
}

impl Timeline {
    /// `start_index` is the minute of the month that forms at `now_ms` (milliseconds since 1970).
    pub(crate) fn new(seconds_per_candle: NonZeroU16, start_index: usize, month: usize, now_ms: i64) -> Self {
        let candle_ms = i64::from(seconds_per_candle.get()) * 1_000;
        Self {
            candle_ms,
            // A price a second, but at least ten a candle, so that a candle of any length has its shape.
            tick_ms: (candle_ms / 10).min(1_000),
            start_number: now_ms.div_euclid(candle_ms),
            start_index: i64::try_from(start_index).unwrap_or_default(),
            month: i64::try_from(month).unwrap_or(i64::MAX).max(1),
        }
    }

    /// Length of a base candle in milliseconds.
    pub(crate) const fn candle_ms(&self) -> i64 {
        self.candle_ms
    }

    /// Time between two prices in milliseconds.
    #[cfg(test)]
    pub(super) const fn tick_ms(&self) -> i64 {
        self.tick_ms
    }

    /// Prices a base candle has.
    pub(crate) const fn ticks_per_candle(&self) -> i64 {
        self.candle_ms / self.tick_ms
    }

    /// The tick that holds at a time; ticks are counted from 1970.
    pub(crate) const fn tick_at(&self, ms: i64) -> i64 {
        ms.div_euclid(self.tick_ms)
    }

    /// When a tick begins.
    pub(crate) const fn tick_begin_ms(&self, tick: i64) -> i64 {
        tick * self.tick_ms
    }

    /// The base candle that a tick belongs to, and which of its ticks it is.
    pub(crate) const fn candle_of(&self, tick: i64) -> (i64, i64) {
        (tick.div_euclid(self.ticks_per_candle()), tick.rem_euclid(self.ticks_per_candle()))
    }

    /// When a base candle opens.
    pub(crate) const fn open_ms(&self, number: i64) -> i64 {
        number * self.candle_ms
    }

    /// The first base candle there is.
    pub(crate) const fn first_number(&self) -> i64 {
        self.start_number - self.start_index
    }

    /// The minute of the month that a base candle shows; `None` before the first.
    pub(crate) fn index_of(&self, number: i64) -> Option<usize> {
        let since_begin = number - self.first_number();
        if since_begin < 0 {
            return None;
        }
        usize::try_from(since_begin % self.month).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_012_345;

    fn timeline(seconds: u16) -> Timeline {
        Timeline::new(NonZeroU16::new(seconds).unwrap(), 100, 1_000, NOW)
    }

    #[test]
    fn candles_are_aligned_and_the_start_forms_now() {
        for seconds in [1, 2, 7, 13, 60, 3600] {
            let timeline = timeline(seconds);
            assert_eq!(timeline.candle_ms() % timeline.tick_ms(), 0);
            assert!(timeline.ticks_per_candle() >= 10);
            let (number, tick) = timeline.candle_of(timeline.tick_at(NOW));
            assert_eq!(timeline.index_of(number), Some(100));
            assert_eq!(timeline.open_ms(number) % (i64::from(seconds) * 1_000), 0);
            assert!(timeline.open_ms(number) + tick * timeline.tick_ms() <= NOW);
        }
    }

    #[test]
    fn the_month_wraps_and_begins_somewhere() {
        let timeline = timeline(60);
        let now = NOW.div_euclid(60_000);
        assert_eq!(timeline.index_of(now + 899), Some(999));
        assert_eq!(timeline.index_of(now + 900), Some(0));
        assert_eq!(timeline.index_of(now - 100), Some(0));
        assert_eq!(timeline.index_of(now - 101), None);
    }
}
