//! Messages, before and after.

use chrono::{DateTime, Utc};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

use crate::BusError;

/// Most bytes that a message may have with its key and headers: below what Kafka's brokers take by default (1 MiB with
/// everything around it), the same on every engine.
pub(crate) const LARGEST_BYTES: usize = 900_000;

/// Bytes after which a batch takes no further message: however many may be read at once, they have to fit into memory.
pub(crate) const LARGEST_BATCH_BYTES: usize = 8 << 20;

/// A message that is to be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewMessage {
    /// Messages of one key keep their order; those without one are spread evenly.
    pub key: Option<String>,
    /// What it says, commonly JSON.
    pub payload: String,
    /// Further words about it. `traceparent` and its like are added.
    pub headers: Vec<(String, String)>,
}

impl NewMessage {
    /// A message of a key.
    #[must_use]
    pub fn new(key: impl Into<String>, payload: impl Into<String>) -> Self {
        Self { key: Some(key.into()), payload: payload.into(), headers: Vec::new() }
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// As part of another trace than the current one: for whoever publishes many at once that belong to different ones.
    #[must_use]
    pub fn within(mut self, context: &Context) -> Self {
        telemetry::propagation::inject(context, &mut Headers(&mut self.headers));
        self
    }

    /// Whether it brings its own trace.
    pub(crate) fn has_context(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("traceparent"))
    }

    pub(crate) fn context(&self) -> Context {
        telemetry::propagation::extract(&Read(&self.headers))
    }

    /// Whether every engine can keep it.
    pub(crate) fn check(&self) -> Result<(), BusError> {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let size = self.payload.len() + self.key.as_ref().map_or(0, String::len) + headers;
        if size > LARGEST_BYTES {
            return Err(BusError::TooLarge { size, limit: LARGEST_BYTES });
        }
        let mut texts = self.headers.iter().flat_map(|(name, value)| [name, value]).chain(&self.key);
        // PostgreSQL's TEXT cannot hold it, and JSON never does.
        if self.payload.contains('\0') || texts.any(|text| text.contains('\0')) {
            return Err(BusError::refused("a message holds a NUL character"));
        }
        Ok(())
    }
}

/// A message that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its place in it.
    pub offset: i64,
    /// What its order goes by.
    pub key: Option<String>,
    /// What it says. Whoever published it may have been anybody: it need not be JSON, nor text.
    pub payload: Vec<u8>,
    /// Words about it.
    pub headers: Vec<(String, String)>,
    /// When, by the clock of whoever published it.
    pub published_at: DateTime<Utc>,
}

impl Message {
    /// The first header of this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The trace and baggage that it was published with; what is done with it goes on there.
    #[must_use]
    pub fn context(&self) -> Context {
        telemetry::propagation::extract(&Read(&self.headers))
    }
}

/// Up to which message a partition was read, and by whom: what a commit needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) partition: i32,
    /// Which time of owning the partition it belongs to.
    pub(crate) generation: i64,
    /// The offset behind the last one.
    pub(crate) next: i64,
}

/// Messages that were read together. Those of one partition keep their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    messages: Vec<Message>,
    /// The generation of each message's partition.
    generations: Vec<i64>,
}

/// How much of a batch a message is.
pub(crate) fn weight(message: &Message) -> usize {
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    message.payload.len() + message.key.as_ref().map_or(0, String::len) + headers
}

impl Batch {
    pub(crate) fn push(&mut self, message: Message, generation: i64) {
        self.messages.push(message);
        self.generations.push(generation);
    }

    /// Its messages' bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.messages.iter().map(weight).sum()
    }

    /// Its messages.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether nothing came.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Cuts it before a message: this one keeps those before, which can be committed by themselves, and the answer is the
    /// rest.
    #[must_use = "the rest is gone if it is dropped"]
    pub fn split_off(&mut self, at: usize) -> Self {
        let at = at.min(self.messages.len());
        Self { messages: self.messages.split_off(at), generations: self.generations.split_off(at) }
    }

    /// How far it goes in each partition.
    pub(crate) fn ends(&self) -> Vec<End> {
        let mut ends: Vec<End> = Vec::new();
        for (message, &generation) in self.messages.iter().zip(&self.generations) {
            let end = End { partition: message.partition, generation, next: message.offset.saturating_add(1) };
            match ends.iter_mut().find(|known| known.partition == end.partition && known.generation == generation) {
                Some(known) => known.next = known.next.max(end.next),
                None => ends.push(end),
            }
        }
        ends
    }
}

/// Headers that are written.
pub(crate) struct Headers<'a>(pub(crate) &'a mut Vec<(String, String)>);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
            self.0.push((key.to_owned(), value));
        }
    }
}

fn find<'a>(headers: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
}

/// Headers that are read.
struct Read<'a>(&'a [(String, String)]);

impl Extractor for Read<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        find(self.0, key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_engine_can_keep_is_refused() {
        let large = NewMessage::new("k", "x".repeat(LARGEST_BYTES - 1));
        assert_eq!(large.check(), Ok(()));
        let size = LARGEST_BYTES + 2;
        assert_eq!(large.with_header("a", "b").check(), Err(BusError::TooLarge { size, limit: LARGEST_BYTES }));
        for message in [
            NewMessage::new("k\0", ""),
            NewMessage::new("k", "a\0b"),
            NewMessage::new("k", "").with_header("a\0", ""),
            NewMessage::new("k", "").with_header("a", "\0"),
        ] {
            assert!(matches!(message.check(), Err(BusError::Refused { .. })), "{message:?}");
        }
    }

    #[test]
    fn a_batch_that_is_cut_ends_where_it_was_cut() {
        let mut batch = Batch::default();
        for (partition, offset) in [(0, 5), (1, 9), (0, 6)] {
            let message = Message {
                topic: String::new(),
                partition,
                offset,
                key: None,
                payload: Vec::new(),
                headers: Vec::new(),
                published_at: DateTime::UNIX_EPOCH,
            };
            batch.push(message, 3);
        }
        let end = |partition, next| End { partition, generation: 3, next };
        assert_eq!(batch.ends(), [end(0, 7), end(1, 10)]);
        let rest = batch.split_off(1);
        assert_eq!((batch.ends(), rest.ends()), (vec![end(0, 6)], vec![end(1, 10), end(0, 7)]));
        assert!(batch.split_off(7).is_empty() && batch.len() == 1);
    }
}
