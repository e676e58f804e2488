//! Metrics of decision-service, and of the language model it may ask.
//!
//! The `gen_ai_*` names and labels are OpenTelemetry's semantic conventions for generative AI (status: development).

use super::{Counter, CounterF64, Gauge, Histogram, Metric, Spec};

/// Decisions that were made.
///
/// `strategy` is the one that decided, also after a fallback; `symbol` is one of those configured, else `other`.
pub static DECISIONS: Counter = Counter::new(Spec {
    name: "decisions_total",
    unit: "{decision}",
    labels: &["strategy", "action", "symbol"],
    help: "Decisions made, by the strategy that decided, what it said and about which symbol (`other`: not a configured one)",
});

/// Time from the checked request to the decision.
pub static DURATION: Histogram = Histogram::new(Spec {
    name: "decision_duration_seconds",
    unit: "s",
    labels: &["strategy"],
    help: "How long a decision took, by the strategy that was asked for; one that fell back includes the failed attempt",
});

/// Decisions another strategy had to make.
///
/// `from` is the strategy that could not decide, `reason` a bounded word.
pub static FALLBACKS: Counter = Counter::new(Spec {
    name: "decision_fallbacks_total",
    unit: "{decision}",
    labels: &["from", "reason"],
    help: "Decisions that fell back to the technical strategy, by the strategy that could not decide and why",
});

/// Money spent, as a figure for charts.
pub static COST_USD: CounterF64 = CounterF64::new(Spec {
    name: "decision_cost_usd_total",
    unit: "{USD}",
    labels: &["strategy"],
    help: "US dollars spent on decisions, failed attempts included, by the strategy that spent them",
});

/// Money that may still be spent today.
pub static BUDGET_LEFT_USD: Gauge = Gauge::new(Spec {
    name: "decision_llm_budget_left_usd",
    unit: "{USD}",
    labels: &[],
    help: "US dollars of the language model's daily budget (UTC) that were left after the last use; 0 means technical decides",
});

/// Time of a call to a language model.
///
/// `error_type` is empty when the model gave a usable answer.
pub static GEN_AI_DURATION: Histogram = Histogram::with_buckets(
    Spec {
        name: "gen_ai_client_operation_duration_seconds",
        unit: "s",
        labels: &["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"],
        help: "How long calls to a language model took; error_type is empty when the answer could be used",
    },
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
);

/// Tokens a call used, as the model's server counted them.
pub static GEN_AI_TOKENS: Histogram = Histogram::with_buckets(
    Spec {
        name: "gen_ai_client_token_usage",
        unit: "{token}",
        labels: &["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"],
        help: "Tokens used by each call to a language model as its server counted them, by type: input or output",
    },
    &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0],
);

/// All of them.
pub static ALL: &[&dyn Metric] =
    &[&DECISIONS, &DURATION, &FALLBACKS, &COST_USD, &BUDGET_LEFT_USD, &GEN_AI_DURATION, &GEN_AI_TOKENS];
