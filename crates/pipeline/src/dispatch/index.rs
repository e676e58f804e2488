//! Which pipelines a signal sets off, found without looking at each of them. Pure: no clock, no database.
//!
//! Pipelines stand in lists by type of signal and market, or any, sorted by the least confidence that they ask for: of a
//! signal's four lists only what its confidence is enough for is looked at. What is remembered of a pipeline is what
//! decides that and no more, in a few dozen bytes; what it does is read from the database once it is set off.

use std::collections::HashMap;
use std::mem::size_of;

use chrono::{DateTime, Utc};
use domain::SignalEvent;
use domain::pipeline::{Pipeline, PipelineId, Trigger};
use rust_decimal::Decimal;
use uuid::Uuid;

/// A type or a market, by its place among those that are known.
type Word = u32;

/// Any type, or any market.
const ANY: Word = Word::MAX;

/// Lists that one pipeline may stand in. One with more pairs of type and market than that stands in those of its types
/// alone, or of its markets, whichever are fewer, and is looked at closer when a signal comes.
const MOST_LISTS: usize = 64;

/// A place in a list: first by confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    minimum: Decimal,
    slot: u32,
}

/// A pipeline that signals set off. Empty lists are any.
#[derive(Debug)]
struct Entry {
    id: u128,
    minimum: Decimal,
    /// Sorted.
    types: Box<[Word]>,
    tickers: Box<[Word]>,
}

impl Entry {
    fn fits(&self, signal_type: Option<Word>, ticker: Option<Word>) -> bool {
        let among = |known: &[Word], word: Option<Word>| {
            known.is_empty() || word.is_some_and(|word| known.binary_search(&word).is_ok())
        };
        among(&self.types, signal_type) && among(&self.tickers, ticker)
    }

    /// The lists that it stands in.
    fn lists(&self) -> impl Iterator<Item = (Word, Word)> + use<> {
        let or_any = |words: &[Word]| if words.is_empty() { vec![ANY] } else { words.to_vec() };
        let (mut types, mut tickers) = (or_any(&self.types), or_any(&self.tickers));
        if types.len() * tickers.len() > MOST_LISTS {
            let wider = if types.len() <= tickers.len() { &mut tickers } else { &mut types };
            *wider = vec![ANY];
        }
        types.into_iter().flat_map(move |word| tickers.clone().into_iter().map(move |ticker| (word, ticker)))
    }
}

/// A pipeline that a clock sets off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Periodic {
    pub(crate) id: u128,
    pub(crate) every_seconds: u32,
    /// When it was made, or changed last.
    pub(crate) updated_at: DateTime<Utc>,
}

/// What can set pipelines off, and which.
#[derive(Debug, Default)]
pub struct Index {
    slots: Vec<Option<Entry>>,
    /// Slots of nobody.
    free: Vec<u32>,
    by_id: HashMap<u128, u32>,
    lists: HashMap<(Word, Word), Vec<Place>>,
    types: HashMap<Box<str>, Word>,
    tickers: HashMap<Box<str>, Word>,
    periodic: HashMap<u128, Periodic>,
    /// While it is filled for the first time lists are in no order, and hold places of slots that nobody has any more.
    filling: bool,
}

/// An id as a number.
pub(crate) fn number(id: &PipelineId) -> Option<u128> {
    Uuid::try_parse(id.as_str()).ok().map(|id| id.as_u128())
}

/// The id of such a number.
pub(crate) fn id(number: u128) -> Option<PipelineId> {
    Uuid::from_u128(number).to_string().parse().ok()
}

impl Index {
    /// One that is filled at once: much quicker than putting many into one that is in use. Matches nothing before
    /// [`Index::filled`].
    #[must_use]
    pub fn filling() -> Self {
        Self { filling: true, ..Self::default() }
    }

    /// Puts what was filled in order.
    #[must_use]
    pub fn filled(mut self) -> Self {
        let slots = &self.slots;
        self.lists.retain(|_, list| {
            list.retain(|place| slots.get(place.slot as usize).is_some_and(Option::is_some));
            list.sort_unstable();
            list.shrink_to_fit();
            !list.is_empty()
        });
        self.free = (0..).zip(slots).filter(|(_, entry)| entry.is_none()).map(|(slot, _)| slot).collect();
        self.slots.shrink_to_fit();
        self.filling = false;
        self
    }

    /// Puts a pipeline as it is now, whatever was known of it. One that is not enabled is not remembered.
    pub fn put(&mut self, pipeline: &Pipeline) {
        self.remove(&pipeline.pipeline_id);
        let Some(id) = number(&pipeline.pipeline_id) else { return };
        if !pipeline.request.enabled {
            return;
        }
        match &pipeline.request.trigger {
            Trigger::Periodic(periodic) => {
                let (every_seconds, updated_at) = (periodic.every_seconds, pipeline.updated_at);
                self.periodic.insert(id, Periodic { id, every_seconds, updated_at });
            }
            Trigger::Signal(trigger) => {
                let types = trigger.signal_types.iter().map(|word| intern(&mut self.types, word.as_str())).collect();
                let tickers = trigger.tickers.iter().map(|ticker| intern(&mut self.tickers, ticker.as_str())).collect();
                let (types, tickers) = (sorted(types), sorted(tickers));
                self.place(Entry { id, minimum: trigger.minimum_confidence, types, tickers });
            }
        }
    }

    fn place(&mut self, entry: Entry) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let place = Place { minimum: entry.minimum, slot };
        for key in entry.lists() {
            let list = self.lists.entry(key).or_default();
            let at = if self.filling { list.len() } else { list.partition_point(|known| *known < place) };
            list.insert(at, place);
        }
        self.by_id.insert(entry.id, slot);
        if let Some(room) = self.slots.get_mut(slot as usize) {
            *room = Some(entry);
        }
    }

    /// Forgets a pipeline.
    pub fn remove(&mut self, id: &PipelineId) {
        let Some(id) = number(id) else { return };
        self.periodic.remove(&id);
        let Some(slot) = self.by_id.remove(&id) else { return };
        let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        if self.filling {
            return;
        }
        self.free.push(slot);
        let place = Place { minimum: entry.minimum, slot };
        for key in entry.lists() {
            let Some(list) = self.lists.get_mut(&key) else { continue };
            if let Ok(at) = list.binary_search(&place) {
                list.remove(at);
            }
            if list.is_empty() {
                self.lists.remove(&key);
            }
        }
    }

    /// What stands in the lists of a signal and asks for no more confidence than it has.
    fn looked_at(&self, signal: &SignalEvent) -> impl Iterator<Item = &Entry> {
        let words = self.words(signal);
        let keys = [words, (words.0, Some(ANY)), (Some(ANY), words.1), (Some(ANY), Some(ANY))];
        let lists = keys.into_iter().filter_map(|(word, ticker)| self.lists.get(&(word?, ticker?)));
        lists.flat_map(|list| {
            let enough = list.partition_point(|place| place.minimum <= signal.confidence);
            list.iter().take(enough).filter_map(|place| self.slots.get(place.slot as usize)?.as_ref())
        })
    }

    fn words(&self, signal: &SignalEvent) -> (Option<Word>, Option<Word>) {
        (self.types.get(signal.signal_type.as_str()).copied(), self.tickers.get(signal.symbol.as_str()).copied())
    }

    /// The pipelines that a signal sets off, each once.
    #[must_use]
    pub fn matching(&self, signal: &SignalEvent) -> Vec<PipelineId> {
        if self.filling {
            return Vec::new();
        }
        let (signal_type, ticker) = self.words(signal);
        self.looked_at(signal)
            .filter(|entry| entry.fits(signal_type, ticker))
            .filter_map(|entry| id(entry.id))
            .collect()
    }

    /// The pipelines that a clock sets off.
    pub(crate) fn periodic(&self) -> impl Iterator<Item = &Periodic> {
        self.periodic.values()
    }

    /// How many pipelines signals set off.
    #[must_use]
    pub fn on_signals(&self) -> usize {
        self.by_id.len()
    }

    /// How many pipelines a clock sets off.
    #[must_use]
    pub fn on_clocks(&self) -> usize {
        self.periodic.len()
    }

    /// Memory that it takes, with what is set aside and not used yet.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let words = |known: &HashMap<Box<str>, Word>| {
            table::<(Box<str>, Word)>(known.capacity()) + known.keys().map(|word| word.len()).sum::<usize>()
        };
        let entries = self.slots.iter().flatten();
        let held = entries.map(|entry| (entry.types.len() + entry.tickers.len()) * size_of::<Word>());
        let places = self.lists.values().map(|list| list.capacity() * size_of::<Place>());
        size_of::<Self>()
            + self.slots.capacity() * size_of::<Option<Entry>>()
            + held.sum::<usize>()
            + self.free.capacity() * size_of::<u32>()
            + table::<(u128, u32)>(self.by_id.capacity())
            + table::<((Word, Word), Vec<Place>)>(self.lists.capacity())
            + places.sum::<usize>()
            + words(&self.types)
            + words(&self.tickers)
            + table::<(u128, Periodic)>(self.periodic.capacity())
    }
}

/// What a hash map of so many takes: an eighth of its places stays free, their number is a power of two, and each has a
/// byte beside it.
fn table<T>(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { (capacity * 8 / 7).next_power_of_two() * (size_of::<T>() + 1) }
}

/// A word's place. Words that nobody uses any more stay until everything is read anew.
fn intern(known: &mut HashMap<Box<str>, Word>, word: &str) -> Word {
    let next = Word::try_from(known.len()).unwrap_or(ANY - 1);
    match known.get(word) {
        Some(place) => *place,
        None => *known.entry(word.into()).or_insert(next),
    }
}

fn sorted(mut words: Vec<Word>) -> Box<[Word]> {
    words.sort_unstable();
    words.dedup();
    words.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::DecisionId;
    use domain::pipeline::{PeriodicTrigger, PipelineRequest, SignalTrigger};
    use domain::trading::SignalAction;
    use proptest::prelude::*;

    use super::*;

    const TYPES: [&str; 5] = ["mock", "golden_cross", "death_cross", "tradingview", "made_up"];
    const TICKERS: [&str; 6] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT"];

    fn pipeline(number: u128, enabled: bool, trigger: Trigger) -> Pipeline {
        let request: PipelineRequest = serde_json::from_value(serde_json::json!({
            "name": "n", "enabled": enabled, "trigger": trigger, "steps": [{"name": "tell", "agent": "notify"}],
        }))
        .unwrap();
        let at = DateTime::UNIX_EPOCH;
        Pipeline { pipeline_id: id(number).unwrap(), revision: 1, request, created_at: at, updated_at: at }
    }

    fn on(types: &[&str], tickers: &[&str], hundredths: i64) -> Trigger {
        Trigger::Signal(SignalTrigger {
            signal_types: types.iter().map(|word| word.parse().unwrap()).collect(),
            tickers: tickers.iter().map(|ticker| ticker.parse().unwrap()).collect(),
            minimum_confidence: Decimal::new(hundredths, 2),
        })
    }

    fn signal(signal_type: &str, symbol: &str, hundredths: i64) -> SignalEvent {
        SignalEvent {
            version: 1,
            signal_id: DecisionId::from_bytes([1; 16]),
            signal_type: signal_type.parse().unwrap(),
            source: "mock_generator".parse().unwrap(),
            symbol: symbol.parse().unwrap(),
            action: SignalAction::Buy,
            confidence: Decimal::new(hundredths, 2),
            price: None,
            interval: None,
            candle_closed_at: None,
            reason: None,
            generated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn index(pipelines: impl IntoIterator<Item = Pipeline>) -> Index {
        let mut index = Index::filling();
        pipelines.into_iter().for_each(|pipeline| index.put(&pipeline));
        index.filled()
    }

    #[test]
    fn an_id_is_a_number_and_back() {
        let text = "7f3c1a52-6a4e-4b0e-9d0f-3f6f0b9f8c11";
        assert_eq!(id(number(&text.parse().unwrap()).unwrap()).unwrap().as_str(), text);
        assert_eq!(id(0).unwrap().as_str(), "00000000-0000-0000-0000-000000000000");
    }

    /// A hundred thousand pipelines of which few are for a signal: few are looked at.
    #[test]
    fn only_what_may_match_is_looked_at() {
        let tickers: Vec<String> = (0..1_000).map(|number| format!("C{number:03}USDT")).collect();
        let all = (0..100_000_u128).map(|number| {
            let place = usize::try_from(number).unwrap();
            let ticker = tickers[place % 1_000].as_str();
            pipeline(number, true, on(&[TYPES[place / 1_000 % 4]], &[ticker], i64::try_from(place % 101).unwrap()))
        });
        let index = index(all);
        let event = signal("golden_cross", "C007USDT", 50);
        assert_eq!((index.on_signals(), index.looked_at(&event).count()), (100_000, index.matching(&event).len()));
        assert!((1..=25).contains(&index.matching(&event).len()), "{}", index.matching(&event).len());
        // What asks for more than the signal has is not looked at either.
        assert_eq!(index.looked_at(&signal("golden_cross", "C007USDT", 0)).count(), 0);
        assert!(index.size_bytes() < 40 << 20, "{}", index.size_bytes());
    }

    #[test]
    fn a_pipeline_of_many_pairs_stands_in_few_lists_and_is_found_as_well() {
        let types: Vec<String> = (0..20).map(|number| format!("type_{number}")).collect();
        let tickers: Vec<String> = (0..50).map(|number| format!("C{number:03}USDT")).collect();
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let tickers: Vec<&str> = tickers.iter().map(String::as_str).collect();
        let wide = pipeline(1, true, on(&types, &tickers, 50));
        let mut index = index([wide.clone(), pipeline(2, true, on(&types[..1], &tickers, 0))]);
        assert_eq!(index.lists.len(), 20 + 50);
        assert_eq!(index.matching(&signal("type_19", "C049USDT", 50)), [id(1).unwrap()]);
        assert_eq!(index.matching(&signal("type_0", "C049USDT", 50)).len(), 2);
        assert_eq!(index.matching(&signal("type_19", "BTCUSDT", 50)), []);
        index.remove(&wide.pipeline_id);
        assert_eq!((index.lists.len(), index.on_signals()), (50, 1));
    }

    #[test]
    fn what_is_not_used_any_more_is_given_back() {
        let mut index = Index::default();
        for round in 0..100 {
            for number in 0..10 {
                index.put(&pipeline(number, true, on(&TYPES[..2], &TICKERS, round)));
            }
        }
        assert_eq!((index.slots.len(), index.on_signals(), index.lists.len()), (10, 10, 12));
        let full = index.size_bytes();
        for number in 0..10 {
            index.remove(&id(number).unwrap());
        }
        assert_eq!((index.lists.len(), index.on_signals(), index.free.len()), (0, 0, 10));
        assert!(index.size_bytes() < full);
    }

    fn any_trigger() -> impl Strategy<Value = Trigger> {
        let words = |of: &'static [&'static str]| prop::sample::subsequence(of.to_vec(), 0..=of.len());
        let signal = (words(&TYPES), words(&TICKERS), 0..=100_i64)
            .prop_map(|(types, tickers, hundredths)| on(&types, &tickers, hundredths));
        let periodic = (10..100_u32).prop_map(|every_seconds| {
            Trigger::Periodic(PeriodicTrigger { every_seconds, symbol: "BTCUSDT".parse().unwrap() })
        });
        prop_oneof![9 => signal, 1 => periodic]
    }

    proptest! {
        /// Whatever was put, replaced and removed, before and after it was filled: it finds what looking at every
        /// pipeline finds.
        #[test]
        fn it_finds_what_matches(
            changes in prop::collection::vec((0..12_u128, any::<bool>(), prop::option::weighted(0.8, any_trigger())), 0..60),
            filled_after in 0..60_usize,
            signals in prop::collection::vec((0..6_usize, 0..7_usize, 0..=100_i64), 1..12),
        ) {
            let mut model: std::collections::BTreeMap<u128, Pipeline> = Default::default();
            let mut index = Index::filling();
            for (place, (number, enabled, trigger)) in changes.into_iter().enumerate() {
                if place == filled_after {
                    index = index.filled();
                }
                match trigger {
                    Some(trigger) => {
                        let pipeline = pipeline(number, enabled, trigger);
                        index.put(&pipeline);
                        model.insert(number, pipeline);
                    }
                    None => {
                        index.remove(&id(number).unwrap());
                        model.remove(&number);
                    }
                }
            }
            if index.filling {
                index = index.filled();
            }
            for (signal_type, symbol, hundredths) in signals {
                let signal_type = TYPES.get(signal_type).unwrap_or(&"never_heard_of");
                let event = signal(signal_type, TICKERS.get(symbol).unwrap_or(&"NEWUSDT"), hundredths);
                let found = index.matching(&event);
                let unique: BTreeSet<PipelineId> = found.iter().cloned().collect();
                prop_assert_eq!(unique.len(), found.len(), "each once");
                let expected: BTreeSet<PipelineId> = model
                    .values()
                    .filter(|pipeline| crate::store::is_for(pipeline, &event))
                    .map(|pipeline| pipeline.pipeline_id.clone())
                    .collect();
                prop_assert_eq!(unique, expected);
            }
            let periodic = |pipeline: &&Pipeline| {
                pipeline.request.enabled && matches!(pipeline.request.trigger, Trigger::Periodic(_))
            };
            prop_assert_eq!(index.on_clocks(), model.values().filter(periodic).count());
            let signalled = model.values().filter(|pipeline| pipeline.request.enabled).count() - index.on_clocks();
            prop_assert_eq!(index.on_signals(), signalled);
        }
    }
}
