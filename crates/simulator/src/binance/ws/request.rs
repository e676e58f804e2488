//! Messages of a client: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY.

use serde_json::{Value, json};

use super::streams::{MOST_STREAMS, Subscriptions};
use crate::market::Market;

/// Carries a client's message out and words the answer.
///
/// Errors are `{"error":{"code","msg"},"id"}` with the codes and messages of `web-socket-streams.md`.
pub(super) fn answer(text: &str, subscriptions: &mut Subscriptions, combined: &mut bool, market: &Market) -> Value {
    let message: Value = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => return failure(3, &format!("Invalid JSON: {error}"), &Value::Null),
    };
    let id = message.get("id").cloned().unwrap_or_default();
    if !is_id(&id) {
        return failure(2, "Invalid request: request ID must be an unsigned integer", &Value::Null);
    }
    let Some(method) = message.get("method") else {
        return failure(2, "Invalid request: missing field `method`", &id);
    };
    let params = message.get("params").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match method.as_str().unwrap_or_default() {
        "SUBSCRIBE" => match names(params) {
            Some(names) => {
                if names.iter().all(|name| subscriptions.add(name, market)) {
                    success(Value::Null, &id)
                } else {
                    failure(2, &format!("Invalid request: too many streams, at most {MOST_STREAMS}"), &id)
                }
            }
            None => failure(2, "Invalid request: invalid stream", &id),
        },
        "UNSUBSCRIBE" => match names(params) {
            Some(names) => {
                names.iter().for_each(|name| subscriptions.remove(name));
                success(Value::Null, &id)
            }
            None => failure(2, "Invalid request: invalid stream", &id),
        },
        "LIST_SUBSCRIPTIONS" => success(json!(subscriptions.names()), &id),
        "SET_PROPERTY" => match params {
            [name, value] if name == "combined" => match value.as_bool() {
                Some(value) => {
                    *combined = value;
                    success(Value::Null, &id)
                }
                None => failure(1, "Invalid value type: expected Boolean", &id),
            },
            [Value::String(_), _] => failure(0, "Unknown property", &id),
            [_, _] => failure(2, "Invalid request: property name must be a string", &id),
            _ => failure(2, "Invalid request: too many parameters", &id),
        },
        "GET_PROPERTY" => match params {
            [name] if name == "combined" => success(Value::Bool(*combined), &id),
            [Value::String(_)] => failure(0, "Unknown property", &id),
            [_] | [] => failure(2, "Invalid request: property name must be a string", &id),
            _ => failure(2, "Invalid request: too many parameters", &id),
        },
        other => failure(
            2,
            &format!(
                "Invalid request: unknown variant `{}`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`",
                other.chars().take(40).collect::<String>()
            ),
            &id,
        ),
    }
}

/// A 64-bit signed integer, an alphanumeric string of at most 36 characters, or null.
fn is_id(id: &Value) -> bool {
    match id {
        Value::Null => true,
        Value::Number(number) => number.is_i64(),
        Value::String(text) => {
            text.len() <= 36 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }
        _ => false,
    }
}

/// Stream names, at least one; each has an `@`.
fn names(params: &[Value]) -> Option<Vec<&str>> {
    let names: Vec<&str> = params.iter().map(Value::as_str).collect::<Option<_>>()?;
    (!names.is_empty() && names.iter().all(|name| name.contains('@'))).then_some(names)
}

fn success(result: Value, id: &Value) -> Value {
    json!({ "result": result, "id": id })
}

fn failure(code: u8, message: &str, id: &Value) -> Value {
    json!({ "error": { "code": code, "msg": message }, "id": id })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::market::StartAt;

    #[test]
    fn the_documented_conversations() {
        let market = Market::new(NonZeroU16::MIN, StartAt::default(), 1, 1_800_000_000_000).unwrap();
        let mut subscriptions = Subscriptions::default();
        let mut combined = false;
        let mut ask = |text: &str| answer(text, &mut subscriptions, &mut combined, &market);
        assert_eq!(
            ask(r#"{"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@ticker","btcusdt@trade"],"id":1}"#),
            json!({"result":null,"id":1})
        );
        assert_eq!(
            ask(r#"{"method":"UNSUBSCRIBE","params":["btcusdt@trade","x@y"],"id":312}"#),
            json!({"result":null,"id":312})
        );
        assert_eq!(ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":"a1"}"#), json!({"result":["btcusdt@ticker"],"id":"a1"}));
        assert_eq!(ask(r#"{"method":"GET_PROPERTY","params":["combined"],"id":2}"#), json!({"result":false,"id":2}));
        assert_eq!(
            ask(r#"{"method":"SET_PROPERTY","params":["combined",true],"id":5}"#),
            json!({"result":null,"id":5})
        );
        assert_eq!(ask(r#"{"method":"GET_PROPERTY","params":["combined"],"id":2}"#), json!({"result":true,"id":2}));
        let mut code = |text: &str| ask(text)["error"]["code"].clone();
        assert_eq!(code("{"), 3);
        assert_eq!(code(r#"{"id":1}"#), 2);
        assert_eq!(code(r#"{"method":"subscribe","id":1}"#), 2);
        assert_eq!(code(r#"{"method":"SUBSCRIBE","params":[],"id":1}"#), 2);
        assert_eq!(code(r#"{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1.5}"#), 2);
        assert_eq!(code(r#"{"method":"SET_PROPERTY","params":["combined",1],"id":1}"#), 1);
        assert_eq!(code(r#"{"method":"SET_PROPERTY","params":["speed",true],"id":1}"#), 0);
        let many: Vec<String> = (0..1025).map(|n| format!("s{n}@trade")).collect();
        assert_eq!(code(&json!({"method":"SUBSCRIBE","params":many,"id":1}).to_string()), 2);
    }
}
