//! How Binance writes numbers: decimals as strings with eight decimals.

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

/// Cents as `"46224.00000000"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cents(pub(super) i64);

/// Units of 1e-8 of a currency as `"72.54475000"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units(pub(super) i64);

/// Thousandths of a percent as `"-1.250"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MilliPercent(pub(super) i64);

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.8}", Decimal::new(self.0, 2)))
    }
}

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.8}", Decimal::new(self.0, 8)))
    }
}

impl Serialize for MilliPercent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", Decimal::new(self.0, 3)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_binance_writes_them() {
        let json =
            serde_json::to_string(&(Cents(4_622_400), Cents(-5), Units(7_254_475_000), MilliPercent(-95_960))).unwrap();
        assert_eq!(json, r#"["46224.00000000","-0.05000000","72.54475000","-95.960"]"#);
    }
}
