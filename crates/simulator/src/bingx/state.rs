//! Everything the exchange knows. Whatever happens is a [`Change`]: worked out first, kept, and then made.

use std::collections::{BTreeMap, VecDeque};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::order::Order;

/// Time in which a client order id cannot be used again, in milliseconds: 24 hours.
pub(super) const ID_LIFETIME_MS: i64 = 24 * 3_600 * 1_000;
/// Orders that are kept; those that are final longest are forgotten first.
const MOST_ORDERS: usize = 5_000;
/// Client order ids that are kept; the oldest are forgotten first.
const MOST_IDS: usize = 50_000;

/// How often a client order id came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Seen {
    /// Placing calls with it that reached the exchange, those that were refused too.
    pub(crate) received: u64,
    /// Orders that came of them.
    pub(crate) accepted: u64,
    /// When it was used last, in milliseconds since 1970.
    pub(crate) last_ms: i64,
    /// When an order was accepted last, in milliseconds since 1970; 0 for never.
    #[serde(default)]
    pub(crate) accepted_ms: i64,
}

/// What happened, as the values that it leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<Account>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) orders: Vec<Order>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) seen: BTreeMap<String, Seen>,
    /// When everything is cancelled; `Some(0)` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancel_all_ms: Option<i64>,
    /// Orders that were accepted, ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) accepted: Option<u64>,
}

impl Change {
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The exchange.
#[derive(Debug)]
pub(super) struct State {
    pub(super) account: Account,
    /// By id, which is by age.
    pub(super) orders: BTreeMap<u64, Order>,
    pub(super) seen: BTreeMap<String, Seen>,
    /// Client ids in the order in which they came first.
    seen_order: VecDeque<String>,
    pub(super) cancel_all_ms: Option<i64>,
    pub(super) accepted: u64,
}

impl State {
    pub(super) fn new(balance: Decimal) -> Self {
        Self {
            account: Account::new(balance),
            orders: BTreeMap::new(),
            seen: BTreeMap::new(),
            seen_order: VecDeque::new(),
            cancel_all_ms: None,
            accepted: 0,
        }
    }

    /// The order of an id.
    pub(super) fn by_id(&self, id: u64) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// The newest order of a client id.
    pub(super) fn by_client_id(&self, id: &str) -> Option<&Order> {
        self.orders.values().rev().find(|order| order.client_id.as_deref() == Some(id))
    }

    /// Orders that wait or are filled in part, oldest first.
    pub(super) fn open(&self) -> impl Iterator<Item = &Order> {
        self.orders.values().filter(|order| order.is_open())
    }

    /// An id above 2^53 that no order has had.
    pub(super) fn next_id(&self, now_ms: i64) -> u64 {
        let by_time = u64::try_from(now_ms).unwrap_or_default().saturating_mul(1_000_000);
        self.orders.keys().next_back().map_or(by_time, |last| by_time.max(last + 1))
    }

    /// Makes a change.
    pub(super) fn apply(&mut self, change: Change) {
        if let Some(account) = change.account {
            self.account = account;
        }
        self.orders.extend(change.orders.into_iter().map(|order| (order.id, order)));
        for (id, seen) in change.seen {
            if self.seen.insert(id.clone(), seen).is_none() {
                self.seen_order.push_back(id);
            }
        }
        if let Some(at) = change.cancel_all_ms {
            self.cancel_all_ms = Some(at).filter(|at| *at > 0);
        }
        self.accepted = change.accepted.unwrap_or(self.accepted);
        self.forget();
    }

    fn forget(&mut self) {
        while self.orders.len() > MOST_ORDERS
            && let Some(id) = self.orders.values().find(|order| !order.is_open()).map(|order| order.id)
        {
            self.orders.remove(&id);
        }
        while self.seen.len() > MOST_IDS
            && let Some(id) = self.seen_order.pop_front()
        {
            self.seen.remove(&id);
        }
    }

    /// Everything, as changes that make it again.
    pub(super) fn whole(&self) -> impl Iterator<Item = Change> + '_ {
        let head = Change {
            account: Some(self.account.clone()),
            cancel_all_ms: self.cancel_all_ms,
            accepted: Some(self.accepted),
            ..Change::default()
        };
        let orders = self.orders.values().map(|order| Change { orders: vec![order.clone()], ..Change::default() });
        let seen = self.seen_order.iter().filter_map(|id| {
            let seen = BTreeMap::from([(id.clone(), *self.seen.get(id)?)]);
            Some(Change { seen, ..Change::default() })
        });
        std::iter::once(head).chain(orders).chain(seen)
    }
}
