//! Stream names, and what a connection listens to.

use crate::market::{Interval, Market};

/// Streams a connection may listen to.
pub(super) const MOST_STREAMS: usize = 1024;
/// No stream's name is longer; what is longer is kept no longer either.
const LONGEST_NAME: usize = 64;

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `<symbol>@kline_<interval>`.
    Kline(Interval),
    /// `<symbol>@ticker`.
    Ticker,
    /// `<symbol>@miniTicker`.
    MiniTicker,
    /// `<symbol>@trade`.
    Trade,
    /// `<symbol>@bookTicker`.
    BookTicker,
}

/// A stream that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stream {
    /// Position of the symbol among the market's instruments.
    pub(super) instrument: usize,
    pub(super) kind: Kind,
}

impl Stream {
    /// The stream of a name. Symbols are lower case; anything else exists not, and the exchange says nothing about it.
    pub(super) fn named(name: &str, market: &Market) -> Option<Self> {
        let (symbol, kind) = name.split_once('@')?;
        let kind = match kind {
            "ticker" => Kind::Ticker,
            "miniTicker" => Kind::MiniTicker,
            "trade" => Kind::Trade,
            "bookTicker" => Kind::BookTicker,
            other => Kind::Kline(Interval::named(other.strip_prefix("kline_")?)?),
        };
        let instrument =
            market.instruments().iter().position(|instrument| instrument.symbol.to_ascii_lowercase() == symbol)?;
        Some(Self { instrument, kind })
    }
}

/// One stream a connection asked for.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) name: String,
    /// `None`: no such stream, so nothing ever comes.
    pub(super) stream: Option<Stream>,
}

/// The streams of a connection, in the order they were asked for, each once.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Vec<Subscription>);

impl Subscriptions {
    /// Adds a stream; false when there are too many.
    pub(super) fn add(&mut self, name: &str, market: &Market) -> bool {
        if self.0.iter().any(|known| known.name == name) {
            return true;
        }
        if self.0.len() >= MOST_STREAMS {
            return false;
        }
        let name: String = name.chars().take(LONGEST_NAME).collect();
        let stream = Stream::named(&name, market);
        self.0.push(Subscription { name, stream });
        true
    }

    /// Drops a stream; one that is not there is no error.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|known| known.name != name);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.0.iter()
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|subscription| subscription.name.as_str()).collect()
    }
}
