//! What simulated users do: their journeys, the steps of each, and how often each is chosen.

use std::fmt;
use std::str::FromStr;

/// A journey: what one arriving user does, step after step; it ends at the first step that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Journey {
    /// Asks about one symbol.
    Ask,
    /// Has something done by the business chain; now and then twice with one Idempotency-Key.
    Process,
    /// Looks around: price, candles, orders, audit trail, a user.
    Reads,
    /// Posts an alert to a hook, as TradingView does; now and then twice, as TradingView does without an answer.
    Signals,
}

/// A step of a journey: one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// `POST …/ask`.
    Ask,
    /// `POST …/process`.
    Process,
    /// The same `POST …/process` again, with the key of the one before.
    ProcessAgain,
    /// `GET …/prices/{symbol}`.
    Price,
    /// `GET …/candles/{symbol}`.
    Candles,
    /// `GET …/orders`, the newest ones.
    Orders,
    /// `GET …/orders`, the page after that one, where there is one.
    OrdersNext,
    /// `GET …/users/{id}` of one who is on the first page of orders, where anybody is.
    User,
    /// `GET …/audit`, the newest rows.
    Audit,
    /// `POST /webhooks/tradingview/{token}`.
    Signal,
    /// The same alert again.
    SignalAgain,
}

impl Journey {
    const ALL: [Self; 4] = [Self::Ask, Self::Process, Self::Reads, Self::Signals];

    /// Its name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Process => "process",
            Self::Reads => "reads",
            Self::Signals => "signals",
        }
    }

    /// Its steps, first to last.
    pub(crate) const fn steps(self) -> &'static [Step] {
        match self {
            Self::Ask => &[Step::Ask],
            Self::Process => &[Step::Process, Step::ProcessAgain],
            Self::Reads => &[Step::Price, Step::Candles, Step::Orders, Step::OrdersNext, Step::User, Step::Audit],
            Self::Signals => &[Step::Signal, Step::SignalAgain],
        }
    }
}

impl Step {
    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Process => "process",
            Self::ProcessAgain => "process_again",
            Self::Price => "price",
            Self::Candles => "candles",
            Self::Orders => "orders",
            Self::OrdersNext => "orders_next",
            Self::User => "user",
            Self::Audit => "audit",
            Self::Signal => "signal",
            Self::SignalAgain => "signal_again",
        }
    }
}

/// The journeys of a run with their weights, such as `ask=5,process=3,reads=2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Journeys(Vec<(Journey, u32)>);

/// Why a text names no journeys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JourneysError {
    #[error("{0:?} is no journey; there are ask, process, reads and signals")]
    Unknown(String),
    #[error("{0} is named twice")]
    Twice(&'static str),
    #[error("the weight of {0} is a whole number from 1 to {most}, not {1:?}", most = Journeys::MOST_WEIGHT)]
    Weight(&'static str, String),
}

impl Journeys {
    /// Largest weight of a journey.
    const MOST_WEIGHT: u32 = 1_000;

    /// The journeys with their weights, in the order in which they were named.
    pub(crate) fn weights(&self) -> &[(Journey, u32)] {
        &self.0
    }

    /// All weights together; above zero.
    pub(crate) fn total(&self) -> u32 {
        self.0.iter().map(|(_, weight)| weight).sum()
    }

    /// The journey that holds this place among `total()`.
    pub(crate) fn at(&self, mut place: u32) -> Journey {
        for (journey, weight) in &self.0 {
            if place < *weight {
                return *journey;
            }
            place -= weight;
        }
        self.0.last().map_or(Journey::Ask, |(journey, _)| *journey)
    }

    /// Whether anybody posts alerts.
    pub(crate) fn have_signals(&self) -> bool {
        self.0.iter().any(|(journey, _)| *journey == Journey::Signals)
    }

    /// Whether nobody does anything but ask.
    pub(crate) fn only_ask(&self) -> bool {
        self.0.iter().all(|(journey, _)| *journey == Journey::Ask)
    }
}

impl FromStr for Journeys {
    type Err = JourneysError;

    fn from_str(text: &str) -> Result<Self, JourneysError> {
        let mut journeys: Vec<(Journey, u32)> = Vec::new();
        for piece in text.split(',') {
            let (name, weight) = piece.split_once('=').map_or((piece.trim(), "1"), |(n, w)| (n.trim(), w.trim()));
            let journey = Journey::ALL
                .into_iter()
                .find(|journey| journey.name() == name)
                .ok_or_else(|| JourneysError::Unknown(name.to_owned()))?;
            if journeys.iter().any(|(known, _)| *known == journey) {
                return Err(JourneysError::Twice(journey.name()));
            }
            let number = weight.parse().ok().filter(|weight| (1..=Self::MOST_WEIGHT).contains(weight));
            journeys.push((journey, number.ok_or_else(|| JourneysError::Weight(journey.name(), weight.to_owned()))?));
        }
        Ok(Self(journeys))
    }
}

impl fmt::Display for Journeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (journey, weight)) in self.0.iter().enumerate() {
            write!(f, "{}{}={weight}", if number == 0 { "" } else { "," }, journey.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_or_told_why_not() {
        let read = |text: &str| text.parse::<Journeys>().map(|journeys| journeys.to_string());
        assert_eq!(read("ask").unwrap(), "ask=1");
        assert_eq!(read("ask=5, process=3,reads = 2").unwrap(), "ask=5,process=3,reads=2");
        assert_eq!(read("buy").unwrap_err(), JourneysError::Unknown("buy".to_owned()));
        assert_eq!(read("").unwrap_err(), JourneysError::Unknown(String::new()));
        assert_eq!(read("ask,reads,ask=2").unwrap_err(), JourneysError::Twice("ask"));
        for bad in ["ask=0", "ask=-1", "ask=", "ask=1.5", "ask=1001", "ask=1=2"] {
            assert!(matches!(read(bad), Err(JourneysError::Weight("ask", _))), "{bad}");
        }
    }

    #[test]
    fn every_place_belongs_to_a_journey_by_weight() {
        let journeys: Journeys = "reads=2,ask=1,process=3".parse().unwrap();
        let places: Vec<&str> = (0..journeys.total()).map(|place| journeys.at(place).name()).collect();
        assert_eq!(places, ["reads", "reads", "ask", "process", "process", "process"]);
        assert!(!journeys.only_ask() && "ask=7".parse::<Journeys>().unwrap().only_ask());
    }
}
