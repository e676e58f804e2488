//! Moving averages and RSI over closed candles.

use std::cmp::Ordering;
use std::num::NonZeroU32;

use rust_decimal::{Decimal, RoundingStrategy};
use rust_decimal_macros::dec;

use super::verdict::{Readings, Side};
use super::{MarketView, Opinion, Rsi, Sma, figures};
use crate::Indicators;

/// Candles of the fast average.
pub const FAST_WINDOW: NonZeroU32 = NonZeroU32::new(50).unwrap();
/// Candles of the slow average.
pub const SLOW_WINDOW: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// Changes of Wilder's relative strength index.
pub const RSI_PERIOD: NonZeroU32 = NonZeroU32::new(14).unwrap();
/// A cross of the averages counts as recent for this many candles.
pub const CROSS_WINDOW: u32 = 15;
/// Closed candles needed: the slow average, and far enough back to know about every recent cross.
pub const CANDLES_NEEDED: u32 = SLOW_WINDOW.get() + CROSS_WINDOW;

/// Decimals of a share in percent; see `rsi.rs` for why not all of them.
const PERCENT_DECIMALS: u32 = 8;

/// Fewer closed candles than the averages need. No decision is made up from less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given} closed candles were given; this strategy needs at least {needed} ({slow} for its slow average and {cross} to \
     see a recent cross)",
    needed = CANDLES_NEEDED, slow = SLOW_WINDOW, cross = CROSS_WINDOW
)]
pub struct NotEnoughCandles {
    /// Closed candles that were given.
    pub given: usize,
}

/// The technical strategy, fed close by close.
///
/// 1. *Trend.* The fast average is above the slow one by the dead band or more: up; below by as much: down. Within the
///    dead band there is a trend only while a cross of the two is recent (an early signal, less sure).
/// 2. *Price.* A price that has already fallen below the fast average of an uptrend (or risen above that of a downtrend)
///    says HOLD.
/// 3. *Veto.* Overbought (RSI 70 or more) says HOLD instead of BUY; oversold (30 or less) HOLD instead of SELL.
///
/// The confidence grows with the distance of the averages and with an RSI that agrees; see `verdict.rs`.
#[derive(Debug, Clone)]
pub struct Technical {
    fast: Sma,
    slow: Sma,
    rsi: Rsi,
    taken: u32,
    side: Option<Side>,
    last_cross: Option<(Side, u32)>,
}

impl Default for Technical {
    fn default() -> Self {
        Self {
            fast: Sma::new(FAST_WINDOW),
            slow: Sma::new(SLOW_WINDOW),
            rsi: Rsi::new(RSI_PERIOD),
            taken: 0,
            side: None,
            last_cross: None,
        }
    }
}

impl Technical {
    /// What to do in this market.
    ///
    /// # Errors
    /// [`NotEnoughCandles`] when there are fewer closed candles than [`CANDLES_NEEDED`].
    pub fn decide(view: &MarketView) -> Result<Opinion, NotEnoughCandles> {
        let mut technical = Self::default();
        for close in view.closes() {
            technical.push(*close);
        }
        technical.opinion(view.price()).ok_or(NotEnoughCandles { given: view.closes().len() })
    }

    /// Takes the close of the next closed candle.
    pub fn push(&mut self, close: Decimal) {
        self.fast.push(close);
        self.slow.push(close);
        self.rsi.push(close);
        self.taken = self.taken.saturating_add(1);
        if let Some((_, age)) = &mut self.last_cross {
            *age = age.saturating_add(1);
        }
        let (Some(fast), Some(slow)) = (self.fast.sum(), self.slow.sum()) else {
            return;
        };
        // fast / 50 against slow / 200, multiplied out so that it is exact.
        let now = match (fast * self.slow.divisor()).cmp(&(slow * self.fast.divisor())) {
            Ordering::Greater => Side::Up,
            Ordering::Less => Side::Down,
            // Touching is not crossing.
            Ordering::Equal => return,
        };
        if self.side.replace(now).is_some_and(|before| before != now) {
            self.last_cross = Some((now, 0));
        }
    }

    /// What to do at this price; `None` until [`CANDLES_NEEDED`] closes were taken.
    #[must_use]
    pub fn opinion(&self, price: Decimal) -> Option<Opinion> {
        if self.taken < CANDLES_NEEDED {
            return None;
        }
        let (fast, slow, rsi) = (self.fast.value()?, self.slow.value()?, self.rsi.value()?);
        let readings = Readings {
            price,
            fast,
            slow,
            rsi,
            gap_percent: share(fast - slow, slow),
            price_gap_percent: share(price - fast, fast),
            recent_cross: self.last_cross.filter(|(_, age)| *age < CROSS_WINDOW).map(|(side, _)| side),
        };
        let verdict = readings.verdict();
        Some(Opinion {
            action: verdict.action(),
            confidence: super::confidence(readings.confidence(verdict)),
            reason: readings.reason(verdict),
            indicators: Indicators {
                sma_fast: Some(figures::price(fast)),
                sma_slow: Some(figures::price(slow)),
                rsi: Some(figures::fixed(rsi, 2)),
            },
        })
    }
}

/// `part` of `whole` in percent.
fn share(part: Decimal, whole: Decimal) -> Decimal {
    (part / whole * dec!(100)).round_dp_with_strategy(PERCENT_DECIMALS, RoundingStrategy::MidpointAwayFromZero)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Action;

    fn opinion(closes: &[Decimal], price: Decimal) -> Option<Opinion> {
        let mut technical = Technical::default();
        for close in closes {
            technical.push(*close);
        }
        technical.opinion(price)
    }

    /// Closes that walk by the given steps (in cents) from 46000.00.
    fn walk(steps: &[i64]) -> Vec<Decimal> {
        let mut cents = 4_600_000_i64;
        steps
            .iter()
            .map(|step| {
                cents = (cents + step).max(1);
                Decimal::new(cents, 2)
            })
            .collect()
    }

    #[test]
    fn says_nothing_on_too_few_candles() {
        let closes = vec![dec!(1); 215];
        assert_eq!(opinion(&closes[..214], dec!(1)), None);
        assert_eq!(opinion(&closes, dec!(1)).unwrap().action, Action::Hold);
        assert_eq!(
            NotEnoughCandles { given: 214 }.to_string(),
            "214 closed candles were given; this strategy needs at least 215 (200 for its slow average and 15 to see a \
             recent cross)"
        );
    }

    /// 300 closes that never move: averages equal, RSI neutral, nothing to be sure of but the lack of a trend.
    #[test]
    fn a_dead_market_is_a_sure_hold() {
        let dead = opinion(&vec![dec!(46000); 300], dec!(46000)).unwrap();
        assert_eq!((dead.action, dead.confidence.to_string().as_str()), (Action::Hold, "1.00"));
        assert_eq!(
            dead.reason,
            "No trend: the 50-candle average 46000.00 is 0.00% above the 200-candle average 46000.00, within the 0.20% that \
             count as noise, and the two have not crossed in the last 15 candles. RSI is 50.0."
        );
    }

    /// A steady rise is overbought by definition (RSI 100), a steady fall oversold: both are vetoed.
    #[test]
    fn steady_moves_are_vetoed_by_the_rsi() {
        let rise = opinion(&walk(&[1_000; 300]), dec!(49100)).unwrap();
        assert_eq!((rise.action, rise.confidence), (Action::Hold, dec!(1.00)));
        assert!(rise.reason.starts_with("Uptrend, but RSI 100.0 is overbought (70 or more)"), "{}", rise.reason);
        let fall = opinion(&walk(&[-1_000; 300]), dec!(42900)).unwrap();
        assert_eq!((fall.action, fall.confidence), (Action::Hold, dec!(1.00)));
        assert!(fall.reason.starts_with("Downtrend, but RSI 0.0 is oversold (30 or less)"), "{}", fall.reason);
    }

    /// Two steps up, one down: a trend with an RSI near 2/3. Expected numbers computed by a Python script from the
    /// definitions (exact fractions for the averages, 40 digits for the RSI).
    #[test]
    fn a_climb_with_rests_is_a_buy_and_its_mirror_a_sell() {
        let steps: Vec<i64> = (0..300).map(|i| if i % 3 == 2 { -1_000 } else { 1_000 }).collect();
        let buy = opinion(&walk(&steps), dec!(47000)).unwrap();
        assert_eq!((buy.action, buy.confidence.to_string().as_str()), (Action::Buy, "0.81"));
        assert_eq!(buy.indicators, indicators(dec!(46925), dec!(46675), dec!(64.17)));
        assert_eq!(
            buy.reason,
            "Uptrend: the 50-candle average 46925.00 is 0.54% above the 200-candle average 46675.00, and the price 47000.00 is \
             above the fast one. RSI 64.2 is not overbought (below 70)."
        );
        // The same market at a price below the fast average.
        let pulled_back = opinion(&walk(&steps), dec!(46900)).unwrap();
        assert_eq!((pulled_back.action, pulled_back.confidence), (Action::Hold, dec!(0.68)));
        assert_eq!(
            pulled_back.reason,
            "Uptrend, but the price 46900.00 is 0.05% below the 50-candle average 46925.00, so it is not the moment to buy. \
             That average is 0.54% above the 200-candle average 46675.00, RSI is 64.2."
        );

        let mirrored: Vec<i64> = steps.iter().map(|step| -step).collect();
        let sell = opinion(&walk(&mirrored), dec!(45000)).unwrap();
        assert_eq!((sell.action, sell.confidence.to_string().as_str()), (Action::Sell, "0.81"));
        assert_eq!(sell.indicators, indicators(dec!(45075), dec!(45325), dec!(35.83)));
        assert_eq!(
            sell.reason,
            "Downtrend: the 50-candle average 45075.00 is 0.55% below the 200-candle average 45325.00, and the price 45000.00 \
             is below the fast one. RSI 35.8 is not oversold (above 30)."
        );
    }

    fn indicators(fast: Decimal, slow: Decimal, rsi: Decimal) -> Indicators {
        Indicators { sma_fast: Some(fast), sma_slow: Some(slow), rsi: Some(rsi) }
    }

    proptest! {
        /// Quoting a market in another unit changes no decision.
        #[test]
        fn scaling_every_price_changes_nothing(
            steps in prop::collection::vec(-3_000_i64..3_000, 215..260),
            offset in -40_000_i64..40_000,
            factor in prop::sample::select(vec![dec!(0.001), dec!(0.3), dec!(7), dec!(1000), dec!(123.45)]),
        ) {
            let closes = walk(&steps);
            let price = closes[closes.len() - 1] + Decimal::new(offset, 2);
            let plain = opinion(&closes, price).unwrap();
            let scaled: Vec<Decimal> = closes.iter().map(|close| close * factor).collect();
            let other = opinion(&scaled, price * factor).unwrap();
            prop_assert_eq!((plain.action, plain.confidence), (other.action, other.confidence));
            prop_assert_eq!(plain.indicators.rsi, other.indicators.rsi);
        }

        /// Whatever the market, the confidence is one and the reason is of a length for a message.
        #[test]
        fn confidence_and_reason_are_bounded(
            cents in prop::collection::vec(1_i64..1_000_000_000, 215..260),
            price in 1_i64..1_000_000_000,
        ) {
            let closes: Vec<Decimal> = cents.into_iter().map(|c| Decimal::new(c, 2)).collect();
            let opinion = opinion(&closes, Decimal::new(price, 2)).unwrap();
            prop_assert!((Decimal::ZERO..=Decimal::ONE).contains(&opinion.confidence));
            prop_assert_eq!(opinion.confidence.scale(), 2);
            prop_assert!(opinion.reason.len() < 320, "{}", opinion.reason);
        }

        /// Prices at the very ends of what is accepted overflow nowhere.
        #[test]
        fn extreme_prices_do_not_overflow(high in prop::collection::vec(any::<bool>(), 215..230), now in any::<bool>()) {
            let of = |high: bool| if high { dec!(1_000_000_000_000) } else { dec!(0.000000000001) };
            let closes: Vec<Decimal> = high.into_iter().map(of).collect();
            prop_assert!(opinion(&closes, of(now)).is_some());
        }
    }
}
