//! Chooses the strategy, makes the decision, and shows it on spans and metrics.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use chrono::Utc;
use domain::strategy::{MarketView, Opinion, RandomStrategy, Technical};
use domain::{Decision, DecisionId, DecisionRequest, Fallback, StrategyName, Symbol};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use telemetry::metrics::decision::{COST_USD, DECISIONS, DURATION, FALLBACKS};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use web::StartError;

use crate::config::Config;
use crate::error::DecisionError;
use crate::language_model::{Cost, Failure, LanguageModel, Paid, Reason, sentence};

/// Makes decisions.
#[derive(Debug)]
pub(crate) struct Decider {
    default_strategy: StrategyName,
    max_price_age_ms: u64,
    random: Mutex<RandomStrategy>,
    language_model: Option<LanguageModel>,
    symbols: Vec<Symbol>,
}

/// An opinion, whose it is, and what it took.
struct Made {
    opinion: Opinion,
    strategy: StrategyName,
    fallback: Option<Fallback>,
    cost: Cost,
}

impl Made {
    const fn free(opinion: Opinion, strategy: StrategyName) -> Self {
        Self { opinion, strategy, fallback: None, cost: Cost::NOTHING }
    }
}

impl Decider {
    /// As the settings say.
    pub(crate) fn new(config: &Config) -> Result<Self, StartError> {
        Ok(Self {
            default_strategy: config.strategy,
            max_price_age_ms: config.max_price_age_ms,
            random: Mutex::new(RandomStrategy::new(config.random_seed)),
            language_model: LanguageModel::new(&config.llm)?,
            symbols: config.symbols.clone(),
        })
    }

    /// Decides.
    pub(crate) async fn decide(&self, request: &DecisionRequest) -> Result<Decision, DecisionError> {
        let asked = request.strategy.unwrap_or(self.default_strategy);
        let view = MarketView::new(request, self.max_price_age_ms)?;
        let decision_id = DecisionId::from_bytes(uuid::Uuid::new_v4().into_bytes());
        let span = tracing::info_span!(
            "decide",
            crypto.symbol = view.symbol().as_str(),
            decision.id = decision_id.as_str(),
            decision.strategy.requested = asked.as_str(),
            decision.strategy = Empty,
            decision.action = Empty,
            decision.confidence = Empty,
            decision.cost_usd = Empty,
            decision.cost_estimated = Empty,
            decision.fallback.from = Empty,
            decision.fallback.reason = Empty,
        );
        let started = Instant::now();
        let made = self.make(asked, &view).instrument(span.clone()).await?;
        let Made { opinion, strategy, fallback, cost } = made;
        span.record("decision.strategy", strategy.as_str());
        span.record("decision.action", opinion.action.as_str());
        span.record("decision.confidence", opinion.confidence.to_f64());
        span.record("decision.cost_usd", figure(cost.usd));
        span.record("decision.cost_estimated", cost.estimated);
        DURATION.record(started.elapsed().as_secs_f64(), &[("strategy", asked.as_str())]);
        let symbol = self.symbols.iter().find(|symbol| *symbol == view.symbol()).map_or("other", Symbol::as_str);
        DECISIONS.add(1, &[("strategy", strategy.as_str()), ("action", opinion.action.as_str()), ("symbol", symbol)]);
        if !cost.usd.is_zero() {
            // Whoever was asked spent it, also when another decided in the end.
            COST_USD.add(figure(cost.usd), &[("strategy", asked.as_str())]);
        }
        span.in_scope(|| {
            tracing::info!(
                decision.id = decision_id.as_str(),
                decision.strategy = strategy.as_str(),
                crypto.symbol = view.symbol().as_str(),
                confidence = %opinion.confidence,
                "decided {}",
                opinion.action
            );
        });
        let root = Span::current();
        root.record("crypto.symbol", view.symbol().as_str());
        root.record("decision.id", decision_id.as_str());
        root.record("decision.action", opinion.action.as_str());
        root.record("decision.strategy", strategy.as_str());
        Ok(Decision {
            decision_id,
            symbol: view.symbol().clone(),
            action: opinion.action,
            confidence: opinion.confidence,
            reason: opinion.reason,
            strategy,
            fallback,
            cost_usd: cost.usd,
            indicators: opinion.indicators,
            decided_at: Utc::now(),
            trace_id: telemetry::trace_id(),
        })
    }

    async fn make(&self, asked: StrategyName, view: &MarketView) -> Result<Made, DecisionError> {
        match asked {
            StrategyName::Technical => Ok(Made::free(Technical::decide(view)?, StrategyName::Technical)),
            StrategyName::Random => {
                let opinion = self.random.lock().unwrap_or_else(PoisonError::into_inner).decide();
                Ok(Made::free(opinion, StrategyName::Random))
            }
            StrategyName::Llm => {
                // First, because the model is asked about these numbers, and because there is no fallback without them.
                let technical = Technical::decide(view)?;
                match self.ask(view, &technical).await {
                    Ok(Paid { opinion, cost }) => {
                        Ok(Made { opinion, strategy: StrategyName::Llm, fallback: None, cost })
                    }
                    Err(failure) => Ok(fall_back(technical, &failure)),
                }
            }
        }
    }

    async fn ask(&self, view: &MarketView, technical: &Opinion) -> Result<Paid, Failure> {
        match &self.language_model {
            Some(model) => model.opinion(view, technical.indicators.clone()).await,
            None => Err(Failure { reason: Reason::NotConfigured, cost: Cost::NOTHING }),
        }
    }
}

/// The technical opinion in place of the language model's; said in the reply, on the span, in the log and in a metric.
fn fall_back(technical: Opinion, failure: &Failure) -> Made {
    let from = StrategyName::Llm;
    let label = failure.reason.label();
    let reason = sentence(failure);
    let span = Span::current();
    span.record("decision.fallback.from", from.as_str());
    span.record("decision.fallback.reason", label);
    tracing::warn!(
        decision.fallback.from = from.as_str(),
        decision.fallback.reason = label,
        "fell back to the technical strategy: {reason}"
    );
    FALLBACKS.add(1, &[("from", from.as_str()), ("reason", label)]);
    Made {
        opinion: technical,
        strategy: StrategyName::Technical,
        fallback: Some(Fallback { from, reason }),
        cost: failure.cost,
    }
}

/// Money as a figure for charts; replies carry the decimal.
fn figure(usd: Decimal) -> f64 {
    usd.to_f64().unwrap_or(0.0)
}
