//! The ask: price and candles, then a decision, for each symbol; one trace for all of it.

use std::time::Instant;

use domain::{Answer, AskOutcome, AskRefusal, AskResponse, DecisionRequest, StrategyName, Symbol, TradingMode};
use futures_util::future::{join_all, try_join};
use telemetry::metrics::notifier::{ASK_DURATION, ASKS};
use tracing::{Instrument, Span, field};
use web::{Problem, UpstreamError, UpstreamErrorKind};

use crate::backends::{Backends, DECISION};
use crate::mode::KnownMode;

/// The exchange, as market-data-service names it in its problems.
const EXCHANGE: &str = "binance";

/// Where a question came from; a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The bot.
    Telegram,
    /// `POST /v1/ask`.
    Http,
}

impl Channel {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Http => "http",
        }
    }
}

/// Answers or the reasons why there are none, in the order of the symbols.
#[derive(Debug)]
pub struct Asked {
    /// One result a symbol.
    pub results: Vec<(Symbol, Result<Box<Answer>, UpstreamError>)>,
    /// The trace of all of it.
    pub trace_id: Option<String>,
    /// Whether real money moves; none when order-service has not said so. Answers say paper then: nothing of an answer is
    /// traded by itself.
    pub mode: Option<TradingMode>,
}

impl Asked {
    /// As the API answers it: refusals beside answers, or the first problem when there is no answer at all.
    ///
    /// # Errors
    /// When no symbol has an answer.
    pub fn into_response(self) -> Result<AskResponse, Problem> {
        let trace_id = self.trace_id;
        let mut first_problem = None;
        let mut alike = Vec::new();
        let mut answered = false;
        let mut outcomes = Vec::with_capacity(self.results.len());
        for (symbol, result) in self.results {
            outcomes.push(match result {
                Ok(answer) => {
                    answered = true;
                    AskOutcome::Answer(answer)
                }
                Err(error) => {
                    let problem = problem(error);
                    let refusal =
                        AskRefusal { symbol, code: problem.code().to_owned(), detail: problem.detail().to_owned() };
                    // Of several that fail in the same way the first one speaks for all, and names them.
                    if let Some(first) = &first_problem
                        && Problem::code(first) == problem.code()
                    {
                        alike.push(refusal.symbol.to_string());
                    }
                    first_problem.get_or_insert(problem);
                    AskOutcome::Refusal(refusal)
                }
            });
        }
        match first_problem {
            Some(problem) if !answered && !alike.is_empty() => {
                let more = format!("{} The same goes for {}.", problem.detail(), alike.join(", "));
                Err(problem.with_detail(more))
            }
            Some(problem) if !answered => Err(problem),
            _ => Ok(AskResponse { outcomes, trace_id }),
        }
    }
}

/// Asks the services behind the bot.
#[derive(Debug, Clone)]
pub struct Asker {
    backends: Backends,
    mode: KnownMode,
}

impl Asker {
    /// Asks these services; `mode` is what answers say about money.
    #[must_use]
    pub const fn new(backends: Backends, mode: KnownMode) -> Self {
        Self { backends, mode }
    }

    /// Asks about every symbol at the same time. The callers bound their number.
    pub async fn ask(&self, symbols: &[Symbol], strategy: Option<StrategyName>, channel: Channel) -> Asked {
        let span = ask_span(symbols);
        let started = Instant::now();
        let asked = async {
            // One symbol needs no span of its own below this one.
            let results = match symbols {
                [symbol] => vec![(symbol.clone(), self.ask_one(symbol, strategy).await)],
                _ => {
                    join_all(symbols.iter().map(|symbol| {
                        let one = ask_span(std::slice::from_ref(symbol));
                        async { (symbol.clone(), self.ask_one(symbol, strategy).await) }.instrument(one)
                    }))
                    .await
                }
            };
            if results.iter().any(|(_, result)| result.as_ref().is_err_and(|error| !is_refusal(error))) {
                Span::current().record("otel.status_code", "ERROR");
            }
            Asked { results, trace_id: telemetry::trace_id(), mode: self.mode.get() }
        }
        .instrument(span)
        .await;
        ASK_DURATION.record(started.elapsed().as_secs_f64(), &[("channel", channel.as_str())]);
        for (_, result) in &asked.results {
            let outcome = match result {
                Ok(answer) => answer.action.as_str().to_ascii_lowercase(),
                Err(error) => problem(error.clone()).code().to_owned(),
            };
            ASKS.add(1, &[("channel", channel.as_str()), ("outcome", &outcome)]);
        }
        asked
    }

    async fn ask_one(&self, symbol: &Symbol, strategy: Option<StrategyName>) -> Result<Box<Answer>, UpstreamError> {
        let result = self.decide(symbol, strategy).await;
        let span = Span::current();
        match &result {
            Ok(answer) => {
                span.record("decision.id", answer.decision_id.as_str());
                span.record("decision.action", answer.action.as_str());
                span.record("decision.strategy", answer.strategy.as_str());
                span.record("price.age_ms", i64::try_from(answer.price_age_ms).unwrap_or(i64::MAX));
                tracing::info!(
                    crypto.symbol = %symbol,
                    decision.id = %answer.decision_id,
                    decision.action = answer.action.as_str(),
                    decision.strategy = answer.strategy.as_str(),
                    decision.confidence = %answer.confidence,
                    price.age_ms = answer.price_age_ms,
                    "answered {} {symbol}",
                    answer.action
                );
            }
            Err(error) => {
                span.record("error.type", error.label());
                span.record("upstream.failed", error.upstream);
                // A symbol that is not served is the asker's mistake: nothing failed.
                if is_refusal(error) {
                    tracing::info!(crypto.symbol = %symbol, upstream.failed = error.upstream, error = %error, "refused {symbol}");
                } else {
                    span.record("otel.status_code", "ERROR");
                    tracing::warn!(crypto.symbol = %symbol, upstream.failed = error.upstream, error.kind = error.label(), error = %error, "no answer for {symbol}");
                }
            }
        }
        result
    }

    async fn decide(&self, symbol: &Symbol, strategy: Option<StrategyName>) -> Result<Box<Answer>, UpstreamError> {
        let (price, candles) = try_join(self.backends.price(symbol), self.backends.candles(symbol)).await?;
        let request = DecisionRequest { price, candles, strategy };
        let decision = self.backends.decide(&request).await?;
        let price = request.price;
        Ok(Box::new(Answer {
            decision_id: decision.decision_id,
            symbol: decision.symbol,
            action: decision.action,
            confidence: decision.confidence,
            reason: decision.reason,
            price: price.price,
            price_observed_at: price.observed_at,
            price_age_ms: price.age_ms,
            strategy: decision.strategy,
            fallback: decision.fallback,
            cost_usd: decision.cost_usd,
            indicators: decision.indicators,
            mode: self.mode.get().unwrap_or(TradingMode::Paper),
        }))
    }
}

/// What is wrong with a symbol that is not served, or with a market: the asker's mistake, ours, or the exchange's.
pub(crate) fn problem(mut error: UpstreamError) -> Problem {
    if error.upstream == DECISION
        && error.is_refusal()
        && let UpstreamErrorKind::Status { status, problem: Some(problem), .. } = &mut error.kind
    {
        // The market that decision-service refuses was put together here, of what market-data-service gave: whoever
        // asked cannot mend it. A price that is old is the exchange's, which sends no newer one.
        let (told, failed) = if problem.code == "stale_price" { (503, EXCHANGE) } else { (502, DECISION) };
        *status = told;
        problem.upstream = Some(failed.to_owned());
    }
    Problem::from(error)
}

/// Whether the question is refused, rather than not answered because something failed.
fn is_refusal(error: &UpstreamError) -> bool {
    error.upstream != DECISION && error.is_refusal()
}

fn ask_span(symbols: &[Symbol]) -> Span {
    let names: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
    let names = names.join(",");
    let single = (symbols.len() == 1).then_some(names.as_str());
    tracing::info_span!(
        "ask",
        crypto.symbols = %names,
        crypto.symbol = single,
        decision.id = field::Empty,
        decision.action = field::Empty,
        decision.strategy = field::Empty,
        price.age_ms = field::Empty,
        upstream.failed = field::Empty,
        otel.status_code = field::Empty,
        error.type = field::Empty,
    )
}
