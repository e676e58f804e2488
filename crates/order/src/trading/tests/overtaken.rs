//! What happens between the claim of an order and the sending of it, and beside an order that nobody knows about.

use std::time::Duration;

use domain::trading::{Actor, OrderStatus, RefusalCode, Signal, SignalAction, SignalResult, TradingState};
use rust_decimal_macros::dec;
use storage::testing::{TestDatabase, engines};
use storage::{QueryType, Statement};
use tokio::time::Instant;
use web::testing::eventually;

use super::exchange::{Fake, Placing};
use super::world::{Process, prices, signal};
use crate::trading::admission;
use crate::trading::core::ourselves;
use crate::trading::error::TradingError;
use crate::trading::ledger;
use crate::trading::moves::Told;
use crate::trading::rules::Rules;
use crate::trading::state::{self, Wish};
use crate::trading::table::{Kept, TABLE};

fn run(test: impl AsyncFn(TestDatabase)) {
    for database in engines() {
        actix_web::rt::System::new().block_on(test(database));
    }
}

fn careful(rules: &mut Rules) {
    rules.confirm_within = Some(Duration::from_secs(60));
}

/// An order that is written down and claimed, and on its way to be sent.
pub(super) async fn claimed(process: &Process, number: usize) -> Kept {
    let waits = process.trading.handle_signal(signal(number)).await.unwrap();
    assert_eq!(waits.result, SignalResult::AwaitingConfirmation);
    let kept = process.trading.find(&waits.signal_id).await.unwrap();
    let quote = process.trading.core.prices.of(&kept.order.symbol).await;
    let told = Told::noted(ourselves(), "order.sending");
    let decided = |after: &mut Kept| {
        after.order.confirmation = None;
        Ok(())
    };
    process.trading.claim(&kept, quote, decided, told).await.unwrap().unwrap()
}

async fn becomes(process: &Process, state: TradingState) {
    let core = &process.trading.core;
    state::change(&core.database, &core.telling, &Wish::To(state), &ourselves(), None).await.unwrap();
}

#[test]
fn what_is_halted_or_wanted_back_before_it_is_sent_is_not_sent() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::with(&database, &exchange, &prices, careful).await;
        for (number, state) in [(1, TradingState::Halted), (2, TradingState::Reducing)] {
            let kept = claimed(&process, number).await;
            let id = kept.id().clone();
            becomes(&process, state).await;
            let sent = process.trading.send_claimed(kept).await;
            assert!(matches!(sent, Err(TradingError::Contended)), "{state}: {sent:?}");
            let kept = process.trading.find(&id).await.unwrap();
            assert!(kept.is_idle(), "{state}: the claim is given up: {kept:?}");
            let ended = process.trading.go_on(kept).await.unwrap();
            assert_eq!((ended.order.status, exchange.taken(&id)), (OrderStatus::Cancelled, 0), "{state}");
            becomes(&process, TradingState::Running).await;
        }
        let kept = claimed(&process, 3).await;
        let (id, by) = (kept.id().clone(), "telegram:1001".parse::<Actor>().unwrap());
        assert!(matches!(process.trading.cancel(&id, &by).await, Err(TradingError::Unknown(_))));
        assert!(process.trading.send_claimed(kept).await.is_err());
        let order = process.trading.cancel(&id, &by).await.unwrap();
        assert_eq!((order.status, exchange.taken(&id)), (OrderStatus::Cancelled, 0));
        assert_eq!(exchange.calls(), 0, "nothing was sent at all");
    });
}

#[test]
fn beside_an_order_that_nobody_knows_about_another_waits() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        let same = |number: usize, action: SignalAction| Signal {
            symbol: "BTCUSDT".parse().unwrap(),
            action,
            quantity: Some(dec!(0.001)),
            ..signal(number)
        };
        let held = process.trading.handle_signal(same(1, SignalAction::Buy)).await.unwrap();
        assert_eq!(held.order.unwrap().status, OrderStatus::Filled);
        exchange.plan([Placing::Lost]);
        let lost = process.trading.handle_signal(same(2, SignalAction::Buy)).await;
        assert!(matches!(lost, Err(TradingError::Unknown(_))), "{lost:?}");
        // Nothing is written of it: its signal keeps its place before those that come later.
        for _ in 0..2 {
            let waits = process.trading.handle_signal(same(3, SignalAction::Buy)).await;
            assert!(matches!(waits, Err(TradingError::Uncertain(_))), "{waits:?}");
        }
        let written = process.trading.find(&signal(3).signal_id).await;
        assert!(matches!(written, Err(TradingError::NoSuchOrder(_))), "{written:?}");
        // Another symbol does not wait.
        let other = Signal { symbol: "ETHUSDT".parse().unwrap(), ..same(5, SignalAction::Buy) };
        assert_eq!(process.trading.handle_signal(other).await.unwrap().order.unwrap().status, OrderStatus::Filled);
        // Once it is known, the other goes out.
        let sent = eventually("the first is known", async || {
            process.trading.handle_signal(same(2, SignalAction::Buy)).await.ok()
        })
        .await;
        assert_eq!(sent.order.unwrap().status, OrderStatus::Filled);
        let went = process.trading.handle_signal(same(3, SignalAction::Buy)).await.unwrap();
        assert_eq!((went.order.unwrap().status, exchange.taken(&signal(3).signal_id)), (OrderStatus::Filled, 1));
    });
}

/// Booking locks the position, and not what admits orders. So what is booked while the limits are asked counts as coming,
/// or as held, or as both, and never as neither. SQLite has one writer, and nothing to try here.
#[test]
fn what_is_booked_while_the_limits_are_asked_counts() {
    run(async |database| {
        if database.engine() != "postgresql" {
            return;
        }
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::with(&database, &exchange, &prices, |rules| {
            // One such order, and not two.
            rules.limits.max_position_notional_usd = dec!(50);
        })
        .await;
        exchange.filled_so_far(dec!(0));
        let bought = process.trading.handle_signal(signal(1)).await.unwrap().order.unwrap();
        assert_eq!(bought.status, OrderStatus::Submitted);
        let core = process.trading.core.clone();
        let asks = Statement::new(QueryType::Update, TABLE, "LOCK TABLE trade_orders IN ACCESS EXCLUSIVE MODE");
        let mut booking = core.database.begin().await.unwrap();
        booking.execute(asks).await.unwrap();
        let second = Signal { symbol: bought.symbol.clone(), ..signal(2) };
        let (trading, id) = (process.trading.clone(), second.signal_id.clone());
        let of = second.symbol.clone();
        let admission = actix_web::rt::spawn(async move {
            let mut transaction = trading.core.database.begin().await.unwrap();
            let behind = admission::behind_lock(&mut transaction, &trading.core.rules, &of, &id).await.unwrap();
            transaction.rollback().await.unwrap();
            behind
        });
        eventually("it waits for the table of orders", async || {
            let sql = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = 'trade_orders'::regclass AND \
                database = (SELECT oid FROM pg_database WHERE datname = current_database())";
            let waiting = Statement::new(QueryType::Select, TABLE, sql);
            let (count,): (i64,) = core.database.fetch_one(waiting).await.unwrap();
            (count == 1).then_some(())
        })
        .await;
        let mut ledger = ledger::lock(&mut booking, core.rules.mode, &bought.symbol).await.unwrap();
        ledger.position.quantity = bought.quantity;
        ledger::set(&mut booking, core.rules.mode, &bought.symbol, &ledger).await.unwrap();
        let sql = "UPDATE trade_orders SET status = 'filled', filled_quantity = quantity WHERE id = $1";
        let filled = Statement::new(QueryType::Update, TABLE, sql).bind(bought.id.as_str());
        assert_eq!(booking.execute(filled).await.unwrap(), 1);
        booking.commit().await.unwrap();
        let behind = admission.await.unwrap();
        let quote = core.prices.of(&second.symbol).await.unwrap();
        let refusal = behind.admit_signal(&core.rules, &second, Some(&quote)).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::PositionTooLarge);
    });
}

#[test]
fn a_fee_that_is_told_after_the_end_is_booked() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        exchange.fees_are_late(true);
        let order = process.trading.handle_signal(signal(1)).await.unwrap().order.unwrap();
        assert_eq!((order.status, order.fee), (OrderStatus::Filled, dec!(0)));
        let later = |seconds: u64| Instant::now() + Duration::from_secs(seconds);
        process.trading.ask_for_fees(later(3)).await;
        assert_eq!(process.trading.find(&order.id).await.unwrap().order.fee, dec!(0), "it is not told yet");
        exchange.fees_are_late(false);
        process.trading.ask_for_fees(later(10)).await;
        let after = process.trading.find(&order.id).await.unwrap().order;
        assert_eq!((after.status, after.fee), (OrderStatus::Filled, dec!(0.02)));
        process.trading.ask_for_fees(later(60)).await;
        let core = &process.trading.core;
        let all = ledger::all(&core.database, core.rules.mode).await.unwrap();
        assert_eq!((all[0].1.fees, all[0].1.position.quantity), (dec!(0.02), dec!(0.001)), "once");
        assert_eq!(ledger::realised_today(&core.database, core.rules.mode).await.unwrap(), dec!(-0.02));
    });
}

#[test]
fn a_fee_that_is_told_late_of_what_was_filled_before_the_rest_was_taken_back_is_booked() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        exchange.fees_are_late(true);
        exchange.filled_so_far(dec!(0.5));
        let order = process.trading.handle_signal(signal(1)).await.unwrap().order.unwrap();
        assert_eq!((order.status, order.fee), (OrderStatus::PartiallyFilled, dec!(0)));
        let taken = process.trading.cancel(&order.id, &"cli".parse().unwrap()).await.unwrap();
        assert_eq!((taken.status, taken.filled_quantity, taken.fee), (OrderStatus::Cancelled, dec!(0.0005), dec!(0)));
        exchange.fees_are_late(false);
        process.trading.ask_for_fees(Instant::now() + Duration::from_secs(3)).await;
        let after = process.trading.find(&order.id).await.unwrap().order;
        assert_eq!((after.status, after.fee), (OrderStatus::Cancelled, dec!(0.01)));
        let core = &process.trading.core;
        assert_eq!(ledger::realised_today(&core.database, core.rules.mode).await.unwrap(), dec!(-0.01));
    });
}

#[test]
fn what_is_at_its_end_and_the_exchange_has_forgotten_stays_as_it_is() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        exchange.fees_are_late(true);
        let order = process.trading.handle_signal(signal(1)).await.unwrap().order.unwrap();
        assert!(process.trading.core.fees.next().is_some());
        exchange.forget_everything();
        let kept = process.trading.find(&order.id).await.unwrap();
        let asked = process.trading.ask(kept.clone()).await.unwrap();
        assert_eq!(asked, kept, "it is not missing: nothing comes after its end");
        process.trading.ask_for_fees(Instant::now() + Duration::from_secs(3)).await;
        assert_eq!(process.trading.core.fees.next(), None, "and it is asked about no more");
        assert_eq!(process.trading.find(&order.id).await.unwrap(), kept);
    });
}
