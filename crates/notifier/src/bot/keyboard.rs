//! Buttons, and what comes back when they are pressed.
//!
//! `callback_data` has at most 64 bytes and comes from outside: it is parsed like any input. Its forms:
//!
//! | data | is | role |
//! |---|---|---|
//! | `a:BTC~,ETHBTC` | ask about these again; `~` is `USDT` | viewer |
//! | `t:<32 hex>` | where this trace can be seen | viewer |
//! | `w:<32 hex>` | why this order, decision or refusal | viewer |
//! | `c:BTC~:<32 hex>` | a chart of the symbol with this order or decision marked | viewer |
//! | `y:<32 hex>`, `n:<32 hex>` | confirm, decline this order | trader |
//! | `x:<32 hex>` | cancel this order | trader |

use domain::trading::TradeOrder;
use domain::{Answer, DecisionId, Symbol};
use trace_reader::TraceId;

use super::role::Role;
use crate::backends::Verdict;
use crate::outbox::{Button, Buttons};
use crate::question::MAX_SYMBOLS;

/// Telegram's limit for `callback_data`.
const MAX_DATA_BYTES: usize = 64;

/// Buttons that stand beside each other without being cut on a phone.
const MAX_IN_ROW: usize = 4;

/// Stands for the quote currency `USDT` in `callback_data`, so that ten symbols fit.
const USDT: &str = "~";

/// A pressed button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Press {
    /// Ask about these again.
    AskAgain(Vec<Symbol>),
    /// Show where this trace can be seen.
    Trace(TraceId),
    /// Say why.
    Why(DecisionId),
    /// Draw a chart.
    Chart(Symbol, DecisionId),
    /// Say yes or no to an order, or take it back.
    Decide(Verdict, DecisionId),
}

impl Press {
    /// Who may press it.
    pub(crate) const fn role(&self) -> Role {
        match self {
            Self::AskAgain(_) | Self::Trace(_) | Self::Why(_) | Self::Chart(..) => Role::Viewer,
            Self::Decide(..) => Role::Trader,
        }
    }
}

/// The rows under an answer; a button that would not fit is left out.
pub(crate) fn under_answer(symbols: &[Symbol], answers: &[&Answer], trace_id: Option<&str>) -> Buttons {
    let names: Vec<String> = symbols.iter().map(short).collect();
    let first = [
        button("🔄 Ask again", format!("a:{}", names.join(","))),
        trace_id.and_then(|id| button("🔎 Trace", format!("t:{id}"))),
    ];
    let second: Vec<Option<Button>> = match answers {
        [answer] => vec![why(&answer.decision_id), chart(&answer.symbol, &answer.decision_id)],
        _ => answers
            .iter()
            .map(|answer| button(&format!("❓ {}", base(&answer.symbol)), format!("w:{}", answer.decision_id)))
            .collect(),
    };
    let second: Vec<Button> = second.into_iter().flatten().collect();
    let rows =
        std::iter::once(first.into_iter().flatten().collect()).chain(second.chunks(MAX_IN_ROW).map(<[Button]>::to_vec));
    rows_of(rows)
}

/// The rows under an order: what a trader can do about it, and what everybody can look at.
pub(crate) fn under_order(order: &TradeOrder, awaits_confirmation: bool) -> Buttons {
    let id = &order.id;
    let decide = if awaits_confirmation {
        vec![button("✅ Confirm", format!("y:{id}")), button("❌ Decline", format!("n:{id}"))]
    } else if order.status.is_final() || order.status == domain::trading::OrderStatus::New {
        Vec::new()
    } else {
        vec![button("✖️ Cancel order", format!("x:{id}"))]
    };
    let trace = order.trace_id.as_deref().filter(|id| id.parse::<TraceId>().is_ok());
    let look = vec![why(id), trace.and_then(|id| button("🔎 Trace", format!("t:{id}"))), chart(&order.symbol, id)];
    rows_of([decide, look].into_iter().map(|row| row.into_iter().flatten().collect()))
}

/// The row under a refusal.
pub(crate) fn under_refusal(symbol: &Symbol, id: &DecisionId, trace_id: Option<&str>) -> Buttons {
    let trace = trace_id.and_then(|id| button("🔎 Trace", format!("t:{id}")));
    rows_of([vec![why(id), trace, chart(symbol, id)].into_iter().flatten().collect()].into_iter())
}

/// The one button that shows where a trace can be seen.
pub(crate) fn trace_only(trace_id: &str) -> Buttons {
    let trace = trace_id.parse::<TraceId>().ok().and_then(|id| button("🔎 Trace", format!("t:{}", id.as_str())));
    rows_of([trace.into_iter().collect()].into_iter())
}

fn rows_of(rows: impl Iterator<Item = Vec<Button>>) -> Buttons {
    let rows: Vec<Vec<Button>> = rows.filter(|row| !row.is_empty()).collect();
    if rows.is_empty() { Buttons::None } else { Buttons::Rows(rows) }
}

fn why(id: &DecisionId) -> Option<Button> {
    button("❓ Why", format!("w:{id}"))
}

fn chart(symbol: &Symbol, id: &DecisionId) -> Option<Button> {
    button("📈 Chart", format!("c:{}:{id}", short(symbol)))
}

fn button(text: &str, data: String) -> Option<Button> {
    (data.len() <= MAX_DATA_BYTES).then(|| Button { text: text.to_owned(), data })
}

/// Reads `callback_data`; `None` for anything that none of our buttons sends.
pub(crate) fn press(data: &str) -> Option<Press> {
    let (kind, rest) = data.split_once(':')?;
    let decide = |verdict| rest.parse().ok().map(|id| Press::Decide(verdict, id));
    match kind {
        "a" => {
            let symbols: Vec<Symbol> = rest.split(',').map(long).collect::<Option<_>>()?;
            (1..=MAX_SYMBOLS).contains(&symbols.len()).then_some(Press::AskAgain(symbols))
        }
        "t" => rest.parse().ok().map(Press::Trace),
        "w" => rest.parse().ok().map(Press::Why),
        "c" => {
            let (symbol, id) = rest.split_once(':')?;
            Some(Press::Chart(long(symbol)?, id.parse().ok()?))
        }
        "y" => decide(Verdict::Confirm),
        "n" => decide(Verdict::Decline),
        "x" => decide(Verdict::Cancel),
        _ => None,
    }
}

fn short(symbol: &Symbol) -> String {
    symbol.as_str().strip_suffix("USDT").map_or_else(|| symbol.to_string(), |base| format!("{base}{USDT}"))
}

fn long(name: &str) -> Option<Symbol> {
    name.replace(USDT, "USDT").parse().ok()
}

fn base(symbol: &Symbol) -> &str {
    symbol.split().map_or(symbol.as_str(), |(base, _)| base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::text::samples::{answer, order};
    use domain::trading::OrderStatus;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn symbols(names: &[&str]) -> Vec<Symbol> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn data(buttons: Buttons) -> Vec<String> {
        match buttons {
            Buttons::Rows(rows) => rows.concat().into_iter().map(|button| button.data).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn buttons_come_back_as_they_were_meant() {
        let asked = symbols(&["BTCUSDT", "ETHBTC"]);
        let one = answer("BTCUSDT", "Up.");
        let data = data(under_answer(&asked, &[&one], Some(ID)));
        assert_eq!(press(&data[0]), Some(Press::AskAgain(asked)));
        assert_eq!(press(&data[1]), Some(Press::Trace(ID.parse().unwrap())));
        assert_eq!(press(&data[2]), Some(Press::Why(one.decision_id.clone())));
        assert_eq!(press(&data[3]), Some(Press::Chart(one.symbol, one.decision_id)));
    }

    #[test]
    fn several_answers_have_a_why_each() {
        let answers: Vec<Answer> = (0..10).map(|_| answer("BTCUSDT", "Up.")).collect();
        let answers: Vec<&Answer> = answers.iter().collect();
        let Buttons::Rows(rows) = under_answer(&symbols(&["BTCUSDT"]), &answers, None) else { panic!("no rows") };
        assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [1, 4, 4, 2]);
    }

    #[test]
    fn an_order_has_the_buttons_of_its_status() {
        let kinds = |status, awaits| {
            let order = TradeOrder { status, trace_id: Some(ID.to_owned()), ..order() };
            data(under_order(&order, awaits)).iter().map(|data| data[..1].to_owned()).collect::<String>()
        };
        assert_eq!(kinds(OrderStatus::New, true), "ynwtc");
        assert_eq!(kinds(OrderStatus::New, false), "wtc");
        assert_eq!(kinds(OrderStatus::Submitted, false), "xwtc");
        assert_eq!(kinds(OrderStatus::PartiallyFilled, false), "xwtc");
        assert_eq!(kinds(OrderStatus::Filled, false), "wtc");
        let untraced = TradeOrder { trace_id: Some("no id".to_owned()), ..order() };
        assert!(!data(under_order(&untraced, false)).iter().any(|data| data.starts_with("t:")));
        assert_eq!(press(&format!("y:{ID}")).unwrap().role(), Role::Trader);
        assert_eq!(press(&format!("x:{ID}")), Some(Press::Decide(Verdict::Cancel, ID.parse().unwrap())));
        assert_eq!(press(&format!("w:{ID}")).unwrap().role(), Role::Viewer);
    }

    #[test]
    fn data_keeps_to_telegrams_limit() {
        let usual = symbols(&[
            "BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT", "AVAXUSDT", "LINKUSDT",
            "DOTUSDT",
        ]);
        assert_eq!(data(under_answer(&usual, &[], None)).len(), 1);
        let long: Vec<Symbol> = (0..10).map(|n| format!("LONGNAME{n}USDT").parse().unwrap()).collect();
        assert_eq!(under_answer(&long, &[], None), Buttons::None);
        let longest: Symbol = "A".repeat(Symbol::MAX_LEN).parse().unwrap();
        let longest = TradeOrder { symbol: longest, ..order() };
        assert!(data(under_order(&longest, true)).iter().all(|data| data.len() <= MAX_DATA_BYTES));
    }

    #[test]
    fn anything_else_is_no_press() {
        let odd = [
            "",
            "a",
            "a:",
            "a:x",
            "a:BTC~,",
            "t:1",
            "t:",
            "z:BTC~",
            "a:BTC/USDT",
            "y:",
            "y:1",
            "w:4BF9",
            "c:BTC~",
            "c:BTC~:1",
            "c::4bf92f3577b34da6a3ce929d0e0e4736",
            "n:4bf92f3577b34da6a3ce929d0e0e4736x",
        ];
        for data in odd.into_iter().chain([&*"a:".repeat(40)]) {
            assert_eq!(press(data), None, "{data}");
        }
        let eleven = format!("a:{}", ["BTC~"; 11].join(","));
        assert_eq!(press(&eleven), None);
    }
}
