//! A close, beside orders of its symbol of which it is not settled yet what they do to the position.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::trading::{OrderStatus, RefusalCode, Signal, SignalAction, SignalResult};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use storage::testing::{TestDatabase, engines};
use web::testing::eventually;

use super::exchange::{Fake, Placing};
use super::overtaken::claimed;
use super::world::{Process, prices, signal};
use crate::trading::error::TradingError;
use crate::trading::ledger;
use crate::trading::rules::Rules;

fn run(test: impl AsyncFn(TestDatabase)) {
    for database in engines() {
        actix_web::rt::System::new().block_on(test(database));
    }
}

fn buy(number: usize) -> Signal {
    Signal { symbol: "BTCUSDT".parse().unwrap(), ..signal(number) }
}

fn close(number: usize) -> Signal {
    Signal { action: SignalAction::Close, quantity: None, ..buy(number) }
}

async fn held(process: &Process) -> Decimal {
    let core = &process.trading.core;
    let all = ledger::all(&core.database, core.rules.mode).await.unwrap();
    all.iter().map(|(_, ledger)| ledger.position.quantity).sum()
}

/// It is told to come again, and nothing is written.
async fn held_back(process: &Process, signal: &Signal) {
    let outcome = process.trading.handle_signal(signal.clone()).await;
    assert!(matches!(outcome, Err(TradingError::Uncertain(_))), "{outcome:?}");
    let order = process.trading.find(&signal.signal_id).await;
    assert!(matches!(order, Err(TradingError::NoSuchOrder(_))), "{order:?}");
}

#[test]
fn a_close_waits_until_what_was_bought_before_it_is_booked() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        for (number, part) in [(10, dec!(0)), (20, dec!(0.4))] {
            exchange.filled_so_far(part);
            let bought = process.trading.handle_signal(buy(number)).await.unwrap().order.unwrap();
            assert!(!bought.status.is_final(), "{bought:?}");
            held_back(&process, &close(number + 1)).await;
            // Another symbol has nothing to do with it.
            let other = Signal { symbol: "ETHUSDT".parse().unwrap(), ..close(number + 2) };
            assert_eq!(process.trading.handle_signal(other).await.unwrap().result, SignalResult::Refused);
            exchange.filled_so_far(dec!(1));
            held_back(&process, &close(number + 1)).await;
            let kept = process.trading.find(&bought.id).await.unwrap();
            assert_eq!(process.trading.ask(kept).await.unwrap().order.status, OrderStatus::Filled);
            let closed = process.trading.handle_signal(close(number + 1)).await.unwrap().order.unwrap();
            assert_eq!((closed.status, closed.quantity), (OrderStatus::Filled, dec!(0.001)), "all of it");
            assert_eq!(held(&process).await, dec!(0));
        }
    });
}

#[test]
fn a_close_waits_for_what_is_being_sent_and_for_what_nobody_knows() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        exchange.plan([Placing::Lost]);
        let lost = process.trading.handle_signal(buy(1)).await;
        assert!(matches!(lost, Err(TradingError::Unknown(_))), "{lost:?}");
        held_back(&process, &close(2)).await;
        eventually("the first is known", async || process.trading.handle_signal(buy(1)).await.ok()).await;
        let closed = process.trading.handle_signal(close(2)).await.unwrap().order.unwrap();
        assert_eq!((closed.status, held(&process).await), (OrderStatus::Filled, dec!(0)));
        // Another process has it in its hands.
        let careful = |rules: &mut Rules| rules.confirm_within = Some(Duration::from_secs(60));
        let other = Process::with(&database, &exchange, &prices, careful).await;
        let kept = claimed(&other, 3).await;
        let close = Signal { action: SignalAction::Close, quantity: None, ..signal(4) };
        let close = Signal { symbol: kept.order.symbol.clone(), ..close };
        held_back(&process, &close).await;
        assert_eq!(other.trading.send_claimed(kept).await.unwrap().order.status, OrderStatus::Filled);
        let closed = process.trading.handle_signal(close).await.unwrap().order.unwrap();
        assert_eq!((closed.status, closed.quantity), (OrderStatus::Filled, dec!(0.001)));
    });
}

#[test]
fn neither_what_rests_nor_what_waits_for_a_person_holds_a_close_back() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        process.trading.handle_signal(buy(1)).await.unwrap();
        let rests = Signal { limit_price: Some(dec!(1000)), ..buy(2) };
        let rests = process.trading.handle_signal(rests).await.unwrap().order.unwrap();
        assert_eq!(rests.status, OrderStatus::Submitted);
        let careful = |rules: &mut Rules| rules.confirm_within = Some(Duration::from_secs(60));
        let other = Process::with(&database, &exchange, &prices, careful).await;
        let waits = other.trading.handle_signal(buy(3)).await.unwrap();
        assert_eq!(waits.result, SignalResult::AwaitingConfirmation);
        // One that has only just got there may still be filled at once.
        held_back(&process, &close(4)).await;
        let closed = eventually("it rests", async || process.trading.handle_signal(close(4)).await.ok()).await;
        assert_eq!((closed.order.unwrap().status, held(&process).await), (OrderStatus::Filled, dec!(0)));
        for (id, status) in [(rests.id, OrderStatus::Submitted), (waits.signal_id, OrderStatus::New)] {
            assert_eq!(process.trading.find(&id).await.unwrap().order.status, status);
        }
    });
}

#[test]
fn a_close_that_is_refused_for_another_reason_does_not_wait() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        exchange.filled_so_far(dec!(0));
        let foreign = "DOGEUSDT".parse().unwrap();
        process.trading.handle_signal(buy(1)).await.unwrap();
        let narrow = Process::with(&database, &exchange, &prices, |rules| rules.limits.symbols = vec![foreign]).await;
        let outcome = narrow.trading.handle_signal(close(2)).await.unwrap();
        assert_eq!(outcome.refusal.unwrap().code, RefusalCode::SymbolNotAllowed);
    });
}

/// The exchange could not be reached when it was to be sent, and its signal does not come again before the close.
#[test]
fn what_was_to_be_sent_before_a_close_is_not_sent_after_it() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        process.trading.handle_signal(buy(1)).await.unwrap();
        for (number, result) in [(10, SignalResult::Ordered), (20, SignalResult::Refused)] {
            exchange.plan([Placing::NotSent]);
            let waits = process.trading.handle_signal(buy(number)).await;
            assert!(matches!(waits, Err(TradingError::Exchange(_))), "{waits:?}");
            let outcome = process.trading.handle_signal(close(number + 1)).await.unwrap();
            assert_eq!((outcome.result, held(&process).await), (result, dec!(0)));
            let ended = process.trading.handle_signal(buy(number)).await.unwrap().order.unwrap();
            let reason = ended.reason.as_deref();
            assert_eq!((ended.status, reason), (OrderStatus::Cancelled, Some("a later signal closes the position")));
            assert_eq!((exchange.taken(&ended.id), held(&process).await), (0, dec!(0)));
        }
    });
}

/// It may have waited for long behind an order that nobody knew about.
#[test]
fn a_close_is_never_too_old() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        process.trading.handle_signal(buy(1)).await.unwrap();
        let long_ago = Utc::now() - TimeDelta::hours(5);
        let old = |signal: Signal| Signal { received_at: long_ago, alerted_at: Some(long_ago), ..signal };
        let opens = process.trading.handle_signal(old(buy(2))).await.unwrap();
        assert_eq!(opens.refusal.unwrap().code, RefusalCode::SignalTooOld);
        // It could not be sent at once either, and is looked after later.
        exchange.plan([Placing::NotSent]);
        let waits = process.trading.handle_signal(old(close(3))).await;
        assert!(matches!(waits, Err(TradingError::Exchange(_))), "{waits:?}");
        let closed = process.trading.handle_signal(old(close(3))).await.unwrap().order.unwrap();
        assert_eq!((closed.status, held(&process).await), (OrderStatus::Filled, dec!(0)));
        let nothing = process.trading.handle_signal(old(close(4))).await.unwrap();
        assert_eq!(nothing.refusal.unwrap().code, RefusalCode::NothingToClose, "and is told why");
    });
}
