//! Where things stand in the cache.

/// What is kept, in one word: part of its keys, and the label `cache` of its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf(&'static str);

impl Shelf {
    /// A shelf. The word belongs to one service, and to one form of what stands there: another form needs another word.
    #[must_use]
    pub const fn new(word: &'static str) -> Self {
        Self(word)
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.0
    }
}
