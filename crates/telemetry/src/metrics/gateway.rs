//! Metrics of api-gateway. What it calls is measured by the `http_client_*` metrics of every service.

use super::{Counter, Gauge, Metric, Spec};

/// Requests that did not come in.
///
/// `reason` is `unauthorized`, `too_many_failures` (wrong keys from one address), `rate_limited` or `too_many_streams`.
pub static REQUESTS_REJECTED: Counter = Counter::new(Spec {
    name: "gateway_requests_rejected_total",
    unit: "{request}",
    labels: &["reason"],
    help: "Requests that were turned away before any service saw them, by why",
});

/// Keys that are let in.
pub static API_KEYS: Gauge =
    Gauge::new(Spec { name: "gateway_api_keys", unit: "{key}", labels: &[], help: "API keys that are valid now" });

/// Times the file with the keys was read, because it is new or has changed.
///
/// `outcome` is `ok` or `failed`; after a failure the keys of before stay valid.
pub static API_KEY_FILE_READS: Counter = Counter::new(Spec {
    name: "gateway_api_key_file_reads_total",
    unit: "{read}",
    labels: &["outcome"],
    help: "Times the file with the API keys was taken over, or could not be",
});

/// Clients whose rates are remembered.
pub static RATE_LIMITED_CLIENTS: Gauge = Gauge::new(Spec {
    name: "gateway_rate_limited_clients",
    unit: "{client}",
    labels: &[],
    help: "Keys and addresses whose recent requests are remembered, to limit their rates",
});

/// Services whose part of the API description is there.
pub static DESCRIBED_SERVICES: Gauge = Gauge::new(Spec {
    name: "gateway_described_services",
    unit: "{service}",
    labels: &[],
    help: "Services whose API description is part of the gateway's; fewer than six while one was never reached",
});

/// Every metric of this group.
pub static ALL: &[&dyn Metric] =
    &[&REQUESTS_REJECTED, &API_KEYS, &API_KEY_FILE_READS, &RATE_LIMITED_CLIENTS, &DESCRIBED_SERVICES];
