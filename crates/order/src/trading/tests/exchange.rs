//! An exchange in memory. It takes an order as often as it is sent, so that sending twice shows.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::Utc;
use domain::trading::{OrderKind, OrderStatus};
use domain::{DecisionId, Symbol};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use rust_decimal::Decimal;
use rust_decimal_macros::dec;

use crate::trading::exchange::{Account, AskFailure, Exchange, Held, NewOrder, PlaceFailure, Report};

/// What a placing call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placing {
    /// It is taken, and the answer says so.
    Taken,
    /// It is taken, and the answer is lost.
    TakenUnheard,
    /// Nobody answers, and it arrives later, when it has been asked about already.
    TakenLate,
    /// It is lost on its way, and so is the answer.
    Lost,
    /// It does not leave.
    NotSent,
    /// It is refused.
    Refused,
}

#[derive(Default)]
struct Book {
    script: VecDeque<Placing>,
    /// How often each order was taken.
    taken: HashMap<DecisionId, (NewOrder, u32)>,
    /// On their way, and when they arrive.
    late: Vec<(Instant, NewOrder)>,
    calls: u32,
    /// What an order cost is not told yet.
    fees_are_late: bool,
    /// How much of an order at the market's price is not filled yet, of one.
    unfilled: Decimal,
    /// What was taken back, and how much of it was filled by then.
    taken_back: HashMap<DecisionId, Decimal>,
}

impl Book {
    fn take(&mut self, order: &NewOrder) {
        self.taken.entry(order.id.clone()).or_insert_with(|| (order.clone(), 0)).1 += 1;
    }

    /// Takes what has arrived by now.
    fn arrive(&mut self) {
        let now = Instant::now();
        let arrived: Vec<_> = self.late.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, order) in &arrived {
            self.take(order);
        }
    }
}

/// How late an order is that is late: a question is answered by then, and the exchange still takes it.
const LATE: Duration = Duration::from_millis(40);

#[derive(Clone, Default)]
pub(super) struct Fake {
    book: Arc<Mutex<Book>>,
}

pub(super) const PRICE: Decimal = dec!(40000);

impl Fake {
    /// What the next calls do; after them, all are taken.
    pub(super) fn plan(&self, script: impl IntoIterator<Item = Placing>) {
        self.book.lock().unwrap().script.extend(script);
    }

    /// What was planned and did not happen is planned no more.
    pub(super) fn forget_plan(&self) {
        self.book.lock().unwrap().script.clear();
    }

    /// How often an order was taken.
    pub(super) fn taken(&self, id: &DecisionId) -> u32 {
        let mut book = self.book.lock().unwrap();
        book.arrive();
        book.taken.get(id).map_or(0, |(_, times)| *times)
    }

    pub(super) fn fees_are_late(&self, late: bool) {
        self.book.lock().unwrap().fees_are_late = late;
    }

    /// How much of each order at the market's price is filled by now, of one; a limit order rests until the end.
    pub(super) fn filled_so_far(&self, part: Decimal) {
        self.book.lock().unwrap().unfilled = Decimal::ONE - part;
    }

    /// It knows nothing of what it has taken so far.
    pub(super) fn forget_everything(&self) {
        self.book.lock().unwrap().taken.clear();
    }

    pub(super) fn calls(&self) -> u32 {
        self.book.lock().unwrap().calls
    }

    fn report(&self, id: &DecisionId) -> Option<Report> {
        let mut book = self.book.lock().unwrap();
        book.arrive();
        let (order, _) = book.taken.get(id)?;
        let unfilled = if order.kind == OrderKind::Market { book.unfilled } else { Decimal::ONE };
        let taken_back = book.taken_back.get(id).copied();
        let filled = taken_back.unwrap_or(order.quantity * (Decimal::ONE - unfilled));
        Some(Report {
            exchange_order_id: format!("x-{id}"),
            status: Some(match filled {
                part if taken_back.is_some() && part < order.quantity => OrderStatus::Cancelled,
                part if part.is_zero() => OrderStatus::Submitted,
                part if part < order.quantity => OrderStatus::PartiallyFilled,
                _ => OrderStatus::Filled,
            }),
            filled,
            average_price: (!filled.is_zero()).then_some(PRICE),
            fee: if book.fees_are_late { Decimal::ZERO } else { filled * PRICE * dec!(0.0005) },
        })
    }
}

impl Exchange for Fake {
    fn place<'a>(&'a self, order: &'a NewOrder) -> LocalBoxFuture<'a, Result<String, PlaceFailure>> {
        async move {
            // On its way there, and on its way back.
            tokio::task::yield_now().await;
            let placing = {
                let mut book = self.book.lock().unwrap();
                book.calls += 1;
                let placing = book.script.pop_front().unwrap_or(Placing::Taken);
                if matches!(placing, Placing::Taken | Placing::TakenUnheard) {
                    book.take(order);
                }
                if placing == Placing::TakenLate {
                    book.late.push((Instant::now() + LATE, order.clone()));
                }
                placing
            };
            tokio::task::yield_now().await;
            match placing {
                Placing::Taken => Ok(format!("x-{}", order.id)),
                Placing::TakenUnheard | Placing::TakenLate | Placing::Lost => {
                    Err(PlaceFailure::Unknown("no answer in time".to_owned()))
                }
                Placing::NotSent => Err(PlaceFailure::NotSent("no connection".to_owned())),
                Placing::Refused => Err(PlaceFailure::Refused("insufficient margin".to_owned())),
            }
        }
        .boxed_local()
    }

    fn query<'a>(&'a self, _: &'a Symbol, id: &'a DecisionId) -> LocalBoxFuture<'a, Result<Report, AskFailure>> {
        async move {
            tokio::task::yield_now().await;
            self.report(id).ok_or_else(|| AskFailure::NoSuchOrder("order not exist".to_owned()))
        }
        .boxed_local()
    }

    fn cancel<'a>(&'a self, _: &'a Symbol, id: &'a DecisionId) -> LocalBoxFuture<'a, Result<(), AskFailure>> {
        async move {
            let order = self.report(id).ok_or_else(|| AskFailure::NoSuchOrder("order not exist".to_owned()))?;
            self.book.lock().unwrap().taken_back.entry(id.clone()).or_insert(order.filled);
            Ok(())
        }
        .boxed_local()
    }

    fn balance(&self) -> LocalBoxFuture<'_, Result<Account, AskFailure>> {
        let nothing = Decimal::ZERO;
        let asset = "USDT".to_owned();
        async move { Ok(Account { asset, balance: nothing, equity: nothing, available: nothing, as_of: Utc::now() }) }
            .boxed_local()
    }

    fn positions(&self) -> LocalBoxFuture<'_, Result<Vec<Held>, AskFailure>> {
        async move { Ok(Vec::new()) }.boxed_local()
    }
}
