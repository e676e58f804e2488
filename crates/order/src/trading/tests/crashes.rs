//! However a process ends, and whatever the exchange has heard by then: the next one makes it one order, never two.

use std::time::Duration;

use domain::trading::{Actor, OrderStatus, SignalOutcome, SignalResult, TradeOrder};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use storage::testing::{TestDatabase, engines};
use web::testing::{Killed, eventually};

use super::exchange::{Fake, Placing};
use super::world::{Process, prices, signal};
use crate::trading::core::ourselves;
use crate::trading::error::TradingError;
use crate::trading::moves::Told;
use crate::trading::rules::Rules;
use crate::trading::table::Kept;
use crate::trading::{ledger, lookups};

fn run(test: impl AsyncFn(TestDatabase)) {
    for database in engines() {
        actix_web::rt::System::new().block_on(test(database));
    }
}

/// The signal comes again until there is an outcome, as signal-service does it.
async fn delivered(process: &Process, number: usize) -> SignalOutcome {
    eventually("the signal has an outcome", async || match process.trading.handle_signal(signal(number)).await {
        Ok(outcome) => Some(outcome),
        Err(TradingError::Unknown(_) | TradingError::Exchange(_) | TradingError::Contended) => None,
        Err(error) => panic!("{error}"),
    })
    .await
}

/// The same, and then the order is looked after to its end, as the reconciliation does it.
async fn finished(process: &Process, number: usize) -> TradeOrder {
    let order = *delivered(process, number).await.order.unwrap();
    if order.status.is_final() {
        return order;
    }
    let kept = process.trading.find(&order.id).await.unwrap();
    process.trading.ask(kept).await.unwrap().order
}

/// Steps that are tried at least. How often work waits is not the same each time.
const LEAST_STEPS: usize = 20;

/// Kills a process at every step of a signal's handling; the exchange does the same each time.
async fn killed_at_every_step(database: &TestDatabase, placing: Placing) {
    let (exchange, prices) = (Fake::default(), prices());
    let mut steps = 0;
    loop {
        let process = Process::start(database, &exchange, &prices).await;
        exchange.plan(std::iter::repeat_n(placing, 1));
        let before = exchange.calls();
        let handled = Killed::after(steps, process.trading.handle_signal(signal(steps))).await;
        if exchange.calls() == before {
            exchange.forget_plan();
        }
        steps += 1;
        // A machine that is busy can be too slow to send at all, and a quick one waits seldom: neither ends the row early.
        if handled.is_some() && exchange.calls() > before && steps > LEAST_STEPS {
            break;
        }
        assert!(steps < 2_000, "it never ends");
    }
    // Whoever comes after them.
    let process = Process::start(database, &exchange, &prices).await;
    for number in 0..steps {
        let order = finished(&process, number).await;
        let expected = if placing == Placing::Refused { [0, 1] } else { [1, 1] };
        let taken = exchange.taken(&order.id);
        assert!(expected.contains(&taken), "killed at step {number}: the exchange has taken it {taken} times");
        let ended = if taken == 1 { OrderStatus::Filled } else { OrderStatus::Rejected };
        assert_eq!(order.status, ended, "killed at step {number}: {order:?}");
    }
    let core = &process.trading.core;
    assert!(lookups::open(&core.database, core.rules.mode).await.unwrap().is_empty());
    if placing != Placing::Refused {
        let all = ledger::all(&core.database, core.rules.mode).await.unwrap();
        let held = dec!(0.001) * Decimal::from(steps);
        let counted: Decimal = all.iter().map(|(_, ledger)| ledger.position.quantity).sum();
        assert_eq!(counted, held, "every fill is counted once");
    }
}

#[test]
fn a_process_killed_at_any_step_leaves_one_order() {
    run(async |database| killed_at_every_step(&database, Placing::Taken).await);
}

#[test]
fn killed_when_the_answer_is_lost() {
    run(async |database| killed_at_every_step(&database, Placing::TakenUnheard).await);
}

#[test]
fn killed_when_the_order_is_lost() {
    run(async |database| killed_at_every_step(&database, Placing::Lost).await);
}

#[test]
fn killed_when_the_order_arrives_late() {
    run(async |database| killed_at_every_step(&database, Placing::TakenLate).await);
}

#[test]
fn killed_when_it_is_refused() {
    run(async |database| killed_at_every_step(&database, Placing::Refused).await);
}

/// A person's yes is kept or not, and never half: then it is asked for again.
#[test]
fn killed_at_every_step_of_a_confirmation() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let careful = |rules: &mut Rules| rules.confirm_within = Some(Duration::from_secs(60));
        let by: Actor = "telegram:1001".parse().unwrap();
        let mut steps = 0;
        loop {
            let process = Process::with(&database, &exchange, &prices, careful).await;
            let waits = process.trading.handle_signal(signal(steps)).await.unwrap();
            assert_eq!(waits.result, SignalResult::AwaitingConfirmation);
            exchange.plan([if steps % 2 == 0 { Placing::Taken } else { Placing::TakenUnheard }]);
            let before = exchange.calls();
            let confirmed = Killed::after(steps, process.trading.confirm(&waits.signal_id, &by)).await;
            if exchange.calls() == before {
                exchange.forget_plan();
            }
            steps += 1;
            if confirmed.is_some() && exchange.calls() > before && steps > LEAST_STEPS {
                break;
            }
            assert!(steps < 2_000, "it never ends");
        }
        let process = Process::with(&database, &exchange, &prices, careful).await;
        for number in 0..steps {
            let id = signal(number).signal_id;
            let kept = process.trading.find(&id).await.unwrap();
            if kept.order.awaits_confirmation() {
                assert_eq!(exchange.taken(&id), 0, "killed at step {number}: nobody has said yes");
                process.trading.confirm(&id, &by).await.unwrap();
            }
            let order = finished(&process, number).await;
            assert_eq!((exchange.taken(&id), order.status), (1, OrderStatus::Filled), "killed at step {number}");
        }
    });
}

#[test]
fn a_forbidden_move_is_never_written() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let process = Process::start(&database, &exchange, &prices).await;
        let filled = finished(&process, 1).await;
        let kept = process.trading.find(&filled.id).await.unwrap();
        for status in OrderStatus::ALL.into_iter().filter(|status| *status != OrderStatus::Filled) {
            let told = Told::moved(ourselves());
            let refused = process.trading.write(&kept, |after| after.order.status = status, told).await;
            let Err(TradingError::ForbiddenMove { from: OrderStatus::Filled, to }) = refused else {
                panic!("filled became {status}");
            };
            assert_eq!(to, status);
        }
        // Nor does a write win that has seen an older order.
        let stale = Kept { order: TradeOrder { revision: 1, ..kept.order.clone() }, ..kept.clone() };
        let told = Told::noted(ourselves(), "order.fee");
        assert!(process.trading.write(&stale, |after| after.cancel_by = None, told).await.unwrap().is_none());
        assert_eq!(process.trading.find(&filled.id).await.unwrap(), kept, "nothing is written");
    });
}

#[test]
fn killed_again_and_again_while_recovering() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        exchange.plan([Placing::Lost, Placing::NotSent, Placing::TakenUnheard]);
        let mut steps = 0;
        let outcome = loop {
            let process = Process::start(&database, &exchange, &prices).await;
            // Each lives a little longer than the one before.
            let handled = Killed::after(steps, process.trading.handle_signal(signal(1))).await;
            if let Some(Ok(outcome)) = handled {
                break outcome;
            }
            steps += 1;
            assert!(steps < 2_000, "it never ends");
        };
        assert_eq!(outcome.result, SignalResult::Ordered);
        let process = Process::start(&database, &exchange, &prices).await;
        let order = finished(&process, 1).await;
        assert_eq!((exchange.taken(&order.id), order.status), (1, OrderStatus::Filled));
    });
}

#[test]
fn two_processes_at_once_send_one_order() {
    run(async |database| {
        let (exchange, prices) = (Fake::default(), prices());
        let one = Process::start(&database, &exchange, &prices).await;
        let other = Process::start(&database, &exchange, &prices).await;
        for number in 0..20 {
            let (first, second) = futures_util::join!(delivered(&one, number), delivered(&other, number));
            let id = first.order.as_ref().unwrap().id.clone();
            assert_eq!(Some(&id), second.order.as_ref().map(|order| &order.id));
            assert_eq!(exchange.taken(&id), 1);
            assert!(first.replayed || second.replayed, "one of them made it");
        }
        assert_eq!(exchange.calls(), 20);
    });
}
