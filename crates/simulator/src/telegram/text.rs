//! A text with its entities, as messages hold it.

use serde::{Deserialize, Serialize};

/// A text and what is special in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Formatted {
    pub(super) text: String,
    pub(super) entities: Vec<Entity>,
}

/// `MessageEntity` of the Bot API; offset and length count UTF-16 code units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entity {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) offset: usize,
    pub(super) length: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) language: Option<String>,
}

/// Length in UTF-16 code units, as Telegram counts.
pub(super) fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

impl Formatted {
    /// Without white space at either end, entities moved along and empty ones dropped.
    pub(super) fn trimmed(self) -> Self {
        let text = self.text.trim();
        let lead = utf16_len(&self.text) - utf16_len(self.text.trim_start());
        let end = utf16_len(text);
        let entities = self.entities.into_iter().filter_map(|entity| {
            let begin = entity.offset.saturating_sub(lead).min(end);
            let finish = (entity.offset + entity.length).saturating_sub(lead).min(end);
            (finish > begin).then_some(Entity { offset: begin, length: finish - begin, ..entity })
        });
        let entities = entities.collect();
        Self { text: text.to_owned(), entities }
    }
}
