//! Long polling: one poll after the other, updates of different chats at the same time, those of one chat in order. What
//! stops trading does not wait for older updates of its chat that came to nothing.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use telegram::{IncomingUpdate, UpdatesRequest};
use web::CancellationToken;

use super::intake::{WANTED, chat_of};
use super::ledger::Ledger;
use super::setup::{IntakeSetup, wait_after};
use super::{Bot, Outcome};

/// How long Telegram may hold a poll while there is nothing to tell.
const HOLD_SECONDS: u32 = 25;

/// Updates that are handled at the same time.
const PARALLEL: usize = 32;

/// While updates are being handled they are not confirmed, so a poll that is held would come back at once with them: it
/// is made without holding, after this pause.
const BUSY_PAUSE: Duration = Duration::from_millis(300);

/// Pause after a poll that came back early with nothing new: whoever answers so does not hold polls.
const IDLE_PAUSE: Duration = Duration::from_millis(250);

/// An update that takes longer has met a fault of ours; it must not keep the later ones from being confirmed.
const HANDLING_LIMIT: Duration = Duration::from_secs(90);

/// Running updates get this long to end when the process stops, and so does the last word to Telegram.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Pause after an update whose answer could not be written down: it is tried again when the database may be back.
const UNDELIVERED_PAUSE: Duration = Duration::from_secs(1);

type Handling = LocalBoxFuture<'static, Handled>;

/// An update, and whether it is done.
#[derive(Debug, Clone, Copy)]
struct Handled {
    id: i64,
    chat: Option<i64>,
    is_done: bool,
}

/// An update that waits to be handled.
struct Pending {
    update: IncomingUpdate,
    chat: Option<i64>,
    /// How often it was tried, where it passes whatever is stuck in its chat.
    passes: Option<u32>,
}

impl Pending {
    /// What goes first: what passes, and of that what was tried least, so that no `/pause` keeps a `/stop` waiting.
    fn turn(&self) -> (bool, u32, i64) {
        (self.passes.is_none(), self.passes.unwrap_or_default(), self.update.id)
    }
}

/// Receives and handles updates until told to stop.
pub(crate) async fn run(bot: Bot, stop: CancellationToken) {
    if bot.introduce(&IntakeSetup::Polling, &stop).await.is_none() {
        return;
    }
    let mut ledger = Ledger::default();
    let mut handling: FuturesUnordered<Handling> = FuturesUnordered::new();
    let mut busy_chats: HashSet<i64> = HashSet::new();
    let mut failures = 0_u32;
    // The first poll, and the first after a failure, is not held: whether Telegram hears us is known at once.
    let mut heard = false;
    loop {
        let request = UpdatesRequest {
            offset: ledger.offset(),
            hold_seconds: if heard && handling.is_empty() { HOLD_SECONDS } else { 0 },
            limit: 100,
            allowed: WANTED.to_vec(),
        };
        let asked_at = Instant::now();
        let answer = tokio::select! {
            () = stop.cancelled() => break,
            answer = bot.inner.client.poll_updates(&request) => answer,
        };
        heard = answer.is_ok();
        let pause = match answer {
            Ok(updates) => {
                failures = 0;
                if bot.inner.status.receiving() {
                    tracing::info!("the bot receives updates from Telegram");
                }
                begin(&bot, updates, &mut ledger, &mut handling, &mut busy_chats);
                match handling.is_empty() {
                    false => BUSY_PAUSE,
                    true if asked_at.elapsed() < Duration::from_secs(1) => IDLE_PAUSE,
                    true => Duration::ZERO,
                }
            }
            Err(error) => {
                bot.report_failure(&error);
                let pause = wait_after(&error, failures);
                failures = failures.saturating_add(1);
                pause
            }
        };
        // Until the pause is over; or, when nothing is wrong, until something is done, which may free a chat.
        let mut rest = std::pin::pin!(tokio::time::sleep(pause));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = &mut rest => break,
                Some(handled) = handling.next() => {
                    settle(handled, &mut ledger, &mut busy_chats);
                    if !handled.is_done {
                        rest.as_mut().reset(tokio::time::Instant::now() + UNDELIVERED_PAUSE);
                    } else if failures == 0 {
                        break;
                    }
                }
            }
        }
    }
    end(&mut ledger, &mut handling, &mut busy_chats).await;
    confirm(&bot, &ledger).await;
}

fn begin(
    bot: &Bot,
    updates: Vec<IncomingUpdate>,
    ledger: &mut Ledger,
    handling: &mut FuturesUnordered<Handling>,
    busy_chats: &mut HashSet<i64>,
) {
    let mut waiting: Vec<Pending> = Vec::new();
    // Chats whose oldest update could not be answered: nothing of theirs can, as long as the database is away.
    let mut stuck_chats: HashMap<i64, bool> = HashMap::new();
    for update in updates {
        if !ledger.see(update.id) {
            continue;
        }
        let chat = update.update.as_ref().ok().and_then(|update| chat_of(update));
        let tries = ledger.tries(update.id);
        let is_stuck = chat.is_some_and(|chat| *stuck_chats.entry(chat).or_insert(tries > 0));
        let stops = is_stuck && update.update.as_ref().is_ok_and(|update| bot.would_stop_trading(update));
        waiting.push(Pending { update, chat, passes: stops.then_some(tries) });
    }
    waiting.sort_by_key(Pending::turn);
    // Later updates of a chat wait for the earlier: those that are left come again with the next poll.
    let mut left_chats: HashSet<i64> = HashSet::new();
    for Pending { update, chat, .. } in waiting {
        let id = update.id;
        let must_wait = chat.is_some_and(|chat| busy_chats.contains(&chat) || left_chats.contains(&chat));
        if must_wait || handling.len() >= PARALLEL {
            left_chats.extend(chat);
            continue;
        }
        busy_chats.extend(chat);
        ledger.begin(id);
        handling.push(handle(bot.clone(), update, chat).boxed_local());
    }
}

/// Handles one update. It is done whatever becomes of it, unless its answer could not be written down: an update that
/// fails must not come again for ever.
async fn handle(bot: Bot, update: IncomingUpdate, chat: Option<i64>) -> Handled {
    let id = update.id;
    let work = AssertUnwindSafe(tokio::time::timeout(HANDLING_LIMIT, bot.handle(update))).catch_unwind();
    match work.await {
        Ok(Ok(outcome)) => return Handled { id, chat, is_done: outcome != Outcome::Undelivered },
        Ok(Err(_elapsed)) => tracing::error!(telegram.update.id = id, "an update took too long and is given up"),
        Err(_panic) => tracing::error!(telegram.update.id = id, "handling an update panicked; it is skipped"),
    }
    Handled { id, chat, is_done: true }
}

fn settle(handled: Handled, ledger: &mut Ledger, busy_chats: &mut HashSet<i64>) {
    if handled.is_done {
        ledger.finish(handled.id)
    } else {
        ledger.give_back(handled.id)
    }
    if let Some(chat) = handled.chat {
        busy_chats.remove(&chat);
    }
}

/// Lets running updates end.
async fn end(ledger: &mut Ledger, handling: &mut FuturesUnordered<Handling>, busy_chats: &mut HashSet<i64>) {
    let rest = async {
        while let Some(handled) = handling.next().await {
            settle(handled, ledger, busy_chats);
        }
    };
    if tokio::time::timeout(STOP_GRACE, rest).await.is_err() {
        tracing::warn!(
            updates = handling.len(),
            "updates were not handled before the stop; Telegram hands them out again"
        );
    }
}

/// Tells Telegram what is done, so that the next start does not answer it again.
async fn confirm(bot: &Bot, ledger: &Ledger) {
    if ledger.offset() == 0 {
        return;
    }
    let request = UpdatesRequest { offset: ledger.offset(), hold_seconds: 0, limit: 1, allowed: WANTED.to_vec() };
    match tokio::time::timeout(STOP_GRACE, bot.inner.client.poll_updates(&request)).await {
        Ok(Ok(_for_the_next_start)) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "the last updates could not be confirmed: they come again, and are known then")
        }
        Err(_elapsed) => {
            tracing::warn!("the last updates could not be confirmed in time: they come again, and are known then")
        }
    }
}
