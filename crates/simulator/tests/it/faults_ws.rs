use awc::error::WsClientError;
use serde_json::{Value, json};

use crate::binance_ws::{Came, Socket};
use crate::support::{Simulator, now_ms};

async fn start() -> Simulator {
    // Four pongs a second stay within the limit of five messages.
    Simulator::with(|config| config.binance_ping_interval_ms = 250).await
}

/// What comes between the second and the `pings`th ping from now on: events that were under way have arrived by then.
async fn between_pings(socket: &mut Socket, pings: usize) -> Vec<(String, i64)> {
    let begin = socket.pings;
    let mut texts = Vec::new();
    while socket.pings < begin + pings {
        match socket.next().await {
            Came::Text(text) if socket.pings >= begin + 2 => texts.push((text, now_ms())),
            Came::Text(_) | Came::Ping => {}
            end => panic!("the connection ended: {end:?}"),
        }
    }
    texts
}

#[actix_web::test]
async fn a_frozen_stream_stays_open_and_silent_and_then_goes_on() {
    let sim = start().await;
    let mut socket = Socket::open(&sim, "/ws/btcusdt@trade").await;
    socket.text().await;
    sim.fault(json!({ "target": "binance_ws", "kind": "freeze" })).await;
    let events = between_pings(&mut socket, 6).await;
    assert!(events.is_empty(), "{events:?}");
    sim.delete("/control/faults").await.ok();
    assert_eq!(socket.json().await["e"], "trade");
    sim.stop().await;
}

#[actix_web::test]
async fn malformed_events_are_cut_in_half() {
    let sim = start().await;
    let mut socket = Socket::open(&sim, "/ws/btcusdt@trade").await;
    sim.fault(json!({ "target": "binance_ws", "kind": "malformed" })).await;
    let events = between_pings(&mut socket, 6).await;
    assert!(!events.is_empty());
    assert!(
        events.iter().all(|(text, _)| text.starts_with('{') && serde_json::from_str::<Value>(text).is_err()),
        "{events:?}"
    );
    sim.stop().await;
}

#[actix_web::test]
async fn late_events_tell_of_the_past() {
    let sim = start().await;
    let mut socket = Socket::open(&sim, "/ws/btcusdt@trade").await;
    sim.fault(json!({ "target": "binance_ws", "kind": "latency", "latency_ms": 600 })).await;
    let events = between_pings(&mut socket, 8).await;
    assert!(!events.is_empty());
    for (text, came) in events {
        let event: Value = serde_json::from_str(&text).unwrap();
        assert!(event["E"].as_i64().unwrap() + 600 <= came, "{text} came at {came}");
    }
    sim.stop().await;
}

#[actix_web::test]
async fn dropped_sockets_break_and_new_ones_get_no_answer() {
    let sim = start().await;
    let mut hit = Socket::open(&sim, "/ws/btcusdt@trade").await;
    let mut spared = Socket::open(&sim, "/ws/ethusdt@trade").await;
    hit.text().await;
    sim.fault(json!({ "target": "binance_ws", "kind": "drop", "method": "btcusdt" })).await;
    let end = hit.end().await;
    assert!(matches!(end, Came::Broken), "{end:?}");
    assert!(Socket::try_open(&sim, "/ws/btcusdt@trade").await.is_err());
    assert_eq!(spared.json().await["s"], "ETHUSDT");
    sim.delete("/control/faults").await.ok();
    Socket::open(&sim, "/ws/btcusdt@trade").await.text().await;
    sim.stop().await;
}

#[actix_web::test]
async fn handshakes_are_refused() {
    let sim = start().await;
    let mut open = Socket::open(&sim, "/ws/btcusdt@trade").await;
    for (kind, status) in [("server_error", 503), ("too_many_requests", 429)] {
        sim.fault(json!({ "target": "binance_ws", "kind": kind, "status": status })).await;
        let error = Socket::try_open(&sim, "/stream?streams=btcusdt@trade").await.err().unwrap();
        assert!(matches!(&error, WsClientError::InvalidResponseStatus(found) if found.as_u16() == status), "{error:?}");
        // What is open already goes on.
        open.text().await;
        sim.delete("/control/faults").await.ok();
    }
    sim.stop().await;
}
