//! The rule of a risk check. Pure.

use std::time::Duration;

use domain::trading::SignalAction;
use domain::{Action, Decision, SignalEvent};
use rust_decimal::Decimal;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::work) struct Rule {
    /// Least confidence of the last decision, or of the signal where there is no decision.
    pub(in crate::work) minimum_confidence: Decimal,
    /// Whether the last decision has to say what the signal says.
    pub(in crate::work) agrees_with_signal: bool,
    /// Oldest price that is acted on.
    pub(in crate::work) maximum_price_age: Duration,
}

/// What is known.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::work) struct Facts<'a> {
    /// The last decision.
    pub(in crate::work) decision: Option<&'a Decision>,
    /// The signal.
    pub(in crate::work) signal: Option<&'a SignalEvent>,
    /// How old the price is that is acted on; none where there is no price.
    pub(in crate::work) price_age: Option<Duration>,
}

impl Rule {
    /// Whether to go on.
    ///
    /// # Errors
    /// The first reason not to, for people.
    pub(in crate::work) fn check(&self, facts: &Facts<'_>) -> Result<(), String> {
        let (who, confidence) = match (facts.decision, facts.signal) {
            (Some(decision), _) => ("decision", decision.confidence),
            (None, Some(signal)) => ("signal", signal.confidence),
            // Nothing is as sure as nothing.
            (None, None) => ("execution", Decimal::ZERO),
        };
        let least = self.minimum_confidence;
        if confidence < least {
            let (confidence, least) = (confidence.normalize(), least.normalize());
            return Err(format!("the {who}'s confidence is {confidence}; {least} is the least"));
        }
        if self.agrees_with_signal {
            agree(facts)?;
        }
        match facts.price_age {
            Some(age) if age > self.maximum_price_age => {
                let (age, most) = (age.as_millis(), self.maximum_price_age.as_secs());
                Err(format!("the price is {age} ms old; {most} s is the most"))
            }
            _ => Ok(()),
        }
    }
}

/// A decision is never to close: what a signal to close says, no decision says.
fn agree(facts: &Facts<'_>) -> Result<(), String> {
    let (Some(decision), Some(signal)) = (facts.decision, facts.signal) else {
        return Err("there is no signal and decision that could agree".to_owned());
    };
    let agrees = matches!(
        (decision.action, signal.action),
        (Action::Buy, SignalAction::Buy) | (Action::Sell, SignalAction::Sell)
    );
    if agrees {
        return Ok(());
    }
    let (said, decided) = (signal.action.as_str().to_uppercase(), decision.action);
    Err(format!("the signal says {said}, and the decision {decided}"))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::{DecisionId, Indicators, StrategyName};

    use super::*;

    fn decision(action: Action, confidence: &str) -> Decision {
        Decision {
            decision_id: DecisionId::from_bytes([1; 16]),
            symbol: "BTCUSDT".parse().unwrap(),
            action,
            confidence: confidence.parse().unwrap(),
            reason: "Up.".to_owned(),
            strategy: StrategyName::Technical,
            fallback: None,
            cost_usd: Decimal::ZERO,
            indicators: Indicators::default(),
            decided_at: DateTime::UNIX_EPOCH,
            trace_id: None,
        }
    }

    fn signal(action: SignalAction, confidence: &str) -> SignalEvent {
        SignalEvent {
            version: 1,
            signal_id: DecisionId::from_bytes([2; 16]),
            signal_type: "mock".parse().unwrap(),
            source: "mock_generator".parse().unwrap(),
            symbol: "BTCUSDT".parse().unwrap(),
            action,
            confidence: confidence.parse().unwrap(),
            price: None,
            interval: None,
            candle_closed_at: None,
            reason: None,
            generated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn rule(least: &str, agrees_with_signal: bool) -> Rule {
        let minimum_confidence = least.parse().unwrap();
        Rule { minimum_confidence, agrees_with_signal, maximum_price_age: Duration::from_secs(30) }
    }

    #[test]
    fn how_sure_is_the_decision_s_and_only_without_one_the_signal_s() {
        let (sure, unsure) = (decision(Action::Buy, "0.60"), decision(Action::Buy, "0.59"));
        let signal = signal(SignalAction::Buy, "0.9");
        let check = |decision, signal| rule("0.6", false).check(&Facts { decision, signal, price_age: None });
        assert_eq!(check(Some(&sure), None), Ok(()));
        assert_eq!(
            check(Some(&unsure), Some(&signal)),
            Err("the decision's confidence is 0.59; 0.6 is the least".to_owned())
        );
        assert_eq!(check(None, Some(&signal)), Ok(()));
        assert!(check(None, None).unwrap_err().starts_with("the execution's confidence is 0"));
        assert_eq!(rule("0", false).check(&Facts::default()), Ok(()));
    }

    #[test]
    fn only_the_same_agrees() {
        let agreeing = [(Action::Buy, SignalAction::Buy), (Action::Sell, SignalAction::Sell)];
        for action in [Action::Buy, Action::Sell, Action::Hold] {
            for said in SignalAction::ALL {
                let (decided, signal) = (decision(action, "1"), signal(said, "1"));
                let facts = Facts { decision: Some(&decided), signal: Some(&signal), price_age: None };
                let checked = rule("0", true).check(&facts);
                assert_eq!(checked.is_ok(), agreeing.contains(&(action, said)), "{action} {said}: {checked:?}");
                assert_eq!(rule("0", false).check(&facts), Ok(()), "nobody asked");
            }
        }
        let (decided, signal) = (decision(Action::Hold, "1"), signal(SignalAction::Buy, "1"));
        let facts = Facts { decision: Some(&decided), signal: Some(&signal), price_age: None };
        assert_eq!(rule("0", true).check(&facts), Err("the signal says BUY, and the decision HOLD".to_owned()));
        assert!(rule("0", true).check(&Facts { decision: None, ..facts }).is_err());
        assert!(rule("0", true).check(&Facts { signal: None, ..facts }).is_err());
    }

    #[test]
    fn an_old_price_is_not_acted_on() {
        let check = |age| rule("0", false).check(&Facts { price_age: Some(age), ..Facts::default() });
        assert_eq!(check(Duration::from_secs(30)), Ok(()));
        assert_eq!(check(Duration::from_millis(30_001)), Err("the price is 30001 ms old; 30 s is the most".to_owned()));
    }
}
