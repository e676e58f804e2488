//! Pipelines as people send them: whatever is wrong is named by its field, and a member that nobody knows is refused.
//!
//! What serde says ends at the first thing that is wrong, and names no place within a step.

use domain::pipeline::{FieldError, OrderSize, PipelineRequest, RulesError};
use domain::{Interval, SignalEvent, SignalWord, Symbol};
use rust_decimal::Decimal;
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::ApiError;

/// Most characters of a name that somebody else chose.
const MAX_NAME: usize = 64;

/// What a member of an object may be.
struct Member {
    name: &'static str,
    required: bool,
    fits: fn(&Value) -> bool,
    /// In words that go on after its name.
    what: &'static str,
}

const fn member(name: &'static str, fits: fn(&Value) -> bool, what: &'static str) -> Member {
    Member { name, required: false, fits, what }
}

impl Member {
    const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

fn is<T: DeserializeOwned>(value: &Value) -> bool {
    T::deserialize(value).is_ok()
}

fn is_list(value: &Value) -> bool {
    value.is_array()
}

fn is_object(value: &Value) -> bool {
    value.is_object()
}

fn is_object_or_null(value: &Value) -> bool {
    value.is_object() || value.is_null()
}

const A_TEXT: &str = "is a text";
const A_SHARE: &str = "is a number from 0 to 1, like \"0.6\"";

const PIPELINE: [Member; 8] = [
    member("name", is::<String>, A_TEXT).required(),
    member("description", is::<String>, A_TEXT),
    member("enabled", is::<bool>, "is true or false"),
    member("trigger", is_object, "is an object, like {\"mode\": \"signal\"}").required(),
    member("steps", is_list, "is a list of steps").required(),
    member("budget", is_object_or_null, "is an object, like {\"usd_per_day\": \"0.50\"}"),
    member("max_attempts", is::<u16>, "is a whole number from 1 to 10"),
    member("timeout_seconds", is::<u32>, "is a whole number from 1 to 600"),
];

const BUDGET: [Member; 1] = [member("usd_per_day", is::<Decimal>, "is a number from 0 to 10,000").required()];

const MODE: Member = member("mode", is::<String>, "is signal or periodic").required();

const SIGNAL: [Member; 4] = [
    MODE,
    member("signal_types", is_list, "is a list of words, like golden_cross"),
    member("tickers", is_list, "is a list of symbols, like BTCUSDT"),
    member("minimum_confidence", is::<Decimal>, A_SHARE),
];

const PERIODIC: [Member; 3] = [
    MODE,
    member("every_seconds", is::<u32>, "is a whole number from 10 to 604,800").required(),
    member("symbol", is::<Symbol>, "is a symbol, like BTCUSDT").required(),
];

const STEP: [Member; 2] = [
    member("name", is::<String>, A_TEXT).required(),
    member("agent", is::<String>, "is the word of an agent").required(),
];

/// What each agent takes beside its word, in the order of [`domain::pipeline::Agent::WORDS`].
const AGENTS: [(&str, &[Member]); 6] = [
    (
        "market_snapshot",
        &[
            member("interval", is::<Interval>, "is one of 1m, 5m, 15m, 1h"),
            member("candles", is::<u16>, "is a whole number from 2 to 500"),
        ],
    ),
    ("technical_analysis", &[]),
    ("llm_decision", &[]),
    (
        "risk_check",
        &[
            member("minimum_confidence", is::<Decimal>, A_SHARE),
            member("agrees_with_signal", is::<bool>, "is true or false"),
            member("maximum_price_age_seconds", is::<u32>, "is a whole number from 1 to 3,600"),
        ],
    ),
    (
        "place_order",
        &[
            member("size", is::<Option<OrderSize>>, "is {\"quantity\": \"0.001\"} or {\"notional\": \"100\"}"),
            member("paper_only", is::<bool>, "is true or false"),
        ],
    ),
    ("notify", &[member("text", is::<Option<String>>, A_TEXT)]),
];

/// Collects what is wrong.
#[derive(Default)]
struct Findings(Vec<FieldError>);

impl Findings {
    fn add(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.0.push(FieldError { field: field.into(), reason: reason.into() });
    }

    /// An object of these members, and of no other.
    fn object<'a>(&mut self, at: &str, object: &Map<String, Value>, members: impl Iterator<Item = &'a Member> + Clone) {
        let path = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        for Member { name, required, fits, what } in members.clone() {
            match object.get(*name) {
                Some(value) if !fits(value) => self.add(path(name), *what),
                None if *required => self.add(path(name), "is missing"),
                _ => {}
            }
        }
        for name in object.keys() {
            if !members.clone().any(|member| member.name == name) {
                let known = members.clone().map(|member| member.name).collect::<Vec<_>>().join(", ");
                self.add(path(&shown(name)), format!("is not known here; known are {known}"));
            }
        }
    }

    fn each<T: DeserializeOwned>(&mut self, at: &str, list: Option<&Value>, what: &str) {
        for (number, value) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
            if !is::<T>(value) {
                self.add(format!("{at}[{number}]"), what);
            }
        }
    }

    fn trigger(&mut self, trigger: &Map<String, Value>) {
        match trigger.get("mode").map(Value::as_str) {
            Some(Some("signal")) => {
                self.object("trigger", trigger, SIGNAL.iter());
                let word = "is a word of 1 to 40 lower-case letters, digits and _, like golden_cross";
                self.each::<SignalWord>("trigger.signal_types", trigger.get("signal_types"), word);
                self.each::<Symbol>("trigger.tickers", trigger.get("tickers"), "is a symbol, like BTCUSDT");
            }
            Some(Some("periodic")) => self.object("trigger", trigger, PERIODIC.iter()),
            Some(_) => self.add("trigger.mode", MODE.what),
            None => self.add("trigger.mode", "is missing"),
        }
    }

    fn step(&mut self, at: &str, step: &Value) {
        let Some(object) = step.as_object() else {
            return self.add(at, "is an object, like {\"name\": \"look\", \"agent\": \"market_snapshot\"}");
        };
        let word = object.get("agent").and_then(Value::as_str);
        match word.map(|word| AGENTS.iter().find(|(known, _)| *known == word)) {
            Some(Some((_, members))) => self.object(at, object, STEP.iter().chain(*members)),
            Some(None) => {
                let known = AGENTS.map(|(known, _)| known).join(", ");
                self.add(format!("{at}.agent"), format!("is one of {known}"));
            }
            // What it may hold beside is not known without its word.
            None => {
                let known = object.iter().filter(|(name, _)| STEP.iter().any(|member| member.name == *name));
                let known = known.map(|(name, value)| (name.clone(), value.clone())).collect();
                self.object(at, &known, STEP.iter());
            }
        }
    }
}

/// A name as it may be repeated: short, and without anything that has a meaning somewhere.
fn shown(name: &str) -> String {
    let harmless = |c: char| if c.is_alphanumeric() || "_-. ".contains(c) { c } else { '?' };
    name.chars().take(MAX_NAME).map(harmless).collect()
}

/// What is wrong with a pipeline.
pub(crate) struct BadPipeline {
    pub(crate) errors: Vec<FieldError>,
    /// It cannot even be read as one.
    malformed: bool,
}

impl From<BadPipeline> for ApiError {
    fn from(bad: BadPipeline) -> Self {
        Self::Fields { what: "pipeline", code: "bad_pipeline", malformed: bad.malformed, errors: bad.errors }
    }
}

/// The pipeline of a JSON value, checked.
pub(crate) fn pipeline(value: &Value) -> Result<PipelineRequest, BadPipeline> {
    let malformed = |findings: Findings| BadPipeline { errors: findings.0, malformed: true };
    let mut findings = Findings::default();
    let Some(object) = value.as_object() else {
        findings.add("pipeline", "is an object");
        return Err(malformed(findings));
    };
    findings.object("", object, PIPELINE.iter());
    if let Some(trigger) = object.get("trigger").and_then(Value::as_object) {
        findings.trigger(trigger);
    }
    for (number, step) in object.get("steps").and_then(Value::as_array).into_iter().flatten().enumerate() {
        // More are too many, and that is told.
        if number < PipelineRequest::MAX_STEPS {
            findings.step(&format!("steps[{number}]"), step);
        }
    }
    if let Some(budget) = object.get("budget").and_then(Value::as_object) {
        findings.object("budget", budget, BUDGET.iter());
    }
    if !findings.0.is_empty() {
        return Err(malformed(findings));
    }
    let request = PipelineRequest::deserialize(value).map_err(|error| {
        // Only what stands behind the last step that is looked at.
        findings.add("steps", format!("is a list of 1 to {} steps", PipelineRequest::MAX_STEPS));
        tracing::debug!(error = %error, "a pipeline that was looked through cannot be read");
        malformed(findings)
    })?;
    request.check().map_err(|RulesError(errors)| BadPipeline { errors, malformed: false })?;
    Ok(request)
}

/// The signal of a JSON value, checked.
pub(crate) fn signal(value: &Value) -> Result<SignalEvent, ApiError> {
    let bad = |malformed, reason: String| ApiError::Fields {
        what: "signal",
        code: "bad_signal",
        malformed,
        errors: vec![FieldError { field: "signal".to_owned(), reason }],
    };
    // Its words are of our own types, or serde's, and quote no more than one short value.
    let signal =
        SignalEvent::deserialize(value).map_err(|error| bad(true, format!("is none: {}", shown_words(&error))))?;
    signal.check().map_err(|error| bad(false, format!("is none: {error}")))?;
    Ok(signal)
}

fn shown_words(error: &serde_json::Error) -> String {
    error.to_string().chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::pipeline::Agent;
    use serde_json::json;

    use super::*;

    fn sound() -> Value {
        json!({
            "name": "all of it", "description": "d", "enabled": true, "max_attempts": 3, "timeout_seconds": 60,
            "budget": {"usd_per_day": "1"},
            "trigger": {"mode": "signal", "signal_types": ["mock"], "tickers": ["BTCUSDT"], "minimum_confidence": "0.5"},
            "steps": [
                {"name": "a", "agent": "market_snapshot", "interval": "5m", "candles": 60},
                {"name": "b", "agent": "technical_analysis"},
                {"name": "c", "agent": "llm_decision"},
                {"name": "d", "agent": "risk_check", "minimum_confidence": "0.6", "agrees_with_signal": true, "maximum_price_age_seconds": 30},
                {"name": "e", "agent": "place_order", "size": {"notional": "10"}, "paper_only": true},
                {"name": "f", "agent": "notify", "text": "done"},
            ],
        })
    }

    fn wrong(change: impl FnOnce(&mut Value)) -> (Vec<String>, bool) {
        let mut value = sound();
        change(&mut value);
        let bad = pipeline(&value).err().unwrap();
        (bad.errors.into_iter().map(|error| format!("{} {}", error.field, error.reason)).collect(), bad.malformed)
    }

    fn fields(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let (wrong, malformed) = wrong(change);
        assert!(malformed, "{wrong:?}");
        wrong.into_iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    /// What is known here is what the types know: a field that is added there is taken here.
    #[test]
    fn the_members_are_those_of_the_types() {
        let request = pipeline(&sound()).ok().unwrap();
        let written = serde_json::to_value(&request).unwrap();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let known = |members: &[Member]| members.iter().map(|member| member.name.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(names(&written), known(&PIPELINE));
        assert_eq!(names(&written["trigger"]), known(&SIGNAL));
        assert_eq!(names(&written["budget"]), known(&BUDGET));
        assert_eq!(AGENTS.map(|(word, _)| word), Agent::WORDS);
        for (number, (word, members)) in AGENTS.iter().enumerate() {
            let step = &written["steps"][number];
            assert_eq!(step["agent"], *word);
            assert_eq!(names(step), &known(members) | &known(&STEP), "{word}");
        }
        let mut periodic = sound();
        periodic["trigger"] = json!({"mode": "periodic", "every_seconds": 60, "symbol": "BTCUSDT"});
        periodic["steps"][3]["agrees_with_signal"] = json!(false);
        let written = serde_json::to_value(pipeline(&periodic).ok().unwrap()).unwrap();
        assert_eq!(names(&written["trigger"]), known(&PERIODIC));
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        let everything = |value: &mut Value| {
            *value = json!({
                "name": 7, "enabled": "yes", "budgett": {"usd_per_day": "1"}, "budget": {"usd_per_day": "a lot", "per": "day"},
                "max_attempts": -1, "timeout_seconds": 1.5,
                "trigger": {"mode": "signal", "signal_types": ["mock", "Golden Cross"], "tickers": ["BTCUSDT", 5], "tikers": []},
                "steps": [
                    {"name": "a", "agent": "market_snapshot", "interval": "2m", "candels": 60},
                    {"agent": "crystal_ball"}, 7, {"name": 5}, {"name": "d", "agent": "place_order", "size": {"lots": "1"}},
                ],
            });
        };
        let expected = [
            "name",
            "enabled",
            "max_attempts",
            "timeout_seconds",
            "budgett",
            "trigger.tikers",
            "trigger.signal_types[1]",
            "trigger.tickers[1]",
            "steps[0].interval",
            "steps[0].candels",
            "steps[1].agent",
            "steps[2]",
            "steps[3].name",
            "steps[3].agent",
            "steps[4].size",
            "budget.usd_per_day",
            "budget.per",
        ];
        assert_eq!(fields(everything), expected);
        assert_eq!(fields(|p| *p = json!({})), ["name", "trigger", "steps"]);
        assert_eq!(fields(|p| p["trigger"] = json!({})), ["trigger.mode"]);
        assert_eq!(fields(|p| p["trigger"] = json!({"mode": "moon"})), ["trigger.mode"]);
        assert_eq!(fields(|p| p["trigger"] = json!({"mode": "periodic"})), ["trigger.every_seconds", "trigger.symbol"]);
        assert_eq!(fields(|p| *p = json!([])), ["pipeline"]);
        let (lines, _) = wrong(|p| p["steps"][1]["candles"] = json!(5));
        assert_eq!(lines, ["steps[1].candles is not known here; known are name, agent"]);
        // A name of somebody's is short and harmless.
        let name = format!("<b>\u{202e}{}", "x".repeat(200));
        let (lines, _) = wrong(|p| p[name.as_str()] = json!(1));
        assert!(lines[0].starts_with("?b??xxx") && lines[0].len() < 200, "{lines:?}");
    }

    #[test]
    fn what_can_be_read_and_not_be_executed_is_another_matter() {
        let (lines, malformed) = wrong(|p| {
            p["name"] = json!("");
            p["steps"][0]["candles"] = json!(1);
        });
        assert!(!malformed);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let many = |p: &mut Value| p["steps"] = json!(vec![json!({"name": "a", "agent": "notify"}); 21]);
        assert!(wrong(many).0.iter().any(|line| line == "steps is a list of 1 to 20 steps"));
        let many = |p: &mut Value| p["steps"] = json!(vec![json!(5); 500]);
        assert_eq!(wrong(many).0.len(), 20, "as many as there may be");
    }
}
