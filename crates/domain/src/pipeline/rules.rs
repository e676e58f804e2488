//! What a pipeline must be before it is taken.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Agent, OrderSize, PipelineRequest, Step, Trigger};

/// A field that is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Which, as a path: `steps[2].name`.
    pub field: String,
    /// What it has to be, in words that go on after the field's name.
    pub reason: String,
}

/// Everything that is wrong with a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RulesError(pub Vec<FieldError>);

impl std::fmt::Display for RulesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            let joint = if number == 0 { "" } else { "; " };
            write!(f, "{joint}{} {}", error.field, error.reason)?;
        }
        Ok(())
    }
}

/// Collects what is wrong.
#[derive(Default)]
struct Findings(Vec<FieldError>);

impl Findings {
    fn expect(&mut self, holds: bool, field: impl Into<String>, reason: impl Into<String>) {
        if !holds {
            self.0.push(FieldError { field: field.into(), reason: reason.into() });
        }
    }
}

fn is_text(text: &str, least: usize, most: usize) -> bool {
    let length = text.chars().count();
    (least..=most).contains(&length) && !text.chars().any(|c| c.is_control() && c != '\n')
}

fn is_share(number: Decimal) -> bool {
    (Decimal::ZERO..=Decimal::ONE).contains(&number)
}

impl PipelineRequest {
    /// Most steps.
    pub const MAX_STEPS: usize = 20;
    /// Most signal types of a trigger.
    pub const MAX_SIGNAL_TYPES: usize = 20;
    /// Most markets of a trigger.
    pub const MAX_TICKERS: usize = 50;
    /// Shortest time limit of an attempt that asks a model: decision-service gives a model 20 s at most and decides by itself
    /// then. An attempt that ends before pays for an answer that it does not get, and the next one asks again.
    pub const MIN_MODEL_SECONDS: u32 = 30;
    /// Most US dollars a day.
    pub const MAX_BUDGET_USD: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

    /// Whether it can be executed at all.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn check(&self) -> Result<(), RulesError> {
        let mut findings = Findings::default();
        let is_named = is_text(&self.name, 1, 100) && !self.name.trim().is_empty() && !self.name.contains('\n');
        findings.expect(is_named, "name", "is a text of 1 to 100 characters in one line");
        findings.expect(is_text(&self.description, 0, 1_000), "description", "is a text of at most 1,000 characters");
        findings.expect((1..=10).contains(&self.max_attempts), "max_attempts", "is a whole number from 1 to 10");
        findings.expect(
            (1..=600).contains(&self.timeout_seconds),
            "timeout_seconds",
            "is a whole number from 1 to 600",
        );
        if let Some(budget) = &self.budget {
            let fits = (Decimal::ZERO..=Self::MAX_BUDGET_USD).contains(&budget.usd_per_day);
            findings.expect(fits, "budget.usd_per_day", "is a number from 0 to 10,000");
        }
        let asks = self.steps.iter().any(|step| matches!(step.agent, Agent::LlmDecision));
        findings.expect(
            !asks || self.timeout_seconds >= Self::MIN_MODEL_SECONDS,
            "timeout_seconds",
            format!("is at least {} where there is an llm_decision", Self::MIN_MODEL_SECONDS),
        );
        self.trigger.check(&mut findings);
        let count = (1..=Self::MAX_STEPS).contains(&self.steps.len());
        findings.expect(count, "steps", format!("is a list of 1 to {} steps", Self::MAX_STEPS));
        check_steps(&self.steps, matches!(self.trigger, Trigger::Signal(_)), &mut findings);
        if findings.0.is_empty() { Ok(()) } else { Err(RulesError(findings.0)) }
    }
}

impl Trigger {
    fn check(&self, findings: &mut Findings) {
        match self {
            Self::Signal(signal) => {
                let (types, tickers) = (PipelineRequest::MAX_SIGNAL_TYPES, PipelineRequest::MAX_TICKERS);
                let fits = signal.signal_types.len() <= types;
                findings.expect(fits, "trigger.signal_types", format!("is a list of at most {types} words"));
                let fits = signal.tickers.len() <= tickers;
                findings.expect(fits, "trigger.tickers", format!("is a list of at most {tickers} symbols"));
                let fits = is_share(signal.minimum_confidence);
                findings.expect(fits, "trigger.minimum_confidence", "is a number from 0 to 1");
            }
            Self::Periodic(periodic) => {
                let fits = (10..=604_800).contains(&periodic.every_seconds);
                findings.expect(fits, "trigger.every_seconds", "is a whole number from 10 to 604,800");
            }
        }
    }
}

/// Each step by itself, and whether the steps before it give what it needs.
fn check_steps(steps: &[Step], has_signal: bool, findings: &mut Findings) {
    let (mut seen, mut has_snapshot, mut has_decision) = (Vec::new(), false, false);
    for (number, step) in steps.iter().enumerate().take(PipelineRequest::MAX_STEPS) {
        let at = |field: &str| format!("steps[{number}].{field}");
        let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        let is_named = (1..=40).contains(&step.name.len()) && step.name.bytes().all(fits);
        findings.expect(is_named, at("name"), "is a word of 1 to 40 letters, digits, - and _");
        findings.expect(!seen.contains(&&step.name), at("name"), "is the name of an earlier step, too");
        seen.push(&step.name);
        match &step.agent {
            Agent::MarketSnapshot { candles, .. } => {
                findings.expect((2..=500).contains(candles), at("candles"), "is a whole number from 2 to 500");
                has_snapshot = true;
            }
            Agent::TechnicalAnalysis | Agent::LlmDecision => {
                findings.expect(has_snapshot, at("agent"), "needs a market_snapshot before it");
                has_decision = true;
            }
            Agent::RiskCheck { minimum_confidence, agrees_with_signal, maximum_price_age_seconds } => {
                findings.expect(is_share(*minimum_confidence), at("minimum_confidence"), "is a number from 0 to 1");
                let age = (1..=3_600).contains(maximum_price_age_seconds);
                findings.expect(age, at("maximum_price_age_seconds"), "is a whole number from 1 to 3,600");
                let can_agree = !agrees_with_signal || (has_signal && has_decision);
                let needs = "needs a trigger by signal, and a technical_analysis or llm_decision before it";
                findings.expect(can_agree, at("agrees_with_signal"), needs);
            }
            Agent::PlaceOrder { size, .. } => {
                let needs = "needs a trigger by signal, or a technical_analysis or llm_decision before it";
                findings.expect(has_signal || has_decision, at("agent"), needs);
                if let Some(OrderSize::Quantity(number) | OrderSize::Notional(number)) = size {
                    findings.expect(*number > Decimal::ZERO, at("size"), "is a number above zero");
                }
            }
            Agent::Notify { text } => {
                let fits = text.as_ref().is_none_or(|text| is_text(text, 1, 500));
                findings.expect(fits, at("text"), "is a text of 1 to 500 characters");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sound() -> Value {
        json!({
            "name": "golden cross, with a second opinion",
            "trigger": {"mode": "signal", "signal_types": ["golden_cross"], "tickers": ["BTCUSDT"], "minimum_confidence": "0.6"},
            "budget": {"usd_per_day": "0.50"},
            "steps": [
                {"name": "look", "agent": "market_snapshot", "interval": "5m", "candles": 100},
                {"name": "judge", "agent": "technical_analysis"},
                {"name": "ask", "agent": "llm_decision"},
                {"name": "limits", "agent": "risk_check", "minimum_confidence": "0.6", "agrees_with_signal": true},
                {"name": "order", "agent": "place_order", "size": {"notional": "100"}},
                {"name": "tell", "agent": "notify"},
            ],
        })
    }

    fn fields(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut value = sound();
        change(&mut value);
        let request: PipelineRequest = serde_json::from_value(value).unwrap();
        match request.check() {
            Ok(()) => Vec::new(),
            Err(RulesError(errors)) => errors.into_iter().map(|error| error.field).collect(),
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        assert_eq!(fields(|_| ()), Vec::<String>::new());
        assert_eq!(fields(|p| p["name"] = json!(" ")), ["name"]);
        assert_eq!(fields(|p| p["name"] = json!("a\u{0}")), ["name"]);
        assert_eq!(fields(|p| p["description"] = json!("x".repeat(1_001))), ["description"]);
        assert_eq!(fields(|p| p["max_attempts"] = json!(0)), ["max_attempts"]);
        assert_eq!(fields(|p| p["timeout_seconds"] = json!(601)), ["timeout_seconds"]);
        assert_eq!(fields(|p| p["timeout_seconds"] = json!(29)), ["timeout_seconds"], "a model may take longer");
        assert_eq!(fields(|p| p["timeout_seconds"] = json!(30)), Vec::<String>::new());
        let without_a_model = |p: &mut Value| {
            p["timeout_seconds"] = json!(1);
            p["steps"].as_array_mut().unwrap().retain(|step| step["name"] != "ask");
        };
        assert_eq!(fields(without_a_model), Vec::<String>::new());
        assert_eq!(fields(|p| p["budget"]["usd_per_day"] = json!("-1")), ["budget.usd_per_day"]);
        assert_eq!(fields(|p| p["trigger"]["minimum_confidence"] = json!("1.1")), ["trigger.minimum_confidence"]);
        assert_eq!(fields(|p| p["steps"] = json!([])), ["steps"]);
        assert_eq!(fields(|p| p["steps"][1]["name"] = json!("look")), ["steps[1].name"]);
        assert_eq!(fields(|p| p["steps"][1]["name"] = json!("a b")), ["steps[1].name"]);
        assert_eq!(fields(|p| p["steps"][0]["candles"] = json!(1)), ["steps[0].candles"]);
        assert_eq!(
            fields(|p| p["steps"][3]["maximum_price_age_seconds"] = json!(0)),
            ["steps[3].maximum_price_age_seconds"]
        );
        assert_eq!(fields(|p| p["steps"][4]["size"] = json!({"quantity": "0"})), ["steps[4].size"]);
        assert_eq!(fields(|p| p["steps"][5]["text"] = json!("")), ["steps[5].text"]);
        let both = fields(|p| {
            p["name"] = json!("");
            p["max_attempts"] = json!(11);
        });
        assert_eq!(both, ["name", "max_attempts"]);
    }

    #[test]
    fn a_step_needs_what_earlier_ones_give() {
        let without = |name: &str| {
            let name = name.to_owned();
            fields(move |p| p["steps"].as_array_mut().unwrap().retain(|step| step["name"] != name.as_str()))
        };
        assert_eq!(without("look"), ["steps[0].agent", "steps[1].agent"]);
        let periodic =
            |p: &mut Value| p["trigger"] = json!({"mode": "periodic", "every_seconds": 60, "symbol": "BTCUSDT"});
        assert_eq!(fields(periodic), ["steps[3].agrees_with_signal"]);
        let blind = |p: &mut Value| {
            periodic(p);
            p["steps"] = json!([{"name": "order", "agent": "place_order"}]);
        };
        assert_eq!(fields(blind), ["steps[0].agent"]);
        assert_eq!(fields(|p| p["steps"] = json!([{"name": "order", "agent": "place_order"}])), Vec::<String>::new());
    }
}
