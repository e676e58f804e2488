//! A database, prices, and any number of processes on them.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use chrono::Utc;
use domain::trading::{OrderKind, OrderStatus, Side, Signal, SignalAction, SignalSource, TradeOrder};
use domain::{DecisionId, TradingMode};
use rust_decimal_macros::dec;
use serde_json::json;
use storage::testing::TestDatabase;
use storage::{Database, outbox};
use tokio::sync::Notify;
use url::Url;
use web::CancellationToken;
use web::testing::{eventually, fake};

use super::exchange::{Fake, PRICE};
use crate::trading::clock::now;
use crate::trading::core::{Core, Trading};
use crate::trading::fees::LateFees;
use crate::trading::missing::Missing;
use crate::trading::prices::Prices;
use crate::trading::rules::{Rules, SendTimes};
use crate::trading::settings::TradingSettings;
use crate::trading::table::Kept;
use crate::trading::telling::Telling;
use crate::trading::values::Receiver;

/// Prices that are always fresh.
pub(super) fn prices() -> Url {
    fake(|request, _| async move {
        let symbol = request.path().rsplit('/').next().unwrap_or_default().to_owned();
        HttpResponse::Ok().json(json!({
            "symbol": symbol, "price": PRICE, "observed_at": Utc::now(), "age_ms": 1, "source": "rest",
        }))
    })
}

/// A process: what is in its memory ends with it, its database stays.
pub(super) struct Process {
    pub(super) trading: Trading,
    stop: CancellationToken,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Process {
    /// Begins one; its loops do not run.
    pub(super) async fn start(database: &TestDatabase, exchange: &Fake, prices: &Url) -> Self {
        Self::with(database, exchange, prices, |_| {}).await
    }

    /// The same with other rules.
    pub(super) async fn with(
        database: &TestDatabase,
        exchange: &Fake,
        prices: &Url,
        change: impl FnOnce(&mut Rules),
    ) -> Self {
        let migrations =
            vec![outbox::migration(2), crate::trading::migration(3), crate::trading::migration_of_differences(4)];
        let database = Database::open("order-service", &database.settings(), migrations).unwrap();
        let stop = CancellationToken::new();
        actix_web::rt::spawn(database.clone().keep_up(stop.clone()));
        eventually("the database is there", async || database.ready().await.ok()).await;
        let mut rules = TradingSettings::ephemeral(prices.clone()).checked().unwrap().unwrap().0;
        rules.times = SendTimes {
            answer: Duration::from_millis(50),
            recv_window: Duration::from_millis(50),
            margin: Duration::from_millis(300),
        };
        let own = (0..2_000).map(|number| format!("A{number}USDT").parse().unwrap());
        rules.limits.symbols.extend(own);
        change(&mut rules);
        // The trail is written, and nobody is there to take it.
        let nobody: Receiver = "http://127.0.0.1:1/".parse().unwrap();
        let telling = Telling::new(&database, &nobody, &nobody);
        let core = Core {
            database,
            rules,
            exchange: Box::new(exchange.clone()),
            prices: Prices::new(prices.clone()),
            telling,
            kick: Notify::new(),
            fees: LateFees::default(),
            missing: Missing::default(),
        };
        Self { trading: Trading { core: Arc::new(core) }, stop }
    }
}

pub(super) fn signal(number: usize) -> Signal {
    let id = DecisionId::from_bytes(u128::try_from(number).unwrap().to_be_bytes());
    Signal {
        signal_id: id,
        source: SignalSource::Tradingview,
        hook: Some("main".to_owned()),
        // One of its own: orders of a symbol wait for one that nobody knows about.
        symbol: format!("A{number}USDT").parse().unwrap(),
        action: SignalAction::Buy,
        quantity: Some(dec!(0.001)),
        notional: None,
        limit_price: None,
        seen_price: None,
        sender_order_id: None,
        comment: None,
        interval: None,
        paper_only: false,
        alerted_at: None,
        received_at: Utc::now(),
    }
}

/// An order that is written down and that nobody sends.
pub(crate) fn kept() -> Kept {
    let (signal, at) = (signal(1), now());
    let order = TradeOrder {
        id: signal.signal_id.clone(),
        revision: 1,
        source: signal.source,
        hook: None,
        comment: None,
        symbol: signal.symbol.clone(),
        side: Side::Buy,
        kind: OrderKind::Market,
        reduce_only: false,
        quantity: dec!(0.001),
        reference_price: PRICE,
        price_observed_at: at,
        mode: TradingMode::Paper,
        status: OrderStatus::New,
        reason: None,
        confirmation: None,
        exchange_order_id: None,
        filled_quantity: dec!(0),
        average_price: None,
        fee: dec!(0),
        realised_pnl: dec!(0),
        trace_id: None,
        received_at: at,
        created_at: at,
        submitted_at: None,
        updated_at: at,
        history: Vec::new(),
    };
    Kept { number: 1, order, signal, context: String::new(), claim: None, sent_at: None, cancel_by: None }
}
