//! The account, what trading brought, and the newest orders.

use domain::trading::{Balance, DayProfit, ProfitReport, TradeOrder};
use rust_decimal::Decimal;

use super::order::{status_mark, words};
use super::{escape, grouped, mode_mark, moment, money, quantity, shorten, signed, trace_line};

/// Rows of a list that are shown.
const MAX_ROWS: usize = 20;

/// Orders that are shown.
pub(crate) const MAX_ORDERS: u16 = 10;

/// `/balance`.
pub(crate) fn balance(balance: &Balance) -> String {
    let asset = escape(&shorten(&balance.asset, 12));
    let mut lines = vec![
        format!("🏦 <b>Balance</b> · <b>{}</b>", mode_mark(balance.mode)),
        format!("Equity <b>{} {asset}</b>", grouped(balance.equity.round_dp(2))),
        format!(
            "Balance {} {asset} · available {} {asset}",
            grouped(balance.balance.round_dp(2)),
            grouped(balance.available.round_dp(2))
        ),
        String::new(),
    ];
    if balance.positions.is_empty() {
        lines.push("No open positions.".to_owned());
    }
    for position in balance.positions.iter().take(MAX_ROWS) {
        let side = if position.quantity.is_sign_negative() { "short" } else { "long" };
        let worth = match (position.price, position.unrealised_pnl) {
            (Some(price), Some(pnl)) => format!(", now {}: {}", grouped(price), signed(pnl)),
            _ => ", no fresh price".to_owned(),
        };
        lines.push(format!(
            "• <b>{}</b> {side} {} at {}{worth}",
            position.symbol,
            quantity(position.quantity.abs()),
            grouped(position.average_price)
        ));
    }
    lines.extend(left_out(balance.positions.len()));
    lines.push(format!("🕒 {} UTC", moment(balance.as_of)));
    lines.extend(balance.trace_id.as_deref().map(trace_line));
    lines.join("\n")
}

/// `/profit`.
pub(crate) fn profit(report: &ProfitReport) -> String {
    let mut lines = vec![
        format!("📊 <b>Profit</b> · <b>{}</b>", mode_mark(report.mode)),
        format!(
            "Since the beginning <b>{}</b>: {}",
            net(report.realised_pnl, report.fees),
            gross(report.realised_pnl, report.fees)
        ),
        String::new(),
    ];
    if report.symbols.is_empty() {
        lines.push("Nothing was realised yet.".to_owned());
    }
    for symbol in report.symbols.iter().take(MAX_ROWS) {
        lines.push(format!(
            "• {} <b>{}</b>: {}",
            symbol.symbol,
            net(symbol.realised_pnl, symbol.fees),
            gross(symbol.realised_pnl, symbol.fees)
        ));
    }
    lines.extend(left_out(report.symbols.len()));
    lines.extend(report.trace_id.as_deref().map(trace_line));
    lines.join("\n")
}

/// `/daily`.
pub(crate) fn daily(report: &ProfitReport, days: u16) -> String {
    let mut lines =
        vec![format!("📅 <b>The last {days} days</b> (UTC) · <b>{}</b>", mode_mark(report.mode)), String::new()];
    if report.days.is_empty() {
        lines.push("Nothing was filled on any of them.".to_owned());
    }
    for day in report.days.iter().take(MAX_ROWS) {
        lines.push(one_day(day));
    }
    lines.extend(left_out(report.days.len()));
    lines.extend(report.trace_id.as_deref().map(trace_line));
    lines.join("\n")
}

fn one_day(day: &DayProfit) -> String {
    let fills = if day.fills == 1 { "1 fill".to_owned() } else { format!("{} fills", day.fills) };
    format!("• {} <b>{}</b>: {}, {fills}", day.date, net(day.realised_pnl, day.fees), gross(day.realised_pnl, day.fees))
}

/// `/orders`.
pub(crate) fn orders(orders: &[TradeOrder]) -> String {
    if orders.is_empty() {
        return "📋 There are no orders yet.".to_owned();
    }
    let mut lines = vec!["📋 <b>The newest orders</b>".to_owned()];
    for order in orders.iter().take(usize::from(MAX_ORDERS)) {
        let price =
            order.average_price.map_or_else(String::new, |price| format!(" at {}", money(price, &order.symbol)));
        lines.push(format!(
            "{} {} · {} <b>{} {}</b>{price} · {} · {}\n<code>{}</code>",
            status_mark(order.status),
            moment(order.created_at),
            order.side.as_str().to_uppercase(),
            quantity(order.quantity),
            order.symbol,
            words(order.status),
            mode_mark(order.mode),
            order.id
        ));
    }
    lines.push("/why and an id tells more about one.".to_owned());
    lines.join("\n")
}

fn left_out(rows: usize) -> Option<String> {
    (rows > MAX_ROWS).then(|| format!("… and {} more", rows - MAX_ROWS))
}

/// What is left when the fees are taken off.
fn net(realised: Decimal, fees: Decimal) -> String {
    realised.checked_sub(fees).map_or_else(|| "more than can be counted".to_owned(), signed)
}

fn gross(realised: Decimal, fees: Decimal) -> String {
    format!("realised {}, fees {}", signed(realised), grouped(fees.round_dp(2)))
}

#[cfg(test)]
mod tests {
    use domain::TradingMode;
    use domain::trading::{PositionView, SymbolProfit};
    use proptest::prelude::*;
    use rust_decimal_macros::dec;

    use super::super::MAX_LENGTH;
    use super::super::samples::{self, is_well_formed, noon, shown};
    use super::*;

    fn report() -> ProfitReport {
        let symbol = SymbolProfit { symbol: "BTCUSDT".parse().unwrap(), realised_pnl: dec!(10.5), fees: dec!(0.25) };
        let day = DayProfit { date: noon().date_naive(), realised_pnl: dec!(-3), fees: dec!(0.1), fills: 1 };
        ProfitReport {
            mode: TradingMode::Paper,
            realised_pnl: dec!(10.5),
            fees: dec!(0.25),
            symbols: vec![symbol],
            days: vec![day],
            trace_id: None,
        }
    }

    fn account() -> Balance {
        let position = PositionView {
            symbol: "BTCUSDT".parse().unwrap(),
            quantity: dec!(-0.5),
            average_price: dec!(46000),
            price: Some(dec!(45000)),
            unrealised_pnl: Some(dec!(500)),
        };
        let stale = PositionView { price: None, unrealised_pnl: None, quantity: dec!(1), ..position.clone() };
        Balance {
            mode: TradingMode::Paper,
            asset: "USDT".to_owned(),
            balance: dec!(10000),
            equity: dec!(10500),
            available: dec!(7000),
            positions: vec![position, stale],
            as_of: noon(),
            trace_id: None,
        }
    }

    #[test]
    fn the_account_and_what_it_brought() {
        let text = balance(&account());
        assert!(text.contains("Equity <b>10,500.00 USDT</b>"), "{text}");
        assert!(text.contains("• <b>BTCUSDT</b> short 0.5 at 46,000.00, now 45,000.00: +500.00"), "{text}");
        assert!(text.contains("long 1 at 46,000.00, no fresh price"), "{text}");
        let text = profit(&report());
        assert!(text.contains("Since the beginning <b>+10.25</b>: realised +10.50, fees 0.25"), "{text}");
        let text = daily(&report(), 7);
        assert!(text.contains("• 2023-11-14 <b>-3.10</b>: realised -3.00, fees 0.10, 1 fill"), "{text}");
        let nothing = ProfitReport { symbols: Vec::new(), days: Vec::new(), ..report() };
        assert!(profit(&nothing).contains("Nothing was realised") && daily(&nothing, 7).contains("Nothing was filled"));
        let text = orders(&[samples::order()]);
        assert!(text.contains("BUY <b>0.002 BTCUSDT</b> at 46,224.50 USDT · filled · 🧪 PAPER\n<code>0123456789abcdef0123456789abcdef</code>"), "{text}");
        assert!(orders(&[]).contains("no orders yet"));
    }

    proptest! {
        #[test]
        fn never_longer_than_telegram_takes(words in "\\PC{0,1000}", count in 0_usize..300, number in any::<i64>()) {
            let extreme = Decimal::new(number, 0);
            let mut account = account();
            account.asset = words.clone();
            account.trace_id = Some(words.clone());
            account.equity = Decimal::MAX;
            let position = PositionView { quantity: extreme, unrealised_pnl: Some(Decimal::MIN), ..account.positions[0].clone() };
            account.positions = vec![position; count];
            let mut report = report();
            report.symbols = vec![SymbolProfit { realised_pnl: Decimal::MAX, fees: Decimal::MIN, ..report.symbols[0].clone() }; count];
            report.days = vec![DayProfit { realised_pnl: Decimal::MIN, fees: Decimal::MAX, ..report.days[0].clone() }; count];
            report.trace_id = Some(words);
            let list = vec![TradeOrder { quantity: Decimal::MAX, average_price: Some(Decimal::MAX), ..samples::order() }; count];
            for text in [balance(&account), profit(&report), daily(&report, 7), orders(&list)] {
                prop_assert!(shown(&text) <= MAX_LENGTH && is_well_formed(&text), "{} {text}", shown(&text));
            }
        }
    }
}
