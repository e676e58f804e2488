//! The worker behind a [`super::Sender`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use frankenstein::types::ChatId;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use telemetry::metrics::notifier::{MESSAGES_SENT, SEND_RETRIES};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

use super::pace::{Limit, Pace};
use super::{Deliver, Item, METHOD, SenderSettings, chat_key, is_group, report_depth};
use crate::Error;

/// Takes messages from the queue to Telegram. Runs until it is told to stop.
pub struct SenderWorker<D> {
    telegram: Arc<D>,
    settings: SenderSettings,
    incoming: mpsc::UnboundedReceiver<Item>,
    room: Arc<Semaphore>,
    chats: HashMap<String, Chat>,
    overall: Pace,
    /// Numbers the messages, so that the oldest of several due ones goes first.
    next_number: u64,
}

struct Chat {
    waiting: VecDeque<(u64, Item)>,
    on_the_way: bool,
    pace: Pace,
    limit: Limit,
    /// Set by a failure: not before this.
    not_before: Option<Instant>,
}

type Attempt = BoxFuture<'static, (String, u64, Item, Result<(), Error>)>;

impl<D: Deliver> SenderWorker<D> {
    pub(super) fn new(
        telegram: D,
        settings: SenderSettings,
        incoming: mpsc::UnboundedReceiver<Item>,
        room: Arc<Semaphore>,
    ) -> Self {
        Self {
            telegram: Arc::new(telegram),
            settings,
            incoming,
            room,
            chats: HashMap::new(),
            overall: Pace::default(),
            next_number: 0,
        }
    }

    /// Works until `stop` is ready, then for at most [`SenderSettings::drain_time`] on what is still queued.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut attempts: FuturesUnordered<Attempt> = FuturesUnordered::new();
        let mut stop = std::pin::pin!(stop);
        let mut last_moment: Option<Instant> = None;
        loop {
            let wake = self.launch(&mut attempts);
            report_depth(self.settings.capacity.saturating_sub(self.room.available_permits()));
            if last_moment.is_some()
                && self.incoming.is_empty()
                && attempts.is_empty()
                && self.chats.values().all(|chat| chat.waiting.is_empty())
            {
                break;
            }
            tokio::select! {
                item = self.incoming.recv(), if !self.incoming.is_closed() || !self.incoming.is_empty() => {
                    if let Some(item) = item {
                        self.accept(item);
                    }
                }
                Some((key, number, item, result)) = attempts.next() => self.settle(key, number, item, result),
                () = maybe_until(wake) => {}
                () = &mut stop, if last_moment.is_none() => {
                    self.incoming.close();
                    last_moment = Some(Instant::now() + self.settings.drain_time);
                }
                () = maybe_until(last_moment), if last_moment.is_some() => break,
            }
        }
        let left = self.chats.values().map(|chat| chat.waiting.len()).sum::<usize>() + attempts.len();
        if left > 0 {
            MESSAGES_SENT.add(left as u64, &[("method", METHOD), ("outcome", "shutdown")]);
            tracing::warn!(telegram.messages = left, "messages to Telegram were not sent before the stop and are lost");
        }
    }

    fn accept(&mut self, item: Item) {
        let settings = &self.settings;
        let chat = self.chats.entry(chat_key(&item.message.chat_id)).or_insert_with(|| {
            let interval =
                if is_group(&item.message.chat_id) { settings.group_interval } else { settings.chat_interval };
            let limit = Limit { interval, burst: settings.chat_burst };
            Chat { waiting: VecDeque::new(), on_the_way: false, pace: Pace::default(), limit, not_before: None }
        });
        chat.waiting.push_back((self.next_number, item));
        self.next_number += 1;
    }

    /// Starts every attempt that is due, oldest message first, and says when the next one will be.
    fn launch(&mut self, attempts: &mut FuturesUnordered<Attempt>) -> Option<Instant> {
        let now = Instant::now();
        let overall_limit = Limit {
            interval: Duration::from_secs(1) / self.settings.overall_per_second.max(1),
            burst: self.settings.overall_per_second,
        };
        self.chats.retain(|_, chat| chat.on_the_way || !chat.waiting.is_empty() || !chat.pace.is_rested(now));
        loop {
            let next = self
                .chats
                .iter()
                .filter(|(_, chat)| !chat.on_the_way)
                .filter_map(|(key, chat)| {
                    let (number, _) = chat.waiting.front()?;
                    let due = chat.pace.due(chat.limit, now).max(chat.not_before.unwrap_or(now));
                    Some((due.max(self.overall.due(overall_limit, now)), *number, key))
                })
                .min();
            let (due, _, key) = next?;
            if due > now {
                return Some(due);
            }
            if attempts.len() >= self.settings.parallel.max(1) {
                // An attempt that ends wakes the loop.
                return None;
            }
            let key = key.clone();
            let chat = self.chats.get_mut(&key)?;
            let (number, item) = chat.waiting.pop_front()?;
            chat.on_the_way = true;
            chat.not_before = None;
            chat.pace.spend(chat.limit, now);
            self.overall.spend(overall_limit, now);
            let telegram = Arc::clone(&self.telegram);
            let span = item.span.clone();
            let attempt = async move {
                let result = telegram.deliver(&item.message).await;
                (key, number, item, result)
            };
            attempts.push(Box::pin(attempt.instrument(span)));
        }
    }

    /// What to do after an attempt: done, again later, or never.
    fn settle(&mut self, key: String, number: u64, mut item: Item, result: Result<(), Error>) {
        let now = Instant::now();
        let Some(chat) = self.chats.get_mut(&key) else {
            return;
        };
        chat.on_the_way = false;
        let error = match result {
            Ok(()) => return finish(item, Ok(()), "sent"),
            Err(error) => error,
        };
        let span = item.span.clone();
        let _in_trace = span.enter();
        if let Error::BadRequest { migrate_to_chat_id: Some(new_id), .. } = error
            && item.message.chat_id != ChatId::Integer(new_id)
        {
            tracing::info!("a group became a supergroup: the message goes to its new id");
            item.message.chat_id = ChatId::Integer(new_id);
            chat.waiting.push_front((number, item));
            return;
        }
        if !error.is_transient() {
            tracing::warn!(error = %error, error.kind = error.label(), "a message to Telegram can never be sent and is dropped");
            let outcome = error.label();
            return finish(item, Err(error), outcome);
        }
        if now.duration_since(item.queued_at) >= self.settings.give_up_after {
            tracing::warn!(error = %error, error.kind = error.label(), attempts = item.failures + 1, "a message to Telegram is too old to be sent and is dropped");
            return finish(item, Err(error), "expired");
        }
        let wait = match error {
            // Telegram's own word, and a little more so that several bots do not come back at the same instant.
            Error::TooManyRequests { retry_after } => retry_after + Duration::from_millis(rand::random_range(1..100)),
            _ => full_jitter(self.settings.retry_base, self.settings.retry_cap, item.failures),
        };
        item.failures = item.failures.saturating_add(1);
        SEND_RETRIES.add(1, &[("method", METHOD), ("reason", error.label())]);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(error = %error, error.kind = error.label(), retry.wait_ms = wait_ms, "a message to Telegram waits for another attempt");
        chat.not_before = Some(now + wait);
        chat.waiting.push_front((number, item));
    }
}

fn finish(item: Item, result: Result<(), Error>, outcome: &str) {
    MESSAGES_SENT.add(1, &[("method", METHOD), ("outcome", outcome)]);
    // Nobody may be waiting for it; that is allowed.
    drop(item.done.send(result));
}

/// A random wait up to base × 2^failures, so that many failed senders spread out.
fn full_jitter(base: Duration, cap: Duration, failures: u32) -> Duration {
    let ceiling = base.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(cap);
    ceiling.mul_f64(rand::random_range(0.1..=1.0))
}

async fn maybe_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
