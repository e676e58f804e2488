//! OTLP traces as Tempo writes them in JSON.
//!
//! `/api/v2/traces/{id}` wraps them in `{"trace": {"resourceSpans": […]}}`, the older `/api/traces/{id}` gives
//! `{"batches": […]}`. Both come out of a protobuf-to-JSON writer that puts ids in base64, where OTLP's own JSON has hex;
//! the lengths tell them apart. 64-bit numbers are texts or numbers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::view::{SpanKind, SpanStatus};

/// A span as it was read, with absolute times in nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RawSpan {
    pub(crate) id: String,
    pub(crate) parent_id: Option<String>,
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) status: SpanStatus,
    pub(crate) status_message: Option<String>,
    pub(crate) attributes: BTreeMap<String, Value>,
    pub(crate) events: Vec<RawEvent>,
}

/// An event as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RawEvent {
    pub(crate) name: String,
    pub(crate) at_ns: u64,
    pub(crate) attributes: BTreeMap<String, Value>,
}

/// Reads Tempo's answer of either endpoint. Spans without a usable id are left out: nothing can refer to them.
pub(crate) fn read(body: &[u8]) -> Result<Vec<RawSpan>, serde_json::Error> {
    let answer: Answer = serde_json::from_slice(body)?;
    let batches = answer.trace.map_or(answer.batches, |trace| trace.resource_spans);
    let mut spans = Vec::new();
    for batch in batches {
        let service =
            batch.resource.attributes.get("service.name").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        for span in batch.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            if let Some(id) = span.span_id.0 {
                spans.push(RawSpan {
                    id,
                    parent_id: span.parent_span_id.0,
                    service: service.clone(),
                    name: span.name,
                    kind: span.kind.0,
                    start_ns: span.start_time_unix_nano.0,
                    end_ns: span.end_time_unix_nano.0,
                    status: span.status.code.0,
                    status_message: span.status.message.filter(|message| !message.is_empty()),
                    attributes: span.attributes.0,
                    events: span
                        .events
                        .into_iter()
                        .map(|event| RawEvent {
                            name: event.name,
                            at_ns: event.time_unix_nano.0,
                            attributes: event.attributes.0,
                        })
                        .collect(),
                });
            }
        }
    }
    Ok(spans)
}

#[derive(Deserialize)]
struct Answer {
    trace: Option<Trace>,
    #[serde(default)]
    batches: Vec<Batch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    #[serde(default)]
    resource_spans: Vec<Batch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[serde(default)]
    resource: Resource,
    #[serde(default, alias = "instrumentationLibrarySpans")]
    scope_spans: Vec<Scope>,
}

#[derive(Default, Deserialize)]
struct Resource {
    #[serde(default)]
    attributes: Attributes,
}

impl Attributes {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

#[derive(Deserialize)]
struct Scope {
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Span {
    span_id: Id,
    parent_span_id: Id,
    name: String,
    kind: Kind,
    start_time_unix_nano: Nanos,
    end_time_unix_nano: Nanos,
    status: Status,
    attributes: Attributes,
    events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Event {
    name: String,
    time_unix_nano: Nanos,
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: StatusCode,
    message: Option<String>,
}

/// A span id as 16 hex digits; `None` when empty, all zero or no id.
#[derive(Default)]
struct Id(Option<String>);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        Ok(Self(span_id(&text)))
    }
}

/// 16 hex digits from hex or base64.
pub(crate) fn span_id(text: &str) -> Option<String> {
    const HEX_DIGITS: usize = 16;
    let is_hex = text.len() == HEX_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
    let hex = if is_hex { text.to_ascii_lowercase() } else { base64_to_hex(text)? };
    (hex.len() == HEX_DIGITS && hex.bytes().any(|digit| digit != b'0')).then_some(hex)
}

/// Reads base64, padded or not.
fn base64_to_hex(text: &str) -> Option<String> {
    const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let bytes = ANY_PADDING.decode(text).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Nanoseconds since 1970, as text or number.
#[derive(Default)]
struct Nanos(u64);

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let nanos = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        nanos.map(Self).ok_or_else(|| serde::de::Error::custom("a time that is no number of nanoseconds"))
    }
}

/// Name or number of a kind.
#[derive(Default)]
struct Kind(SpanKind);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(match (value.as_str(), value.as_u64()) {
            (Some("SPAN_KIND_INTERNAL"), _) | (_, Some(1)) => SpanKind::Internal,
            (Some("SPAN_KIND_SERVER"), _) | (_, Some(2)) => SpanKind::Server,
            (Some("SPAN_KIND_CLIENT"), _) | (_, Some(3)) => SpanKind::Client,
            (Some("SPAN_KIND_PRODUCER"), _) | (_, Some(4)) => SpanKind::Producer,
            (Some("SPAN_KIND_CONSUMER"), _) | (_, Some(5)) => SpanKind::Consumer,
            _ => SpanKind::Unspecified,
        }))
    }
}

/// Name or number of a status.
#[derive(Default)]
struct StatusCode(SpanStatus);

impl<'de> Deserialize<'de> for StatusCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(match (value.as_str(), value.as_u64()) {
            (Some("STATUS_CODE_OK"), _) | (_, Some(1)) => SpanStatus::Ok,
            (Some("STATUS_CODE_ERROR"), _) | (_, Some(2)) => SpanStatus::Error,
            _ => SpanStatus::Unset,
        }))
    }
}

/// `[{key, value: {stringValue | intValue | …}}]` as a map.
#[derive(Default)]
struct Attributes(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Pair {
            key: String,
            #[serde(default)]
            value: Value,
        }
        let pairs = Option::<Vec<Pair>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(Self(pairs.into_iter().map(|pair| (pair.key, plain(&pair.value))).collect()))
    }
}

/// An OTLP `AnyValue` as plain JSON.
fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else {
        return Value::Null;
    };
    match kind.as_str() {
        "intValue" => {
            inner.as_str().and_then(|text| text.parse::<i64>().ok()).map_or_else(|| inner.clone(), Value::from)
        }
        "arrayValue" => {
            let values = inner.get("values").and_then(Value::as_array);
            Value::Array(values.into_iter().flatten().map(plain).collect())
        }
        "kvlistValue" => {
            let pairs = inner.get("values").and_then(Value::as_array);
            let pairs = pairs.into_iter().flatten();
            Value::Object(
                pairs
                    .filter_map(|pair| Some((pair.get("key")?.as_str()?.to_owned(), plain(pair.get("value")?))))
                    .collect(),
            )
        }
        _ => inner.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_hex_and_base64() {
        assert_eq!(span_id("00f067aa0ba902b7").as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(span_id("00F067AA0BA902B7").as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(span_id("APBnqgupArc=").as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(span_id("APBnqgupArc").as_deref(), Some("00f067aa0ba902b7"));
        for text in ["", "0000000000000000", "AAAAAAAAAAA=", "not an id", "APBn"] {
            assert_eq!(span_id(text), None, "{text}");
        }
    }

    #[test]
    fn values_become_plain_json() {
        let value = |text: &str| plain(&serde_json::from_str(text).unwrap());
        assert_eq!(value(r#"{"stringValue":"a"}"#), Value::from("a"));
        assert_eq!(value(r#"{"intValue":"200"}"#), Value::from(200));
        assert_eq!(value(r#"{"intValue":200}"#), Value::from(200));
        assert_eq!(value(r#"{"doubleValue":0.5}"#), Value::from(0.5));
        assert_eq!(value(r#"{"boolValue":true}"#), Value::from(true));
        assert_eq!(
            value(r#"{"arrayValue":{"values":[{"stringValue":"a"},{"intValue":"1"}]}}"#),
            serde_json::json!(["a", 1])
        );
        assert_eq!(
            value(r#"{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":false}}]}}"#),
            serde_json::json!({"k": false})
        );
        assert_eq!(value("{}"), Value::Null);
    }

    #[test]
    fn both_endpoints_are_read() {
        let batch = r#"{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"decision-service"}}]},"scopeSpans":[{"scope":{"name":"x"},
            "spans":[{"traceId":"S/kvNXezTaajzpKdDg5HNg==","spanId":"APBnqgupArc=","parentSpanId":"","name":"GET /","kind":"SPAN_KIND_SERVER",
            "startTimeUnixNano":"1700000000000001000","endTimeUnixNano":1700000000000005000,"status":{"code":"STATUS_CODE_ERROR","message":"no"},
            "events":[{"timeUnixNano":"1700000000000002000","name":"retry"}]}]}]}"#;
        let v2 = read(format!(r#"{{"trace":{{"resourceSpans":[{batch}]}},"metrics":{{}}}}"#).as_bytes()).unwrap();
        let v1 = read(format!(r#"{{"batches":[{batch}]}}"#).as_bytes()).unwrap();
        assert_eq!(v1, v2);
        assert_eq!(v1.len(), 1);
        assert_eq!(v1[0].service, "decision-service");
        assert_eq!(v1[0].parent_id, None);
        assert_eq!(v1[0].kind, SpanKind::Server);
        assert_eq!(v1[0].status, SpanStatus::Error);
        assert_eq!(v1[0].end_ns - v1[0].start_ns, 4000);
        assert_eq!(v1[0].events[0].name, "retry");
    }

    #[test]
    fn nothing_found_is_no_spans_and_nonsense_is_an_error() {
        assert!(read(br#"{"trace":{},"metrics":{}}"#).unwrap().is_empty());
        assert!(read(b"{}").unwrap().is_empty());
        assert!(read(b"<html>").is_err());
        assert!(read(br#"{"batches":3}"#).is_err());
    }
}
