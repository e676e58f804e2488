//! An answer as lines for a person.

use domain::{Action, Answer, AskOutcome, AskRefusal, AskResponse, Fallback};

use crate::tools::terminal::{Style, Terminal, millis, printable, wrapped};

/// Columns before a row's text.
const INDENT: usize = 12;

/// Every outcome of an ask, then the trace id.
pub(super) fn tell(response: &AskResponse, terminal: Terminal) -> String {
    let mut blocks: Vec<String> = response
        .outcomes
        .iter()
        .map(|outcome| match outcome {
            AskOutcome::Answer(answer) => answered(answer, terminal),
            AskOutcome::Refusal(refusal) => refused(refusal, terminal),
        })
        .collect();
    blocks.push(match &response.trace_id {
        Some(id) => format!("trace {}", printable(id)),
        None => "no trace: notifier-service runs with telemetry off (TELEMETRY_ENABLED=true switches it on)".to_owned(),
    });
    blocks.join("\n\n")
}

fn answered(answer: &Answer, terminal: Terminal) -> String {
    let style = match answer.action {
        Action::Buy => Style::Good,
        Action::Sell => Style::Bad,
        Action::Hold => Style::Warn,
    };
    let currency = answer.symbol.split().map_or(String::new(), |(_, quote)| format!(" {quote}"));
    let mut lines = vec![format!(
        "{} {}  confidence {}",
        terminal.paint(style, answer.action.as_str()),
        terminal.paint(Style::Bold, answer.symbol.as_str()),
        answer.confidence
    )];
    let mut row = |name: &str, text: &str| rows(&mut lines, terminal, name, text);
    row("why", &answer.reason);
    row("price", &format!("{}{currency}, {} old", answer.price.normalize(), millis(answer.price_age_ms)));
    match &answer.fallback {
        None => row("strategy", answer.strategy.as_str()),
        Some(Fallback { from, reason }) => {
            row("strategy", &format!("{}, because {from} could not decide: {reason}", answer.strategy));
        }
    }
    if !answer.cost_usd.is_zero() {
        row("cost", &format!("{} USD", answer.cost_usd.normalize()));
    }
    row("mode", answer.mode.as_str());
    row("decision", answer.decision_id.as_str());
    lines.join("\n")
}

/// A row, or several where the text is long.
fn rows(lines: &mut Vec<String>, terminal: Terminal, name: &str, text: &str) {
    for (at, line) in wrapped(&printable(text), terminal.width() - INDENT).into_iter().enumerate() {
        lines.push(format!("  {:<9} {line}", if at == 0 { name } else { "" }));
    }
}

fn refused(refusal: &AskRefusal, terminal: Terminal) -> String {
    let mut lines = vec![format!(
        "{} {}  no answer",
        terminal.paint(Style::Bad, "✘"),
        terminal.paint(Style::Bold, refusal.symbol.as_str())
    )];
    rows(&mut lines, terminal, "why", &refusal.detail);
    rows(&mut lines, terminal, "code", &refusal.code);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_the_answer_says_is_told() {
        let response: AskResponse = serde_json::from_str(
            r#"{"outcomes":[
                {"answer":{"decision_id":"000102030405060708090a0b0c0d0e0f","symbol":"BTCUSDT","action":"BUY","confidence":"0.72",
                 "reason":"The fast average is above the slow one.","price":"46224.00","price_observed_at":"2026-11-21T07:00:00Z",
                 "price_age_ms":420,"strategy":"technical","fallback":{"from":"llm","reason":"the model was cut off"},
                 "cost_usd":"0.000315","indicators":{"sma_fast":null,"sma_slow":null,"rsi":null},"mode":"paper"}},
                {"refusal":{"symbol":"ABCXYZ","code":"unknown_symbol","detail":"Served are BTCUSDT."}}],
               "trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}"#,
        )
        .unwrap();
        assert_eq!(
            tell(&response, Terminal::plain(80)),
            "BUY BTCUSDT  confidence 0.72\n  why       The fast average is above the slow one.\n  price     46224 USDT, 420 ms old\n  \
             strategy  technical, because llm could not decide: the model was cut off\n  cost      0.000315 USD\n  mode      paper\n  \
             decision  000102030405060708090a0b0c0d0e0f\n\n\
             ✘ ABCXYZ  no answer\n  why       Served are BTCUSDT.\n  code      unknown_symbol\n\n\
             trace 4bf92f3577b34da6a3ce929d0e0e4736"
        );
    }
}
