//! Answers by idempotency key that instances share. The database is the truth: an answer is put here when it stands there,
//! and whatever is not here is looked for there.

use cache::{Cache, Shelf};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const SHELF: Shelf = Shelf::new("user-answers");

/// The answers that are shared.
pub(crate) struct Answers(Cache);

#[derive(Serialize, Deserialize)]
struct Answer<V> {
    /// Digest of the request: the key is for no other.
    request: String,
    reply: V,
}

impl Answers {
    pub(crate) const fn new(cache: Cache) -> Self {
        Self(cache)
    }

    /// The answer that this request got earlier. Whether the key was used for another request is for the database to say.
    pub(crate) async fn find(&self, key: &str, request: &str) -> Option<Value> {
        let answer: Answer<Value> = self.0.get(SHELF, key).await?;
        (answer.request == request).then_some(answer.reply)
    }

    /// Puts an answer here that the database keeps until a time.
    pub(crate) async fn put(&self, key: &str, request: String, reply: &Value, until: DateTime<Utc>) {
        self.0.set(SHELF, key, &Answer { request, reply }, until).await;
    }
}
