//! Sends messages in order, at Telegram's pace, until they are delivered or never can be.
//!
//! The queue is bounded and in memory: what waits when the process ends is lost (the last words are tried for
//! [`SenderSettings::drain_time`]). Telegram has no idempotency key, so a message whose answer was lost on the way may
//! arrive twice; one that Telegram refused (429, 5xx with an answer) arrives once, and so does one whose answer has a status
//! of success but cannot be read.

mod pace;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use frankenstein::methods::SendMessageParams;
use frankenstein::types::ChatId;
use telemetry::metrics::notifier::{MESSAGES_SENT, OUTBOX_DEPTH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tracing::Span;

use crate::{Client, Error};

pub use worker::SenderWorker;

/// The Bot API method that messages are sent with: the label of the metrics.
const METHOD: &str = "sendMessage";

/// How fast, how long, how many.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// Messages a second over all chats.
    pub overall_per_second: u32,
    /// Time between two messages to one person, after a burst.
    pub chat_interval: Duration,
    /// Time between two messages to one group, after a burst.
    pub group_interval: Duration,
    /// Messages that may go to one chat at once after a silence.
    pub chat_burst: u32,
    /// Messages that may wait.
    pub capacity: usize,
    /// Messages on their way at the same time.
    pub parallel: usize,
    /// First wait after a failure; it doubles, with full jitter.
    pub retry_base: Duration,
    /// Longest wait after a failure.
    pub retry_cap: Duration,
    /// After this time a message is too old to be worth sending.
    pub give_up_after: Duration,
    /// How long the queue is still worked on when the process stops.
    pub drain_time: Duration,
}

impl Default for SenderSettings {
    fn default() -> Self {
        Self {
            overall_per_second: 30,
            chat_interval: Duration::from_secs(1),
            group_interval: Duration::from_secs(3),
            chat_burst: 3,
            capacity: 1000,
            parallel: 16,
            retry_base: Duration::from_millis(500),
            retry_cap: Duration::from_secs(30),
            give_up_after: Duration::from_secs(600),
            drain_time: Duration::from_secs(3),
        }
    }
}

/// What takes a message to Telegram; [`Client`], or a test's own.
pub trait Deliver: Send + Sync + 'static {
    /// One attempt. A transient error means that the message was not taken, or that nobody knows: it is tried again.
    fn deliver(&self, message: &SendMessageParams) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Deliver for Client {
    async fn deliver(&self, message: &SendMessageParams) -> Result<(), Error> {
        self.put_message(message).await
    }
}

/// The queue is full: Telegram has been away for long, or too much is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue of messages to Telegram is full or closed")]
pub struct QueueFull;

/// What becomes of a queued message; may be dropped when nobody waits for it.
#[derive(Debug)]
pub struct Enqueued {
    outcome: oneshot::Receiver<Result<(), Error>>,
}

impl Enqueued {
    /// Waits until the message is sent or given up; `None` when the process stopped before.
    pub async fn outcome(self) -> Option<Result<(), Error>> {
        self.outcome.await.ok()
    }
}

/// Where messages are put; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    queue: mpsc::UnboundedSender<Item>,
    /// Bounds the queue and counts it, from here to the end of the delivery.
    room: Arc<Semaphore>,
    capacity: usize,
}

/// A message with its way back and its place in the trace.
#[derive(Debug)]
struct Item {
    message: SendMessageParams,
    /// The span that the message is sent in: the update that it answers.
    span: Span,
    queued_at: Instant,
    failures: u32,
    done: oneshot::Sender<Result<(), Error>>,
    _room: OwnedSemaphorePermit,
}

impl Sender {
    /// A sender and the worker that must run for it.
    pub fn new<D: Deliver>(telegram: D, settings: SenderSettings) -> (Self, SenderWorker<D>) {
        let (queue, incoming) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(settings.capacity));
        let sender = Self { queue, room, capacity: settings.capacity };
        let worker = SenderWorker::new(telegram, settings, incoming, Arc::clone(&sender.room));
        (sender, worker)
    }

    /// Puts a message into the queue of its chat; it is sent as part of the current span's trace.
    ///
    /// # Errors
    /// When the queue is full, or the worker has ended.
    pub fn enqueue(&self, message: SendMessageParams) -> Result<Enqueued, QueueFull> {
        let refused = || {
            MESSAGES_SENT.add(1, &[("method", METHOD), ("outcome", "queue_full")]);
            QueueFull
        };
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_no_room| refused())?;
        let (done, outcome) = oneshot::channel();
        let item = Item { message, span: Span::current(), queued_at: Instant::now(), failures: 0, done, _room: room };
        self.queue.send(item).map_err(|_closed| refused())?;
        report_depth(self.depth());
        Ok(Enqueued { outcome })
    }

    /// Messages that wait or are on their way.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.capacity.saturating_sub(self.room.available_permits())
    }
}

fn report_depth(depth: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a queue's depth is far below 2^52")]
    OUTBOX_DEPTH.set(depth as f64, &[]);
}

/// Order is kept within this.
fn chat_key(chat: &ChatId) -> String {
    match chat {
        ChatId::Integer(id) => id.to_string(),
        ChatId::String(name) => name.clone(),
    }
}

/// Groups and channels have negative ids or names.
const fn is_group(chat: &ChatId) -> bool {
    match chat {
        ChatId::Integer(id) => *id < 0,
        ChatId::String(_) => true,
    }
}
