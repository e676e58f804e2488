use std::time::Duration;

use awc::error::WsClientError;
use awc::ws::{CloseCode, Frame, Message};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Simulator, fields};

type Framed = actix_codec::Framed<awc::BoxedSocket, awc::ws::Codec>;

/// A client of the stream that answers pings unless told otherwise.
pub(crate) struct Socket {
    framed: Framed,
    answers_pings: bool,
    pub(crate) pings: usize,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Came {
    Text(String),
    Ping,
    Close(Option<CloseCode>),
    /// The connection broke with no close frame.
    Broken,
}

impl Socket {
    pub(crate) async fn open(sim: &Simulator, path: &str) -> Self {
        Self::try_open(sim, path).await.unwrap()
    }

    pub(crate) async fn try_open(sim: &Simulator, path: &str) -> Result<Self, WsClientError> {
        let (_, framed) = sim.client.ws(sim.url(path).replacen("http", "ws", 1)).connect().await?;
        Ok(Self { framed, answers_pings: true, pings: 0 })
    }

    pub(crate) async fn next(&mut self) -> Came {
        let frame = tokio::time::timeout(PATIENCE, self.framed.next()).await.expect("nothing comes");
        match frame {
            Some(Ok(Frame::Text(bytes))) => Came::Text(String::from_utf8(bytes.to_vec()).unwrap()),
            Some(Ok(Frame::Ping(payload))) => {
                self.pings += 1;
                if self.answers_pings {
                    // The server may have gone since; the next read says so.
                    drop(self.framed.send(Message::Pong(payload)).await);
                }
                Came::Ping
            }
            Some(Ok(Frame::Close(reason))) => Came::Close(reason.map(|reason| reason.code)),
            Some(Ok(other)) => panic!("unexpected frame {other:?}"),
            Some(Err(_)) | None => Came::Broken,
        }
    }

    pub(crate) async fn text(&mut self) -> String {
        loop {
            match self.next().await {
                Came::Text(text) => return text,
                Came::Ping => {}
                end => panic!("the connection ended: {end:?}"),
            }
        }
    }

    pub(crate) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// The first message that fits.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let found = self.json().await;
            if wanted(&found) {
                return found;
            }
        }
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.framed.send(Message::Text(message.to_string().into())).await.unwrap();
    }

    /// Everything until the end.
    pub(crate) async fn end(&mut self) -> Came {
        loop {
            match self.next().await {
                Came::Text(_) | Came::Ping => {}
                end => return end,
            }
        }
    }
}

#[actix_web::test]
async fn prices_of_stream_and_rest_are_the_same() {
    let sim = Simulator::start().await;
    let mut socket = Socket::open(&sim, "/stream?streams=btcusdt@trade/ethusdt@kline_1m/btcusdt@ticker").await;
    let trade = socket.find(|event| event["stream"] == "btcusdt@trade").await;
    assert_eq!(fields(&trade), ["data", "stream"]);
    let trade = &trade["data"];
    let rows = sim.get("/api/v3/trades?symbol=BTCUSDT&limit=1000").await.ok();
    let row = rows.as_array().unwrap().iter().find(|row| row["id"] == trade["t"]).expect("the trade of the stream");
    assert_eq!(
        (&row["price"], &row["qty"], &row["time"], &row["isBuyerMaker"]),
        (&trade["p"], &trade["q"], &trade["T"], &trade["m"])
    );

    let ticker = socket.find(|event| event["stream"] == "btcusdt@ticker").await;
    let rows = sim.get("/api/v3/trades?symbol=BTCUSDT&limit=1000").await.ok();
    let row = rows.as_array().unwrap().iter().find(|row| row["id"] == ticker["data"]["L"]).unwrap();
    assert_eq!(row["price"], ticker["data"]["c"]);

    let last = socket.find(|event| event["data"]["k"]["x"] == true).await;
    let candle = &last["data"]["k"];
    let path = format!("/api/v3/klines?symbol=ETHUSDT&interval=1m&startTime={}&limit=1", candle["t"]);
    let row = &sim.get(&path).await.ok()[0];
    for (column, field) in ["t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B"].into_iter().enumerate() {
        assert_eq!(row[column], candle[field], "{field}");
    }
    sim.stop().await;
}

#[actix_web::test]
async fn every_candle_ends_once_and_in_order() {
    let sim = Simulator::start().await;
    let mut socket = Socket::open(&sim, "/ws/btcusdt@kline_1m").await;
    let mut ended = Vec::new();
    let mut forming = None;
    while ended.len() < 3 {
        let event = socket.json().await;
        let open = event["k"]["t"].as_i64().unwrap();
        if event["k"]["x"] == true {
            assert!(forming.is_none_or(|forming| forming == open), "the candle that formed ends");
            ended.push(open);
        } else {
            forming = Some(open);
            assert!(ended.last().is_none_or(|last| *last + 1_000 == open), "then the next one forms");
        }
    }
    assert_eq!([ended[1] - ended[0], ended[2] - ended[1]], [1_000, 1_000]);
    sim.stop().await;
}

#[actix_web::test]
async fn subscriptions_change_while_connected() {
    let sim = Simulator::start().await;
    let mut socket = Socket::open(&sim, "/ws").await;
    socket.send(&json!({"method":"SUBSCRIBE","params":["solusdt@bookTicker","nosuch@trade"],"id":1})).await;
    assert_eq!(socket.find(|message| message["id"] == 1).await, json!({"result":null,"id":1}));
    let book = socket.json().await;
    assert_eq!(fields(&book), ["A", "B", "a", "b", "s", "u"]);
    socket.send(&json!({"method":"LIST_SUBSCRIPTIONS","id":"two"})).await;
    assert_eq!(
        socket.find(|message| message["id"] == "two").await["result"],
        json!(["solusdt@bookTicker", "nosuch@trade"])
    );
    socket.send(&json!({"method":"UNSUBSCRIBE","params":["solusdt@bookTicker"],"id":3})).await;
    socket.find(|message| message["id"] == 3).await;
    socket.send(&json!({"method":"SUBSCRIBE","params":["btcusdt@miniTicker"],"id":4})).await;
    // After the answers nothing of the old stream comes any more.
    socket.find(|message| message["id"] == 4).await;
    for _ in 0..5 {
        assert_eq!(socket.json().await["e"], "24hrMiniTicker");
    }
    socket.send(&json!({"method":"DANCE","id":5})).await;
    assert_eq!(socket.find(|message| message["id"] == 5).await["error"]["code"], 2);
    sim.stop().await;
}

#[actix_web::test]
async fn more_than_five_messages_a_second_end_the_connection() {
    let sim = Simulator::start().await;
    let mut socket = Socket::open(&sim, "/ws/btcusdt@trade").await;
    for id in 0..6 {
        socket.send(&json!({"method":"LIST_SUBSCRIPTIONS","id":id})).await;
    }
    assert!(matches!(socket.end().await, Came::Close(Some(CloseCode::Policy))));
    sim.stop().await;
}

#[actix_web::test]
async fn a_client_that_does_not_pong_is_closed_and_one_that_does_is_not() {
    let sim = Simulator::with(|config| {
        // Four pongs a second stay within the limit of five messages.
        config.binance_ping_interval_ms = 250;
        config.binance_pong_timeout_ms = 1_000;
    })
    .await;
    let mut silent = Socket::open(&sim, "/ws/btcusdt@trade").await;
    silent.answers_pings = false;
    let mut polite = Socket::open(&sim, "/ws/btcusdt@trade").await;
    let ended = async { silent.end().await };
    let stays = async {
        // Longer than the silent one is given.
        while polite.pings < 8 {
            assert!(matches!(polite.next().await, Came::Text(_) | Came::Ping));
        }
    };
    let (end, ()) = futures_util::join!(ended, stays);
    assert!(matches!(end, Came::Close(Some(CloseCode::Policy))), "{end:?}");
    sim.stop().await;
}

#[actix_web::test]
async fn a_connection_has_a_lifetime() {
    let sim = Simulator::with(|config| config.binance_connection_lifetime_ms = 500).await;
    let mut socket = Socket::open(&sim, "/ws/btcusdt@trade").await;
    assert!(matches!(socket.end().await, Came::Close(Some(CloseCode::Normal))));
    sim.stop().await;
}

#[actix_web::test]
async fn a_stop_is_announced_and_prompt() {
    let sim = Simulator::start().await;
    let mut raw = Socket::open(&sim, "/ws/btcusdt@trade").await;
    let mut combined = Socket::open(&sim, "/stream?streams=btcusdt@trade").await;
    raw.text().await;
    combined.text().await;
    let watch = async {
        let told = raw.find(|event| event["e"] == "serverShutdown").await;
        assert_eq!(fields(&told), ["E", "e"]);
        assert!(matches!(raw.end().await, Came::Close(Some(CloseCode::Away))));
        combined.find(|event| event["stream"] == "!serverShutdown" && event["data"]["e"] == "serverShutdown").await;
        assert!(matches!(combined.end().await, Came::Close(Some(CloseCode::Away))));
    };
    tokio::time::timeout(PATIENCE, async { futures_util::join!(watch, sim.stop()) }).await.expect("a prompt stop");
}

#[actix_web::test]
async fn connections_are_limited() {
    let sim = Simulator::with(|config| config.binance_connections_per_5_min = 2).await;
    let _one = Socket::open(&sim, "/ws/btcusdt@trade").await;
    // The five minutes may end in between; then two more are let in.
    let refused = async {
        loop {
            match Socket::try_open(&sim, "/ws/btcusdt@trade").await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(error) => return error,
            }
        }
    };
    let error = refused.await;
    assert!(matches!(error, WsClientError::InvalidResponseStatus(status) if status == 429), "{error:?}");
    let plain = sim.get("/ws/btcusdt@trade").await;
    assert_eq!((plain.status.as_u16(), &plain.json["code"]), (429, &json!(-1034)));
    sim.stop().await;
}
