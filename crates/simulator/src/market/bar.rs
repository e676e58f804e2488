//! One minute of a month, as it is kept in memory.

/// Open, high, low, close and volume of a minute in fixed point: 24 bytes, since a month of them stays in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    /// Cents: 42 million US dollars fit.
    prices: [u32; 4],
    /// Traded volume in cents of the quote currency.
    quote_cents: u64,
}

/// One unit of base volume: Binance states volumes with eight decimals.
pub(super) const BASE_UNITS: i64 = 100_000_000;
/// Base volumes are multiples of this (the lot size of exchangeInfo, 0.00001).
const LOT: i64 = 1_000;

impl Bar {
    /// `[open, high, low, close]` in cents; `None` unless all are positive and low and high enclose the others.
    pub(super) fn new(prices: [u32; 4], quote_cents: u64) -> Option<Self> {
        let [open, high, low, close] = prices;
        let sound = low > 0 && low <= open.min(close) && high >= open.max(close);
        sound.then_some(Self { prices, quote_cents })
    }

    pub(super) fn open(&self) -> i64 {
        i64::from(self.prices[0])
    }

    pub(super) fn high(&self) -> i64 {
        i64::from(self.prices[1])
    }

    pub(super) fn low(&self) -> i64 {
        i64::from(self.prices[2])
    }

    pub(super) fn close(&self) -> i64 {
        i64::from(self.prices[3])
    }

    pub(super) fn is_rising(&self) -> bool {
        self.close() >= self.open()
    }

    /// Volume in cents of the quote currency.
    pub(super) fn quote(&self) -> i64 {
        i64::try_from(self.quote_cents).unwrap_or(i64::MAX)
    }

    /// Volume in units of 1e-8 of the base currency: the quote volume at the closing price, in whole lots.
    pub(super) fn base(&self) -> i64 {
        let units = i128::from(self.quote()) * i128::from(BASE_UNITS) / i128::from(self.close());
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        units - units % LOT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_small_and_sound() {
        assert_eq!(size_of::<Bar>(), 24);
        assert!(Bar::new([100, 99, 90, 95], 1).is_none());
        assert!(Bar::new([100, 110, 101, 105], 1).is_none());
        assert!(Bar::new([0, 0, 0, 0], 1).is_none());
        let bar = Bar::new([4_619_700, 4_624_700, 4_619_500, 4_622_400], 335_330_876).unwrap();
        // 3,353,308.76 USD at 46,224 USD are 72.54475 BTC.
        assert_eq!(bar.base(), 7_254_475_000);
        assert!(bar.is_rising());
    }
}
