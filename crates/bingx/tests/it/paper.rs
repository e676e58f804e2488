//! The client against the simulator's BingX, good days and bad ones.

use bingx::{
    Client, NewOrder, NotSent, OrderKind, OrderStatus, PlaceError, QueryError, RefusalKind, Settings, Side, TimeInForce,
};
use domain::Symbol;
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use serde_json::{Value, json};
use simulator::{Config, DEFAULT_BINGX_API_KEY, DEFAULT_BINGX_SECRET_KEY};
use web::testing::{call, eventually, get, post, url};

use crate::support::{ID, market};

struct Exchange {
    server: web::RunningServer,
    client: Client,
}

fn bitcoin() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn buy(quantity: Decimal, id: &str) -> NewOrder {
    market("BTCUSDT", Side::Buy, quantity, id)
}

impl Exchange {
    async fn start() -> Self {
        telemetry::testing::init();
        let server = simulator::start(Config::ephemeral()).await.unwrap();
        let client = Self::client(&server, DEFAULT_BINGX_SECRET_KEY);
        Self { server, client }
    }

    fn client(server: &web::RunningServer, secret: &str) -> Client {
        Client::new(Settings::new(server.base_url(), DEFAULT_BINGX_API_KEY.into(), secret.into())).unwrap()
    }

    async fn fault(&self, mut fault: Value) {
        fault["target"] = json!("bingx");
        fault["duration_ms"] = json!(60_000);
        let answer = post(&url(&self.server, "/control/faults"), &fault).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    async fn all_well(&self) {
        call("DELETE", &url(&self.server, "/control/faults")).await.ok();
    }

    /// How many orders came of a client id.
    async fn accepted(&self, id: &str) -> u64 {
        let control = get(&url(&self.server, "/control/bingx")).await.ok();
        control["client_order_ids"][id]["accepted"].as_u64().unwrap_or_default()
    }
}

#[actix_web::test]
async fn orders_are_placed_found_and_booked() {
    let exchange = Exchange::start().await;
    let client = &exchange.client;
    let before = client.balance().await.unwrap();
    assert_eq!((before.asset.as_str(), before.balance, before.available_margin), ("USDT", dec!(10000), dec!(10000)));
    let placed = client.place(&buy(dec!(0.05), &ID.to_uppercase())).await.unwrap();
    assert_eq!((placed.client_order_id.as_str(), &placed.symbol), (ID, &bitcoin()));

    let bought = client.order_by_client_id(&bitcoin(), &ID.to_uppercase()).await.unwrap();
    assert_eq!((&bought.exchange_order_id, bought.client_order_id.as_str()), (&placed.exchange_order_id, ID));
    assert_eq!((&bought.status, bought.side, bought.price), (&OrderStatus::Filled, Side::Buy, None));
    assert_eq!((bought.original_quantity, bought.executed_quantity), (dec!(0.05), dec!(0.05)));
    let price = bought.average_price.unwrap();
    assert_eq!(bought.commission, (price * dec!(0.05) * dec!(0.0005)).round_dp(8), "positive is a cost");
    assert!(bought.update_time.is_some());

    let positions = client.positions().await.unwrap().open;
    assert_eq!(
        (&positions[0].symbol, positions[0].amount, positions[0].average_price),
        (&bitcoin(), dec!(0.05), price)
    );
    let turn = NewOrder { side: Side::Sell, ..buy(dec!(0.08), "turn") };
    client.place(&turn).await.unwrap();
    assert_eq!(client.positions().await.unwrap().open[0].amount, dec!(-0.03));
    let close = NewOrder { reduce_only: true, ..buy(dec!(0.03), "close") };
    client.place(&close).await.unwrap();
    assert!(client.positions().await.unwrap().open.is_empty());
    let mut profit = Decimal::ZERO;
    for id in [ID, "turn", "close"] {
        let order = client.order_by_client_id(&bitcoin(), id).await.unwrap();
        profit += order.realised_profit - order.commission;
    }
    let after = client.balance().await.unwrap();
    assert_eq!((after.balance, after.equity), (dec!(10000) + profit, after.balance));
    assert!((client.server_time().await.unwrap() - chrono::Utc::now()).num_seconds().abs() < 60);
    exchange.server.stop().await;
}

#[actix_web::test]
async fn limit_orders_wait_until_they_are_cancelled() {
    let exchange = Exchange::start().await;
    let client = &exchange.client;
    let kind = |time_in_force| OrderKind::Limit { price: dec!(1234.5), time_in_force };
    let waiting = NewOrder { kind: kind(TimeInForce::GoodTillCancelled), ..buy(dec!(0.1), "waiting") };
    client.place(&waiting).await.unwrap();
    let order = client.order_by_client_id(&bitcoin(), "waiting").await.unwrap();
    assert_eq!((&order.status, order.price, order.average_price), (&OrderStatus::Pending, Some(dec!(1234.5)), None));
    assert!(client.balance().await.unwrap().frozen_margin > Decimal::ZERO);
    client.cancel(&bitcoin(), "waiting").await.unwrap();
    let order = client.order_by_client_id(&bitcoin(), "waiting").await.unwrap();
    assert_eq!((order.status, order.executed_quantity), (OrderStatus::Cancelled, dec!(0)));
    let twice = client.cancel(&bitcoin(), "waiting").await;
    assert!(matches!(twice, Err(QueryError::Refused(_))), "{twice:?}");
    client.place(&NewOrder { kind: kind(TimeInForce::FillOrKill), ..buy(dec!(0.1), "now") }).await.unwrap();
    assert_eq!(client.order_by_client_id(&bitcoin(), "now").await.unwrap().status, OrderStatus::Cancelled);
    exchange.server.stop().await;
}

#[actix_web::test]
async fn refusals_say_that_there_is_no_order_and_duplicates_that_there_is_one() {
    let exchange = Exchange::start().await;
    let refused = async |client: &Client, order: NewOrder| match client.place(&order).await.unwrap_err() {
        PlaceError::Refused(refusal) => refusal.kind,
        other => panic!("{other}"),
    };
    let client = &exchange.client;
    client.place(&buy(dec!(0.01), "once")).await.unwrap();
    assert_eq!(refused(client, buy(dec!(0.01), "ONCE")).await, RefusalKind::DuplicateClientId);
    assert_eq!(refused(client, buy(dec!(5000), "rich")).await, RefusalKind::InsufficientMargin);
    assert_eq!(refused(client, market("NOSUCHUSDT", Side::Buy, dec!(1), "what")).await, RefusalKind::BadRequest);
    let stranger = Exchange::client(&exchange.server, "not the secret");
    assert_eq!(refused(&stranger, buy(dec!(0.01), "forged")).await, RefusalKind::BadSignature);
    assert!(matches!(stranger.balance().await, Err(QueryError::Refused(_))));
    exchange.fault(json!({"kind": "clock_skew"})).await;
    assert_eq!(refused(client, buy(dec!(0.01), "late")).await, RefusalKind::ClockSkew);
    exchange.all_well().await;
    exchange.fault(json!({"kind": "too_many_requests"})).await;
    let again = Exchange::client(&exchange.server, DEFAULT_BINGX_SECRET_KEY);
    assert_eq!(refused(&again, buy(dec!(0.01), "often")).await, RefusalKind::RateLimited);
    assert!(matches!(again.balance().await, Err(QueryError::Unavailable { .. })));
    exchange.all_well().await;
    for id in ["rich", "what", "forged", "late", "often"] {
        let answer = client.order_by_client_id(&bitcoin(), id).await;
        assert!(matches!(answer, Err(QueryError::NoSuchOrder(_))), "{id}: {answer:?}");
    }
    assert_eq!(exchange.accepted("once").await, 1);
    exchange.server.stop().await;
}

#[actix_web::test]
async fn a_lost_answer_is_unknown_until_somebody_asks_and_nothing_is_sent_twice() {
    let exchange = Exchange::start().await;
    for (fault, id, exists) in [
        (json!({"kind": "accepted_then_timeout"}), "timeout", true),
        (json!({"kind": "accepted_then_drop"}), "dropped", true),
        (json!({"kind": "malformed"}), "halved", true),
        (json!({"kind": "server_error", "status": 504}), "lost", false),
        (json!({"kind": "server_error", "status": 503}), "gone", false),
        (json!({"kind": "drop"}), "cut", false),
    ] {
        // Each with a client of its own: the circuit is not what is tried here.
        let client = Exchange::client(&exchange.server, DEFAULT_BINGX_SECRET_KEY);
        exchange.fault(fault).await;
        let error = client.place(&buy(dec!(0.001), id)).await.unwrap_err();
        assert!(matches!(error, PlaceError::Unknown { .. }), "{id}: {error}");
        assert!(!error.is_surely_not_placed());
        exchange.all_well().await;
        let found = client.order_by_client_id(&bitcoin(), id).await;
        match found {
            Ok(order) => assert!(exists && order.status == OrderStatus::Filled, "{id}"),
            Err(QueryError::NoSuchOrder(_)) => assert!(!exists, "{id}"),
            Err(other) => panic!("{id}: {other}"),
        }
        assert_eq!(exchange.accepted(id).await, u64::from(exists), "{id}");
    }
    exchange.server.stop().await;
}

#[actix_web::test]
async fn orders_that_are_filled_in_part_or_rejected_say_so() {
    let exchange = Exchange::start().await;
    exchange.fault(json!({"kind": "partial_fill"})).await;
    exchange.client.place(&buy(dec!(0.02), "half")).await.unwrap();
    let half = exchange.client.order_by_client_id(&bitcoin(), "half").await.unwrap();
    assert_eq!((half.status, half.executed_quantity), (OrderStatus::PartiallyFilled, dec!(0.01)));
    exchange.all_well().await;
    let whole = eventually("the rest", async || {
        let order = exchange.client.order_by_client_id(&bitcoin(), "half").await.unwrap();
        (order.status == OrderStatus::Filled).then_some(order)
    })
    .await;
    assert_eq!(whole.executed_quantity, dec!(0.02));
    exchange.fault(json!({"kind": "reject"})).await;
    exchange.client.place(&buy(dec!(0.02), "no")).await.unwrap();
    let rejected = exchange.client.order_by_client_id(&bitcoin(), "no").await.unwrap();
    assert_eq!((rejected.status, rejected.executed_quantity), (OrderStatus::Rejected, dec!(0)));
    exchange.server.stop().await;
}

#[actix_web::test]
async fn the_clients_limit_keeps_to_the_exchanges() {
    let exchange = Exchange::start().await;
    let orders: Vec<NewOrder> = (0..30).map(|n| buy(dec!(0.001), &format!("burst{n}"))).collect();
    let results = futures_util::future::join_all(orders.iter().map(|order| exchange.client.place(order))).await;
    let placed = results.iter().filter(|result| result.is_ok()).count();
    let held =
        |result: &&Result<_, PlaceError>| matches!(result, Err(PlaceError::NotSent(NotSent::TooManyOrders { .. })));
    assert_eq!(results.iter().filter(held).count(), 30 - placed, "the exchange refused none: {results:?}");
    assert!(placed > 0);
    exchange.server.stop().await;
    let gone = exchange.client.place(&buy(dec!(0.001), "late")).await;
    assert!(matches!(gone, Err(PlaceError::NotSent(_) | PlaceError::Unknown { .. })), "{gone:?}");
}

#[actix_web::test]
async fn every_order_is_taken_back_however_many_there_are() {
    let exchange = Exchange::start().await;
    let far = OrderKind::Limit { price: dec!(1000), time_in_force: TimeInForce::GoodTillCancelled };
    let ids: Vec<String> = (0..15).map(|number| format!("{number:032x}")).collect();
    for id in &ids {
        let resting = NewOrder { kind: far, ..buy(dec!(0.001), id) };
        // Ten a second: this client says so, and how long to wait.
        while let Err(error) = exchange.client.place(&resting).await {
            let PlaceError::NotSent(NotSent::TooManyOrders { retry_after }) = error else { panic!("{error}") };
            actix_web::rt::time::sleep(retry_after).await;
        }
    }
    let bitcoin = bitcoin();
    let taken_back = futures_util::future::join_all(ids.iter().map(|id| exchange.client.cancel(&bitcoin, id))).await;
    assert!(taken_back.iter().all(Result::is_ok), "{taken_back:?}");
}
