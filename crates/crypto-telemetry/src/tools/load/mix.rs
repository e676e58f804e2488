//! Who arrives and what for: drawn from a seed, so that two runs with one seed send the same.

use domain::Symbol;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

use super::journeys::{Journey, Journeys};

/// Ids of the users who have something done begin here, as in the documented examples.
const FIRST_USER: i64 = 1_001;
/// Most items of a purchase.
const MOST_ITEMS: usize = 3;

/// What journeys are made of.
#[derive(Debug, Clone)]
pub(crate) struct Ingredients {
    /// Never empty.
    pub(crate) symbols: Vec<Symbol>,
    /// How many users have something done.
    pub(crate) users: u32,
    /// Of a hundred requests to process, so many are sent again.
    pub(crate) repeat_percent: u32,
}

/// What one arriving user is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visit {
    Ask {
        symbol: Symbol,
    },
    Process {
        body: ProcessBody,
        /// Whether it is sent again with the same key.
        again: bool,
    },
    Reads {
        symbol: Symbol,
        /// Which of the users on the page of orders is looked at.
        pick: u32,
    },
    Signal {
        symbol: Symbol,
        /// `buy` or `sell`, in turn, so that no position grows.
        action: &'static str,
        /// Whether it is sent again.
        again: bool,
    },
}

impl Visit {
    pub(crate) const fn journey(&self) -> Journey {
        match self {
            Self::Ask { .. } => Journey::Ask,
            Self::Process { .. } => Journey::Process,
            Self::Reads { .. } => Journey::Reads,
            Self::Signal { .. } => Journey::Signals,
        }
    }
}

/// Body of `POST …/process`, a [`domain::ProcessRequest`] as a client writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ProcessBody {
    pub(crate) user_id: i64,
    pub(crate) action: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) items: Vec<Item>,
}

/// What is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    pub(crate) symbol: Symbol,
    /// In decimals.
    pub(crate) quantity: String,
}

/// The arriving users, one after the other.
pub(crate) struct Mix {
    random: Xoshiro256PlusPlus,
    journeys: Journeys,
    ingredients: Ingredients,
    asked: usize,
    signalled: usize,
}

impl Mix {
    pub(crate) fn new(journeys: Journeys, ingredients: Ingredients, seed: u64) -> Self {
        Self { random: Xoshiro256PlusPlus::seed_from_u64(seed), journeys, ingredients, asked: 0, signalled: 0 }
    }

    /// The next one to arrive.
    pub(crate) fn next_visit(&mut self) -> Visit {
        let place = self.random.random_range(0..self.journeys.total());
        match self.journeys.at(place) {
            Journey::Ask => {
                // In turn: an equal share of each, however short the run.
                let symbol = self.ingredients.symbols[self.asked % self.ingredients.symbols.len()].clone();
                self.asked += 1;
                Visit::Ask { symbol }
            }
            Journey::Process => {
                let user_id = FIRST_USER + i64::from(self.random.random_range(0..self.ingredients.users));
                // Three purchases to one test_trace, which has no items.
                let purchase = self.random.random_range(0..4_u32) < 3;
                let items = if purchase { self.items() } else { Vec::new() };
                let action = if purchase { "purchase" } else { "test_trace" };
                let again = self.random.random_range(0..100_u32) < self.ingredients.repeat_percent;
                Visit::Process { body: ProcessBody { user_id, action, items }, again }
            }
            Journey::Reads => Visit::Reads { symbol: self.symbol(), pick: self.random.random() },
            Journey::Signals => {
                let symbols = &self.ingredients.symbols;
                let symbol = symbols[self.signalled % symbols.len()].clone();
                let action = if (self.signalled / symbols.len()).is_multiple_of(2) { "buy" } else { "sell" };
                self.signalled += 1;
                let again = self.random.random_range(0..100_u32) < self.ingredients.repeat_percent;
                Visit::Signal { symbol, action, again }
            }
        }
    }

    fn symbol(&mut self) -> Symbol {
        let place = self.random.random_range(0..self.ingredients.symbols.len());
        self.ingredients.symbols[place].clone()
    }

    fn items(&mut self) -> Vec<Item> {
        let count = self.random.random_range(1..=MOST_ITEMS);
        (0..count)
            .map(|_| {
                let symbol = self.symbol();
                Item { symbol, quantity: format!("0.{:03}", self.random.random_range(1..=999_u32)) }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn visits(journeys: &str, seed: u64, count: usize) -> Vec<Visit> {
        let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"].map(|symbol| symbol.parse().unwrap()).to_vec();
        let ingredients = Ingredients { symbols, users: 50, repeat_percent: 5 };
        let mut mix = Mix::new(journeys.parse().unwrap(), ingredients, seed);
        (0..count).map(|_| mix.next_visit()).collect()
    }

    #[test]
    fn the_mix_follows_the_weights_and_the_seed() {
        let many = visits("ask=5,process=3,reads=2", 7, 10_000);
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for visit in &many {
            *counts.entry(visit.journey().name()).or_default() += 1;
        }
        // Four standard deviations of a binomial distribution are 200, 183 and 160.
        for (name, expected, off) in [("ask", 5_000, 200), ("process", 3_000, 183), ("reads", 2_000, 160)] {
            assert!(counts[name].abs_diff(expected) <= off, "{counts:?}");
        }
        assert_eq!(many, visits("ask=5,process=3,reads=2", 7, 10_000), "one seed, one mix");
        assert_ne!(many, visits("ask=5,process=3,reads=2", 8, 10_000));
    }

    #[test]
    fn asks_are_about_every_symbol_in_turn() {
        let asked: Vec<String> = visits("ask", 0, 4)
            .into_iter()
            .map(|visit| match visit {
                Visit::Ask { symbol } => symbol.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(asked, ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDT"]);
    }

    #[test]
    fn what_is_bought_by_alerts_is_sold_again() {
        let mut held = BTreeMap::new();
        for visit in visits("signals", 5, 600) {
            let Visit::Signal { symbol, action, .. } = visit else { panic!("{visit:?}") };
            let held = held.entry(symbol).or_insert(0_i32);
            *held += if action == "buy" { 1 } else { -1 };
            assert!((0..=1).contains(held), "{held}");
        }
        assert!(held.len() == 3 && held.values().all(|held| *held == 0), "{held:?}");
    }

    #[test]
    fn what_is_processed_is_what_the_chain_takes() {
        let (mut again, mut users, mut actions) = (0, std::collections::BTreeSet::new(), BTreeMap::new());
        let many = visits("process", 3, 4_000);
        for visit in many {
            let Visit::Process { body, again: sent_again } = visit else { panic!("{visit:?}") };
            again += u32::from(sent_again);
            users.insert(body.user_id);
            *actions.entry(body.action).or_insert(0_u32) += 1;
            let read: domain::ProcessRequest = serde_json::from_str(&serde_json::to_string(&body).unwrap()).unwrap();
            assert_eq!(read.user_id.get(), body.user_id);
            assert_eq!(read.items.len(), body.items.len());
            assert_eq!(read.items.is_empty(), body.action == "test_trace");
        }
        assert_eq!((users.first(), users.last(), users.len()), (Some(&1_001), Some(&1_050), 50));
        // Four standard deviations again, of 200 and of 3,000.
        assert!(again.abs_diff(200) <= 55, "{again} of 4,000 are sent again");
        assert!(actions["purchase"].abs_diff(3_000) <= 110, "{actions:?}");
    }
}
