use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::RefusalKind;

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn symbol() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn placing(status: u16, body: &str) -> Result<PlacedOrder, PlaceError> {
    read_placing(status, body.as_bytes(), &symbol(), ID, &[])
}

fn upstream(kind: UpstreamErrorKind, attempts: u32) -> Result<PlacedOrder, PlaceError> {
    of_placing(Err(UpstreamError { upstream: "bingx", kind, attempts }), &symbol(), ID, &[])
}

#[test]
fn only_what_surely_never_left_is_not_sent() {
    use UpstreamErrorKind as K;
    assert!(matches!(upstream(K::Connect("refused".into()), 1), Err(PlaceError::NotSent(NotSent::Unreachable(_)))));
    let retry_after = Duration::from_secs(1);
    let open = NotSent::CircuitOpen { retry_after };
    assert_eq!(upstream(K::CircuitOpen { retry_after }, 0), Err(PlaceError::NotSent(open)));
    assert!(matches!(upstream(K::Malformed("no".into()), 0), Err(PlaceError::NotSent(NotSent::Request(_)))));
    for kind in [K::Broken("reset".into()), K::Timeout, K::Malformed("no HTTP".into()), K::TooLarge] {
        assert!(matches!(upstream(kind.clone(), 1), Err(PlaceError::Unknown { .. })), "{kind}");
    }
    for status in [302, 408, 500, 502, 503, 504] {
        let kind = K::Status { status, body: Default::default(), retry_after: None, problem: None };
        assert!(matches!(upstream(kind, 1), Err(PlaceError::Unknown { .. })), "{status}");
    }
}

#[test]
fn an_answer_about_something_else_leaves_the_order_unknown() {
    for body in [
        r#"{"code":0,"data":{"order":{"symbol":"ETH-USDT","orderId":5}}}"#,
        r#"{"code":0,"data":{"order":{"symbol":"BTC-USDT","orderId":5,"clientOrderId":"another"}}}"#,
        r#"{"code":0,"data":{"order":{"symbol":"BTC-USDT","orderId":0}}}"#,
        r#"{"code":0,"data":{"order":{}}}"#,
        r#"{"code":0,"data":{}}"#,
        r#"{"code":0,"data":null}"#,
    ] {
        assert!(matches!(placing(200, body), Err(PlaceError::Unknown { .. })), "{body}");
    }
    let placed = placing(
        200,
        r#"{"code":"0","data":{"order":{"orderId":5,"clientOrderID":"4BF92F3577B34DA6A3CE929D0E0E4736"}}}"#,
    )
    .unwrap();
    assert_eq!((placed.exchange_order_id.as_str(), placed.client_order_id.as_str()), ("5", ID));
}

#[test]
fn a_duplicate_is_refused_but_exists() {
    for code in [101_481, 109_201, 101_400] {
        let error = placing(200, &format!(r#"{{"code":{code},"msg":"used"}}"#)).unwrap_err();
        let PlaceError::Refused(refusal) = &error else { panic!("{error}") };
        assert_eq!(refusal.kind, RefusalKind::DuplicateClientId);
        assert!(!error.is_surely_not_placed());
    }
    assert!(placing(200, r#"{"code":101204,"msg":"Insufficient margin"}"#).unwrap_err().is_surely_not_placed());
}

#[test]
fn questions_tell_no_such_order_from_no_answer() {
    let ask = |status, body: &str| read_asking(status, body.as_bytes(), &[], |_| Ok(())).unwrap_err();
    for code in NO_SUCH_ORDER {
        assert!(matches!(
            ask(200, &format!(r#"{{"code":{code},"msg":"order not exist"}}"#)),
            QueryError::NoSuchOrder(_)
        ));
    }
    for (status, body) in
        [(200, r#"{"code":100410,"msg":"x"}"#), (200, r#"{"code":100500}"#), (504, ""), (200, "<html>")]
    {
        assert!(matches!(ask(status, body), QueryError::Unavailable { .. }), "{status} {body}");
    }
    assert!(matches!(ask(200, r#"{"code":100001,"msg":"x"}"#), QueryError::Refused(_)));
    // A missing page is no missing order.
    assert!(matches!(ask(404, ""), QueryError::Refused(_)));
}

/// JSON that looks like answers, and bytes that do not.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("null".to_owned()),
        Just("\"\"".to_owned()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "[a-zA-Z0-9 .:-]{0,60}".prop_map(|text| format!("\"{text}\"")),
        Just("\"BTC-USDT\"".to_owned()),
    ];
    let order = proptest::collection::vec(
        (
            prop_oneof![
                Just("symbol"),
                Just("orderId"),
                Just("orderID"),
                Just("clientOrderId"),
                Just("clientOrderID"),
                Just("status"),
                Just("side"),
                Just("executedQty"),
                Just("avgPrice"),
                Just("commission"),
                Just("updateTime"),
            ],
            word.clone(),
        ),
        0..12,
    )
    .prop_map(|fields| fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(","));
    let code = prop_oneof![
        Just("0".to_owned()),
        Just("\"0\"".to_owned()),
        word.clone(),
        (100_000_i64..110_000).prop_map(|code| code.to_string()),
        (80_000_i64..80_030).prop_map(|code| code.to_string()),
    ];
    let answer =
        (code, word, order, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(code, msg, order, end, whole)| {
            let text = format!("{{\"code\":{code},\"msg\":{msg},\"data\":{{\"order\":{{{order}}}}}}}");
            let end = if whole { text.len() } else { end.index(text.len()) };
            text.as_bytes()[..end].to_vec()
        });
    prop_oneof![1 => proptest::collection::vec(any::<u8>(), 0..200), 6 => answer]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Whatever comes back: "refused" only with a code of BingX's that means it, or a status that means it; "placed" only
    /// with an id.
    #[test]
    fn no_answer_makes_a_placed_order_look_refused(status in prop_oneof![4 => Just(200_u16), 1 => 100_u16..600], body in garbage()) {
        let text = String::from_utf8_lossy(&body).into_owned();
        let code = || serde_json::from_slice::<serde_json::Value>(&body).ok().and_then(|value| match &value["code"] {
            serde_json::Value::String(text) => text.trim().parse::<i64>().ok(),
            number => number.as_i64(),
        });
        match read_placing(status, &body, &symbol(), ID, &[]) {
            Ok(placed) => {
                prop_assert!((200..300).contains(&status) && code() == Some(0), "{status} {text}");
                prop_assert!(!placed.exchange_order_id.is_empty());
            }
            Err(PlaceError::Refused(refusal)) => {
                prop_assert!(status < 500, "{status} {text}");
                match code() {
                    Some(code) => prop_assert!(
                        code == refusal.code && ((80_013..=80_020).contains(&code) || code > 100_000) && !(500..600).contains(&(code % 1_000)),
                        "{status} {text}"
                    ),
                    None => prop_assert!((400..500).contains(&status) && ![408, 409, 499].contains(&status), "{status} {text}"),
                }
            }
            Err(PlaceError::NotSent(reason)) => prop_assert!(false, "{reason}: {text}"),
            Err(PlaceError::Unknown { .. }) => {}
        }
    }

    #[test]
    fn no_answer_breaks_a_question(status in 100_u16..600, body in garbage()) {
        let report = read_asking(status, &body, &[], |data| crate::wire::order::report(data, &symbol(), ID));
        if let Ok(report) = report {
            prop_assert!(report.executed_quantity >= rust_decimal::Decimal::ZERO && !report.exchange_order_id.is_empty());
        }
        let _ = read_asking(status, &body, &[], crate::wire::account::balance);
        let _ = read_asking(status, &body, &[], crate::wire::account::positions);
        let _ = read_asking(status, &body, &[], crate::wire::account::server_time);
    }
}
