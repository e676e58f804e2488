//! The exchange behind one lock: every change is kept, then made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use rust_decimal::Decimal;
use url::Url;

use super::account::Account;
use super::error::ApiError;
use super::journal::{Journal, JournalError};
use super::limits::OrderRate;
use super::order::{NewOrder, Order};
use super::price::PriceSource;
use super::rules::Prices;
use super::signature::Keys;
use super::state::{Change, Seen, State};
use crate::faults::Trick;
use crate::market::Market;

/// Settings of the exchange.
pub(crate) struct Settings<'a> {
    pub(crate) api_key: secrecy::SecretString,
    pub(crate) secret_key: secrecy::SecretString,
    /// Paper money to begin with, in USDT.
    pub(crate) balance: Decimal,
    pub(crate) orders_per_second: u32,
    /// market-data-service, when its prices are to be used.
    pub(crate) price_url: Option<&'a Url>,
    /// Where the account is kept; nowhere without.
    pub(crate) data_dir: Option<&'a Path>,
}

/// BingX, as far as one account sees it.
pub(crate) struct Bingx {
    pub(super) keys: Keys,
    pub(super) rate: OrderRate,
    pub(super) prices: PriceSource,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    journal: Option<Journal>,
}

impl Inner {
    fn commit(&mut self, change: Change) -> Result<(), ApiError> {
        if change.is_nothing() {
            return Ok(());
        }
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.append(&change)
        {
            tracing::error!(error = %error, "the paper account cannot be kept; what was asked for is not done");
            return Err(ApiError::not_kept());
        }
        self.state.apply(change);
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.compact(&self.state)
        {
            tracing::warn!(error = %error, "the paper account's file cannot be written anew and goes on growing");
        }
        Ok(())
    }
}

/// The account at a moment.
pub(super) struct Books {
    pub(super) account: Account,
    pub(super) available: Decimal,
    pub(super) frozen: Decimal,
}

/// Everything, for `/control/bingx`.
pub(super) struct Overview {
    pub(super) books: Books,
    /// Oldest first.
    pub(super) orders: Vec<Order>,
    pub(super) seen: BTreeMap<String, Seen>,
    pub(super) cancel_all_ms: Option<i64>,
    pub(super) accepted: u64,
    pub(super) kept: bool,
}

impl Bingx {
    /// The account as it was left, or a new one.
    pub(crate) fn new(settings: Settings<'_>) -> Result<Self, JournalError> {
        let mut state = State::new(settings.balance);
        let journal = settings.data_dir.map(|folder| Journal::open(folder, &mut state)).transpose()?;
        Ok(Self {
            keys: Keys { api_key: settings.api_key, secret_key: settings.secret_key },
            rate: OrderRate::new(settings.orders_per_second),
            prices: PriceSource::new(settings.price_url),
            inner: Mutex::new(Inner { state, journal }),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change is whole when the lock is released; a panic elsewhere cannot have left one half-made.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a placing call and refuses a client id that is in use.
    pub(super) fn receive(&self, client_id: Option<&str>, now_ms: i64) -> Result<(), ApiError> {
        let Some(id) = client_id else { return Ok(()) };
        let mut inner = self.inner();
        let change = inner.state.receive(id, now_ms);
        inner.commit(change)?;
        inner.state.check_unused(id, now_ms)
    }

    /// Takes an order at the price of the moment.
    pub(super) fn place(
        &self,
        new: &NewOrder,
        price: Decimal,
        trick: Option<Trick>,
        now_ms: i64,
    ) -> Result<Order, ApiError> {
        let mut inner = self.inner();
        let (order, change) = inner.state.place(new, price, trick, now_ms)?;
        inner.commit(change)?;
        Ok(order)
    }

    /// The order of a symbol that `which` names.
    pub(super) fn find(&self, symbol: &str, which: &Which) -> Result<Order, ApiError> {
        let inner = self.inner();
        let order = match which {
            Which::Id(id) => inner.state.by_id(*id),
            Which::ClientId(id) => inner.state.by_client_id(id),
        };
        order.filter(|order| order.symbol == symbol).cloned().ok_or_else(ApiError::no_such_order)
    }

    pub(super) fn cancel(&self, symbol: &str, which: &Which, now_ms: i64) -> Result<Order, ApiError> {
        let order = self.find(symbol, which)?;
        let mut inner = self.inner();
        // It may have been filled since.
        let order = inner.state.by_id(order.id).cloned().ok_or_else(ApiError::no_such_order)?;
        let (order, change) = inner.state.cancel(&order, now_ms)?;
        inner.commit(change)?;
        Ok(order)
    }

    /// Open orders, oldest first.
    pub(super) fn open(&self) -> Vec<Order> {
        self.inner().state.open().cloned().collect()
    }

    /// Cancels everything at a time; `None` for never.
    pub(super) fn cancel_all_at(&self, at_ms: Option<i64>) -> Result<(), ApiError> {
        self.inner().commit(Change { cancel_all_ms: Some(at_ms.unwrap_or(0)), ..Change::default() })
    }

    pub(super) fn books(&self) -> Books {
        books(&self.inner().state)
    }

    pub(super) fn overview(&self) -> Overview {
        let inner = self.inner();
        Overview {
            books: books(&inner.state),
            orders: inner.state.orders.values().cloned().collect(),
            seen: inner.state.seen.clone(),
            cancel_all_ms: inner.state.cancel_all_ms,
            accepted: inner.state.accepted,
            kept: inner.journal.is_some(),
        }
    }

    /// Does what is due: the time to cancel everything may have come, and prices may have crossed those of open orders.
    /// Symbols without a price are left as they are.
    pub(super) async fn look(&self, market: &Market, hold_rests: bool, now_ms: i64) -> Result<(), ApiError> {
        let symbols: BTreeSet<String> = {
            let mut inner = self.inner();
            if inner.state.cancel_all_ms.is_some_and(|at| at <= now_ms) {
                let change = inner.state.cancel_all(now_ms);
                tracing::warn!(
                    orders = change.orders.len(),
                    "cancelAllAfter: nobody renewed it, open orders are cancelled"
                );
                inner.commit(change)?;
            }
            inner.state.open().map(|order| order.symbol.clone()).collect()
        };
        // At the same time: the caller waits for all of them.
        let asked = symbols.into_iter().map(|symbol| async {
            let price = self.prices.price(market, &symbol).await.ok()?;
            Some((symbol, price))
        });
        let prices: Prices = join_all(asked).await.into_iter().flatten().collect();
        let mut inner = self.inner();
        let change = inner.state.look(&prices, hold_rests, now_ms);
        inner.commit(change)
    }
}

fn books(state: &State) -> Books {
    Books { account: state.account.clone(), available: state.available_margin(), frozen: state.frozen_margin() }
}

/// How an order is named in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    Id(u64),
    /// Lower case.
    ClientId(String),
}

#[cfg(test)]
mod tests {
    use rust_decimal_macros::dec;

    use super::super::order::{Kind, Side, Status, TimeInForce};
    use super::*;
    use crate::world::now_ms;

    fn market() -> Market {
        Market::new(std::num::NonZeroU16::MIN, crate::StartAt::default(), 1, now_ms()).unwrap()
    }

    fn bingx(data_dir: Option<&Path>) -> Bingx {
        Bingx::new(Settings {
            api_key: "key".into(),
            secret_key: "secret".into(),
            balance: dec!(10000),
            orders_per_second: 10,
            price_url: None,
            data_dir,
        })
        .unwrap()
    }

    fn far_below(symbol: &str) -> NewOrder {
        NewOrder {
            symbol: symbol.to_owned(),
            side: Side::Buy,
            kind: Kind::Limit { price: dec!(10), time_in_force: TimeInForce::Gtc },
            quantity: dec!(1),
            reduce_only: false,
            client_id: Some("dead".to_owned()),
        }
    }

    #[actix_web::test]
    async fn the_dead_mans_time_cancels_what_waits_and_comes_once() {
        let (market, bingx) = (market(), bingx(None));
        let order = bingx.place(&far_below("BTC-USDT"), dec!(40000), None, 1).unwrap();
        let status = || bingx.find("BTC-USDT", &Which::Id(order.id)).unwrap().status;
        bingx.cancel_all_at(Some(60_000)).unwrap();
        bingx.look(&market, false, 59_999).await.unwrap();
        assert_eq!(status(), Status::Pending);
        bingx.cancel_all_at(Some(90_000)).unwrap();
        bingx.look(&market, false, 60_000).await.unwrap();
        assert_eq!(status(), Status::Pending, "it was renewed");
        bingx.look(&market, false, 90_000).await.unwrap();
        assert_eq!((status(), bingx.overview().cancel_all_ms), (Status::Cancelled, None));
    }

    #[test]
    fn what_cannot_be_kept_does_not_happen() {
        let folder = tempfile::tempdir().unwrap();
        let bingx = bingx(Some(folder.path()));
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let Ok(full) = full else { return };
        bingx.inner().journal.as_mut().unwrap().write_to(full);
        assert_eq!(bingx.place(&far_below("BTC-USDT"), dec!(40000), None, 1), Err(ApiError::not_kept()));
        assert_eq!((bingx.open().len(), bingx.overview().accepted), (0, 0));
    }
}
