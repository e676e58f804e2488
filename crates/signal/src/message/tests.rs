use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;

fn read(body: &str) -> Result<Alert, Refused> {
    Alert::read(body.as_bytes(), BodyKind::Text)
}

fn code(body: &str) -> (&'static str, String) {
    let refused = read(body).unwrap_err();
    (refused.code(), refused.to_string())
}

/// A message with its placeholders filled in, as TradingView does it.
fn fill(message: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(message.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

const FILLED: &[(&str, &str)] = &[
    ("exchange", "BINANCE"),
    ("ticker", "BTCUSDT.P"),
    ("strategy.order.action", "buy"),
    ("strategy.market_position", "long"),
    ("strategy.order.contracts", "0.0012"),
    ("strategy.order.id", "Long Entry"),
    ("close", "61234.5"),
    ("interval", "15"),
    ("timenow", "2026-01-31T12:00:00Z"),
];

#[test]
fn the_messages_that_are_handed_out_are_understood() {
    let alert = read(&fill(strategy_message(), FILLED)).unwrap();
    assert_eq!((alert.symbol.as_str(), alert.action), ("BTCUSDT", SignalAction::Buy));
    assert_eq!(alert.ticker, "BINANCE:BTCUSDT.P");
    assert_eq!(alert.quantity, Some("0.0012".parse().unwrap()));
    assert_eq!(alert.seen_price, Some("61234.5".parse().unwrap()));
    assert_eq!((alert.order_id.as_deref(), alert.interval.as_deref()), (Some("Long Entry"), Some("15")));
    assert_eq!(alert.alerted_at.unwrap().to_rfc3339(), "2026-01-31T12:00:00+00:00");
    let alert = read(&fill(indicator_message(), FILLED)).unwrap();
    assert_eq!((alert.action, alert.quantity, alert.order_id), (SignalAction::Buy, None, None));
    // As they stand, before anybody has filled them in.
    for message in [strategy_message(), indicator_message()] {
        assert_eq!(code(message).0, "unfilled_placeholder");
    }
}

#[test]
fn json_and_text_say_the_same() {
    let json = r#"{"Ticker":"BTCUSDT","side":"long","qty":0.10,"comment":"a b; \"c\"","strategy.order.price":1e3}"#;
    for text in [
        r#"ticker=BTCUSDT side=long qty=0.10 comment="a b; \"c\"" strategy.order.price=1e3"#,
        "ticker=BTCUSDT,SIDE=LONG;qty=.1\r\ncomment='a b; \"c\"'\n\nstrategy.order.price=1000.00,",
        "\u{feff} {\"ticker\": \"BTCUSDT\", \"side\": \"buy\", \"qty\": \"0.1\", \"comment\": \"a b; \\\"c\\\"\", \"strategy.order.price\": 1000}\n",
    ] {
        assert_eq!(read(text).unwrap(), read(json).unwrap(), "{text}");
    }
    assert_eq!(read(json).unwrap().seen_price, Some(Decimal::from(1_000)));
    assert_eq!(Alert::read(json.as_bytes(), BodyKind::Json), read(json));
}

#[test]
fn a_flat_position_closes_whatever_the_order_s_side_and_size() {
    for side in ["buy", "sell"] {
        let body = format!("symbol=BTCUSDT action={side} market_position=flat contracts=3 notional=5");
        let alert = read(&body).unwrap();
        assert_eq!((alert.action, alert.quantity, alert.notional), (SignalAction::Close, None, None), "{side}");
    }
    assert_eq!(read("symbol=BTCUSDT market_position=FLAT").unwrap().action, SignalAction::Close);
    // A reversal leaves the market on the other side: what is ordered is ordered.
    let alert = read("symbol=BTCUSDT action=sell market_position=short contracts=3").unwrap();
    assert_eq!((alert.action, alert.quantity), (SignalAction::Sell, Some(Decimal::from(3))));
    let part = read("symbol=BTCUSDT action=exit qty=3").unwrap();
    assert_eq!((part.action, part.quantity), (SignalAction::Close, Some(Decimal::from(3))));
}

#[test]
fn what_is_wrong_is_named_and_no_value_is_repeated() {
    for (body, is, named) in [
        ("", "empty_body", "empty"),
        (" \n\t", "empty_body", "empty"),
        ("{", "bad_json", "ends too early"),
        (r#"{"ticker":"#, "bad_json", "too early, at ticker"),
        (r#"{"ticker": "BTCUSDT", "action": "bu"#, "bad_json", "too early, at action"),
        (r#"{"ticker": "BTCUSDT", "action": }"#, "no_value", "action"),
        (r#"{"ticker": "BTCUSDT", "action": buy}"#, "bad_json", "action"),
        (r#"{"ticker": "S3cret"} x"#, "bad_json", "JSON"),
        ("[1]", "bad_body", "object"),
        ("\"ticker\"", "bad_body", "object"),
        ("<html><body>S3cret</body></html>", "bad_text", "HTML"),
        ("buy BTCUSDT", "bad_text", "buy"),
        ("action = buy", "bad_text", "action"),
        ("action= buy", "bad_text", "buy"),
        ("action= ticker=BTCUSDT", "no_value", "action"),
        ("=buy", "bad_text", "no name"),
        ("ticker=\"BTCUSDT", "bad_text", "ticker"),
        ("ticker=\"BTC\"USDT", "bad_text", "ticker"),
        ("action=buy", "missing_field", "ticker"),
        ("ticker=BTCUSDT", "missing_field", "action"),
        (r#"{"ticker": "BTCUSDT", "action": "buy", "meta": {"a": 1}}"#, "nested_value", "meta"),
        (r#"{"ticker": "BTCUSDT", "action": ["buy"]}"#, "nested_value", "action"),
        ("ticker=BTCUSDT action=buy action=sell", "contradicting_fields", "action"),
        ("ticker=BTCUSDT action=buy side=short", "contradicting_fields", "side"),
        (r#"{"ticker": "BTCUSDT", "ticker": "ETHUSDT", "action": "buy"}"#, "contradicting_fields", "ticker"),
        ("ticker=BTCUSDT symbol=ETHUSDT action=buy", "contradicting_fields", "symbol"),
        ("ticker={{ticker}} action=buy", "unfilled_placeholder", "ticker"),
        (r#"{"ticker": "BTCUSDT", "action": "buy", "price": {{close}}}"#, "unfilled_placeholder", "price"),
        (r#"{"ticker": "BTCUSDT", "action": "buy", "comment": "x {{y}}"}"#, "unfilled_placeholder", "comment"),
        (r#"{"ticker": "BTCUSDT", "action": "buy", "price": NaN}"#, "no_value", "price"),
        (r#"{"ticker": "BTCUSDT", "price": na, "action": "buy"}"#, "no_value", "price"),
        (r#"{"ticker": "BTCUSDT", "action": "buy", "price": "NaN"}"#, "no_value", "price"),
        (r#"{"ticker": "BTCUSDT", "action": "buy", "contracts": null}"#, "no_value", "contracts"),
        ("ticker=BTCUSDT action=buy qty=na", "no_value", "qty"),
        ("ticker=BTC action=buy", "bad_symbol", "ticker"),
        ("ticker=BTCUSDT action=S3cret", "bad_action", "buy, sell"),
        ("ticker=BTCUSDT action=buy market_position=S3cret", "bad_market_position", "market_position"),
        ("ticker=BTCUSDT action=buy qty=0", "bad_number", "qty"),
        ("ticker=BTCUSDT action=buy qty=-1", "bad_number", "qty"),
        ("ticker=BTCUSDT action=buy qty=S3cret", "bad_number", "qty"),
        ("ticker=BTCUSDT action=buy qty=1_000", "bad_number", "qty"),
        ("ticker=BTCUSDT action=buy qty=1e400", "bad_number", "qty"),
        ("ticker=BTCUSDT action=buy qty=1000000000001", "bad_number", "qty"),
        ("ticker=BTCUSDT action=buy qty=0.0000000000000000001", "bad_number", "qty"),
        ("ticker=BTCUSDT action=buy qty=1.00000000000000000000000000000000000001", "bad_number", "qty"),
        ("ticker=BTCUSDT action=buy qty=1.0000000000000000000000000000000001e0", "bad_number", "qty"),
        ("ticker=BTCUSDT action=buy timenow=S3cret", "bad_time", "timenow"),
        ("ticker=BTCUSDT action=buy timenow=1", "bad_time", "timenow"),
        ("ticker=BTCUSDT action=buy timenow=9999-12-31T00:00:00Z", "bad_time", "timenow"),
        ("ticker=BTCUSDT action=buy interval=12345678901234567", "bad_word", "interval"),
        ("ticker=BTCUSDT action=buy qty=1 notional=2", "two_sizes", "qty"),
    ] {
        let (found, sentence) = code(body);
        assert_eq!(found, is, "{body}: {sentence}");
        assert!(sentence.contains(named), "{body}: {sentence}");
        assert!(!sentence.contains("S3cret"), "{body}: {sentence}");
    }
    assert_eq!(Alert::read(b"ticker=\xff", BodyKind::Text), Err(Refused::Encoding));
    assert_eq!(Alert::read(b"ticker=BTCUSDT action=buy", BodyKind::Json).unwrap_err().code(), "bad_json");
    let deep = "[".repeat(10_000);
    assert!(Alert::read(deep.as_bytes(), BodyKind::Json).is_err());
}

#[test]
fn what_is_not_needed_harms_nothing() {
    let plain = read("ticker=BTCUSDT action=buy").unwrap();
    for more in [
        "exchange=BINANCE open=1 high=NaN low={{low}} volume=na time=yesterday",
        "strategy.position_size=-5 plot_0={{plot_0}} password=x password=y",
        "comment= order_id=\"\" interval=",
        "ticker=btcusdt ACTION=long",
    ] {
        assert_eq!(read(&format!("{more} ticker=BTCUSDT action=buy")).unwrap(), plain, "{more}");
    }
    let json = r#"{"ticker":"BTCUSDT","action":"buy","high":null,"x":true,"comment":null,"order_id":""}"#;
    assert_eq!(read(json).unwrap(), plain);
    let long = read(&format!("ticker=BTCUSDT action=buy comment=\"a\nb{}\"", "c".repeat(5_000))).unwrap();
    assert!(long.comment.as_ref().is_some_and(|words| words.starts_with("a bc") && words.len() == 200));
}

#[test]
fn times_come_in_three_forms() {
    for time in
        ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00", "1769860800", "1769860800000"]
    {
        let alert = read(&format!("ticker=BTCUSDT action=buy timenow={time}")).unwrap();
        assert_eq!(alert.alerted_at.unwrap().timestamp(), 1_769_860_800, "{time}");
    }
}

/// The same alert as JSON and as text.
fn printed(alert: &Alert) -> [String; 2] {
    let mut fields = vec![("ticker", alert.ticker.clone()), ("action", alert.action.to_string())];
    let mut more = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
    more("quantity", alert.quantity.map(|number| number.to_string()));
    more("notional", alert.notional.map(|number| number.to_string()));
    more("limit_price", alert.limit_price.map(|number| number.to_string()));
    more("price", alert.seen_price.map(|number| number.to_string()));
    more("order_id", alert.order_id.clone());
    more("comment", alert.comment.clone());
    more("interval", alert.interval.clone());
    more("timenow", alert.alerted_at.map(|time| time.to_rfc3339()));
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let text: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    let json: serde_json::Map<String, serde_json::Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    [serde_json::Value::Object(json).to_string(), text.join("; ")]
}

fn alerts() -> impl Strategy<Value = Alert> {
    let number = || {
        (1_u64..1_000_000_000_000, 0_u32..=9)
            .prop_map(|(n, scale)| Decimal::new(i64::try_from(n).unwrap(), scale).normalize())
    };
    let words = |most| {
        proptest::string::string_regex(&format!("[^\\p{{Cc}}{{]{{1,{most}}}")).unwrap().prop_map(|text| {
            let text = text.trim().to_owned();
            (!text.is_empty()).then_some(text)
        })
    };
    let sizes = prop_oneof![
        Just((None, None)),
        number().prop_map(|n| (Some(n), None)),
        number().prop_map(|n| (None, Some(n))),
    ];
    let symbols = prop_oneof![Just("BTCUSDT"), Just("BINANCE:ETHUSDT.P"), Just("SOL-USDT"), Just("BTC/USDT")];
    let actions = proptest::sample::select(&SignalAction::ALL[..]);
    let prices = (proptest::option::of(number()), proptest::option::of(number()));
    let texts = (words(128), words(150), proptest::option::of("[1-9][0-9]{0,3}[DWMS]?"));
    let time = proptest::option::of(946_684_800_000_i64..4_102_444_800_000);
    (symbols, actions, sizes, prices, texts, time).prop_map(
        |(ticker, action, (quantity, notional), (limit_price, seen_price), (order_id, comment, interval), time)| {
            Alert {
                ticker: ticker.to_owned(),
                symbol: ticker::symbol(ticker).unwrap(),
                action,
                quantity,
                notional,
                limit_price,
                seen_price,
                order_id,
                comment,
                interval,
                alerted_at: time.and_then(DateTime::from_timestamp_millis),
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(alert in alerts()) {
        for text in printed(&alert) {
            prop_assert_eq!(read(&text), Ok(alert.clone()), "{}", text);
        }
    }

    #[test]
    fn no_body_is_more_than_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for kind in [BodyKind::Json, BodyKind::Text] {
            if let Err(refused) = Alert::read(&bytes, kind) {
                prop_assert!(refused.to_string().chars().count() < 400 && !refused.code().is_empty());
            }
        }
    }

    /// Bodies that look nearly right reach further than random ones.
    #[test]
    fn no_broken_message_is_more_than_refused(alert in alerts(), cut in 0_usize..600, put in "\\PC{0,6}", json in any::<bool>()) {
        let mut text = printed(&alert)[usize::from(!json)].clone();
        let at = text.floor_char_boundary(cut.min(text.len()));
        let end = text.floor_char_boundary((at + 3).min(text.len()));
        text.replace_range(at..end.max(at), &put);
        for kind in [BodyKind::Json, BodyKind::Text] {
            if let Err(refused) = Alert::read(text.as_bytes(), kind) {
                prop_assert!(refused.to_string().chars().count() < 400);
            }
        }
    }
}
