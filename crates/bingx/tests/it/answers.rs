//! Documented answers, and connections that end in every way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use bingx::{Client, NotSent, OrderStatus, PlaceError, QueryError, RefusalKind, SettingsError, Side};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use serde_json::Value;
use telemetry::testing::finished_spans;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use crate::support::{API_KEY, ID, SECRET_KEY, client, market, settings};

/// Everybody's requests, and one answer for all of them.
#[derive(Clone)]
struct Exchange {
    url: Url,
    received: Arc<Mutex<Vec<(String, String, String)>>>,
}

fn exchange(status: u16, body: impl Into<String>) -> Exchange {
    let (received, body) = (Arc::new(Mutex::new(Vec::new())), body.into());
    let seen = received.clone();
    let url = web::testing::fake(move |request: HttpRequest, _| {
        let key = request.headers().get("x-bx-apikey").map_or("", |key| key.to_str().unwrap()).to_owned();
        let call = format!("{} {}", request.method(), request.path());
        seen.lock().unwrap().push((call, request.query_string().to_owned(), key));
        let body = body.clone();
        async move { HttpResponse::build(StatusCode::from_u16(status).unwrap()).content_type("application/json").body(body) }
    });
    Exchange { url, received }
}

fn sell(quantity: Decimal) -> bingx::NewOrder {
    market("BTCUSDT", Side::Sell, quantity, &ID.to_uppercase())
}

#[actix_web::test]
async fn an_order_is_signed_sorted_and_sent_once() {
    let exchange = exchange(200, include_str!("../fixtures/placed-both-spellings.json"));
    let placed = client(exchange.url.clone()).place(&sell(dec!(0.01250))).await.unwrap();
    assert_eq!(placed.exchange_order_id, "1770550340632137728", "the text, not the rounded number");
    assert_eq!((placed.client_order_id.as_str(), placed.status), (ID, Some(OrderStatus::Filled)));
    let received = exchange.received.lock().unwrap().clone();
    let [(call, query, key)] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!((call.as_str(), key.as_str()), ("POST /openApi/swap/v2/trade/order", API_KEY));
    let names: Vec<&str> = query.split('&').map(|pair| pair.split('=').next().unwrap()).collect();
    assert_eq!(
        names,
        ["clientOrderId", "positionSide", "quantity", "recvWindow", "side", "symbol", "timestamp", "type", "signature"]
    );
    assert!(
        query.starts_with(&format!(
            "clientOrderId={ID}&positionSide=BOTH&quantity=0.0125&recvWindow=5000&side=SELL&symbol=BTC-USDT&timestamp="
        )),
        "{query}"
    );
}

#[actix_web::test]
async fn documented_answers_are_read() {
    let place = async |body: &str| client(exchange(200, body).url).place(&sell(dec!(1))).await;
    let placed = place(include_str!("../fixtures/placed.json")).await.unwrap();
    assert_eq!((placed.exchange_order_id.as_str(), placed.status), ("1735950529123455000", None));
    let other = place(include_str!("../fixtures/placed-limit.json")).await;
    assert!(matches!(other, Err(PlaceError::Unknown { .. })), "an answer about ETH: {other:?}");

    let pending = client(exchange(200, include_str!("../fixtures/order-pending.json")).url);
    let report = pending.order_by_client_id(&"OPUSDT".parse().unwrap(), ID).await.unwrap();
    assert_eq!((report.exchange_order_id.as_str(), report.client_order_id.as_str()), ("1736012449498123500", ID));
    assert_eq!((report.side, &report.status, report.status.is_final()), (Side::Sell, &OrderStatus::Pending, false));
    assert_eq!((report.original_quantity, report.executed_quantity), (dec!(1), dec!(0)));
    assert_eq!((report.price, report.average_price), (Some(dec!(2.171)), None));
    assert_eq!(report.update_time.unwrap().timestamp_millis(), 1_702_732_596_188);

    let filled = client(exchange(200, include_str!("../fixtures/order-filled.json")).url);
    let report = filled.order_by_client_id(&"PYTHUSDT".parse().unwrap(), ID).await.unwrap();
    assert_eq!((report.status, report.executed_quantity), (OrderStatus::Filled, dec!(33)));
    assert_eq!((report.average_price, report.commission), (Some(dec!(0.3916)), dec!(0.002585)));

    let balance = client(exchange(200, include_str!("../fixtures/balance.json")).url).balance().await.unwrap();
    assert_eq!(
        (balance.asset.as_str(), balance.balance, balance.available_margin),
        ("USDT", dec!(194.8212), dec!(193.7609))
    );
    assert_eq!((balance.equity, balance.realised_profit), (dec!(196.7431), dec!(-109.2504)));

    let positions =
        client(exchange(200, include_str!("../fixtures/positions.json")).url).positions().await.unwrap().open;
    assert_eq!((positions[0].symbol.as_str(), positions[0].amount), ("BNBUSDT", dec!(-0.2)));
    assert_eq!((positions[0].average_price, positions[0].leverage), (dec!(246.43), Some(dec!(5))));
    let none = client(exchange(200, r#"{"code":0,"msg":"","data":null}"#).url);
    assert_eq!(none.positions().await, Ok(bingx::Positions::default()));

    let clock = client(exchange(200, include_str!("../fixtures/server-time.json")).url);
    assert_eq!(clock.server_time().await.unwrap().timestamp_millis(), 1_675_319_535_362);
}

#[actix_web::test]
async fn documented_refusals_are_told_apart() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../fixtures/refused.json")).unwrap();
    for case in cases {
        let error = client(exchange(200, case["answer"].to_string()).url).place(&sell(dec!(1))).await.unwrap_err();
        let PlaceError::Refused(refusal) = &error else { panic!("{error}") };
        assert_eq!(refusal.kind.as_str(), case["kind"], "{case}");
        assert_eq!(error.is_surely_not_placed(), refusal.kind != RefusalKind::DuplicateClientId);
    }
    let asked = client(exchange(200, r#"{"code":109421,"msg":"order not exist"}"#).url);
    let answer = asked.order_by_client_id(&"BTCUSDT".parse().unwrap(), ID).await;
    assert!(matches!(answer, Err(QueryError::NoSuchOrder(_))), "{answer:?}");
    let answer = asked.cancel(&"BTCUSDT".parse().unwrap(), ID).await;
    assert!(matches!(answer, Err(QueryError::NoSuchOrder(_))), "{answer:?}");
}

/// A server that reads a request and then does something else than answering it.
async fn place_at(listener: &TcpListener, answer: Option<&[u8]>) -> PlaceError {
    let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let client = Client::new(bingx::Settings { order_timeout: Duration::from_millis(300), ..settings(url) }).unwrap();
    let order = sell(dec!(1));
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        match answer {
            Some(bytes) => stream.write_all(bytes).await.unwrap(),
            // Silence, until the client has left.
            None => assert_eq!(stream.read(&mut head).await.unwrap(), 0),
        }
    };
    let (placed, ()) = futures_util::join!(client.place(&order), server);
    placed.unwrap_err()
}

#[actix_web::test]
async fn whatever_may_have_been_read_is_unknown_and_what_was_not_is_not() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    for answer in [
        Some(&b""[..]),
        None,
        Some(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"code\":0"),
        Some(b"HTTP/1.1 200 OK\r\ncontent-len"),
        Some(b"SSH-2.0-OpenSSH\r\n"),
        Some(b"HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n"),
        Some(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let error = place_at(&listener, answer).await;
        assert!(matches!(error, PlaceError::Unknown { .. }), "{error} after {:?}", answer.map(String::from_utf8_lossy));
    }
    let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let error = client(url).place(&sell(dec!(1))).await.unwrap_err();
    assert!(matches!(error, PlaceError::NotSent(NotSent::Unreachable(_))), "{error}");
    assert!(error.is_surely_not_placed());
}

#[actix_web::test]
async fn a_failing_exchange_gets_a_rest_and_nothing_is_sent_meanwhile() {
    let exchange = exchange(503, "");
    let client =
        Client::new(bingx::Settings { orders_per_second: 100.try_into().unwrap(), ..settings(exchange.url.clone()) })
            .unwrap();
    let mut held_back = None;
    for _ in 0..20 {
        match client.place(&sell(dec!(1))).await.unwrap_err() {
            PlaceError::Unknown { .. } => {}
            PlaceError::NotSent(NotSent::CircuitOpen { retry_after }) => {
                held_back = Some(retry_after);
                break;
            }
            other => panic!("{other}"),
        }
    }
    assert!(held_back.is_some(), "the circuit opens");
    assert_eq!(exchange.received.lock().unwrap().len(), 10);
}

#[actix_web::test]
async fn orders_of_our_own_limit_and_orders_that_make_no_sense_never_leave() {
    let exchange = exchange(200, include_str!("../fixtures/placed.json"));
    let client =
        Client::new(bingx::Settings { orders_per_second: 2.try_into().unwrap(), ..settings(exchange.url.clone()) })
            .unwrap();
    let nonsense = client.place(&sell(dec!(-1))).await.unwrap_err();
    assert!(matches!(nonsense, PlaceError::NotSent(NotSent::Invalid(_))), "{nonsense}");
    let results = futures_util::future::join_all((0..5).map(|_| {
        let client = client.clone();
        async move { client.place(&sell(dec!(1))).await }
    }))
    .await;
    let held: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(held.iter().all(|error| matches!(error, PlaceError::NotSent(NotSent::TooManyOrders { .. }))), "{held:?}");
    assert_eq!(exchange.received.lock().unwrap().len(), 5 - held.len());
    assert!(!held.is_empty(), "five at once, two a second");
}

#[actix_web::test]
async fn keys_and_signatures_are_shown_nowhere() {
    // An exchange that repeats everything it was sent.
    let url = web::testing::fake(|request: HttpRequest, _| async move {
        let key = request.headers().get("x-bx-apikey").unwrap().to_str().unwrap();
        let body = serde_json::json!({"code": 100001, "msg": format!("{key} {SECRET_KEY} {}", request.query_string())});
        HttpResponse::Ok().json(body)
    });
    let client = client(url);
    let error = client.place(&sell(dec!(1))).await.unwrap_err();
    let shown = format!("{error} {error:?} {client:?} {:?}", settings("http://x".parse().unwrap()));
    assert!(shown.contains("***"), "{shown}");
    let spans = finished_spans();
    let span = spans.iter().rev().find(|span| span.name == "POST /openApi/swap/v2/trade/order").unwrap();
    let everything = format!("{shown} {span:?}");
    let signature = everything.split("signature=").nth(1).unwrap_or("***");
    assert!(signature.starts_with("***"), "{everything}");
    for secret in [API_KEY, SECRET_KEY] {
        assert!(!everything.contains(secret), "{everything}");
    }
    assert!(!format!("{span:?}").contains("clientOrderId"), "no query in a span");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let with = |change: fn(&mut bingx::Settings)| {
        let mut settings = settings("http://127.0.0.1:9".parse().unwrap());
        change(&mut settings);
        Client::new(settings).err()
    };
    assert_eq!(with(|settings| settings.api_key = "two\nlines".into()), Some(SettingsError::ApiKey));
    assert_eq!(with(|settings| settings.secret_key = "".into()), Some(SettingsError::SecretKey));
    assert_eq!(with(|settings| settings.recv_window_ms = 5_001), Some(SettingsError::RecvWindow));
    assert_eq!(with(|_| {}), None);
    let client = client("http://127.0.0.1:9".parse().unwrap());
    assert_eq!(client.longest_in_flight(), Duration::from_millis(6_000));
}

#[actix_web::test]
async fn a_position_that_cannot_be_read_hides_no_other() {
    let rows = r#"{"code":0,"msg":"","data":[
        {"symbol":"NCSKTSLA2USD","positionSide":"BOTH","positionAmt":"1","avgPrice":"1"},
        {"symbol":"ETH-USDT","positionSide":"BOTH","positionAmt":"1"},
        {"symbol":"BTC-USDT","positionSide":"BOTH","positionAmt":"0.001","avgPrice":"40000"}]}"#;
    let positions = client(exchange(200, rows).url).positions().await.unwrap();
    assert_eq!(positions.open.len(), 1);
    assert_eq!((positions.open[0].symbol.as_str(), positions.open[0].amount), ("BTCUSDT", dec!(0.001)));
    let unreadable: Vec<_> = positions.unreadable.iter().map(|of| of.symbol.as_ref().map(|s| s.as_str())).collect();
    assert_eq!(unreadable, [None, Some("ETHUSDT")]);
}
