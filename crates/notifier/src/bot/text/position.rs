//! That the exchange holds something else than is counted, in words.

use domain::trading::PositionDifference;

/// The difference, when it begins and when it is over. Symbols and numbers have nothing that HTML reads.
pub(crate) fn position_difference(difference: &PositionDifference) -> String {
    let PositionDifference { symbol, ours, exchange, since, ended_at } = difference;
    let (ours, exchange) = (ours.normalize(), exchange.normalize());
    if ended_at.is_some() {
        let since = since.format("%Y-%m-%d %H:%M UTC");
        return format!(
            "\u{2705} The exchange and this platform agree about {symbol} again: {ours}. They differed since {since}."
        );
    }
    format!(
        "\u{26a0}\u{fe0f} The exchange holds {exchange} of {symbol}; {ours} is counted here. Somebody trades on the same account, \
         or the exchange has closed a position by force. Profit and limits are wrong until that is put right: \
         docs/runbooks/PositionDiffers.md."
    )
}

#[cfg(test)]
mod tests {
    use rust_decimal_macros::dec;

    use super::*;

    #[test]
    fn it_begins_and_is_over() {
        let since = chrono::DateTime::from_timestamp(1_767_268_800, 0).unwrap();
        let mut difference = PositionDifference {
            symbol: "BTCUSDT".parse().unwrap(),
            ours: dec!(0.0010),
            exchange: dec!(0),
            since,
            ended_at: None,
        };
        let begins = position_difference(&difference);
        assert!(begins.contains("holds 0 of BTCUSDT; 0.001 is counted here"), "{begins}");
        difference.ended_at = Some(since);
        assert!(position_difference(&difference).contains("They differed since 2026-01-01 12:00 UTC"));
    }
}
