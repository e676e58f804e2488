//! The `llm` strategy: a language model's opinion on the numbers that the technical strategy computed.

use chrono::Utc;
use domain::strategy::{MarketView, Opinion};
use domain::{Indicators, strategy::figures};
use llm::wire::Usage;
use llm::{ChatErrorKind, Client, Prices, Prompt, Spent, estimated_tokens};
use rust_decimal::Decimal;
use web::StartError;

use crate::budget::Budget;
use crate::config::LlmConfig;
use crate::prompt::prompt;
use crate::reply::{Reply, ReplyError};

/// A model with what it may cost.
#[derive(Debug)]
pub(crate) struct LanguageModel {
    client: Client,
    prices: Prices,
    max_cost_usd: Decimal,
    budget: Budget,
}

/// An opinion, and what it cost.
#[derive(Debug)]
pub(crate) struct Paid {
    pub(crate) opinion: Opinion,
    pub(crate) cost: Cost,
}

/// Money that was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) usd: Decimal,
    /// The model did not say how many tokens it used.
    pub(crate) estimated: bool,
}

/// No opinion, why, and what that cost.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) cost: Cost,
}

/// Why the language model could not decide. Each text is a sentence for people; none holds a text from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("No language model is configured (LLM_BASE_URL is not set).")]
    NotConfigured,
    #[error("Asking the language model could cost {most} USD; at most {cap} USD are allowed for a decision.")]
    CostCap { most: Decimal, cap: Decimal },
    #[error("Of today's {daily} USD for the language model {left} USD are left, and asking it could cost {most} USD.")]
    DailyBudget { daily: Decimal, left: Decimal, most: Decimal },
    #[error("The language model {0}.")]
    Chat(ChatErrorKind),
    #[error("The language model gave a confidence that is not between 0 and 1.")]
    BadConfidence,
    #[error("The language model gave no reason.")]
    Unexplained,
    #[error("The question for the language model could not be written.")]
    Prompt,
}

impl Reason {
    /// A bounded word for metrics and spans.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::CostCap { .. } => "cost_cap",
            Self::DailyBudget { .. } => "daily_budget",
            Self::Chat(kind) => kind.label(),
            Self::BadConfidence => "bad_confidence",
            Self::Unexplained => "no_reason",
            Self::Prompt => "prompt",
        }
    }
}

impl Cost {
    pub(crate) const NOTHING: Self = Self { usd: Decimal::ZERO, estimated: false };
}

impl LanguageModel {
    /// The model of the settings, if one is set.
    pub(crate) fn new(config: &LlmConfig) -> Result<Option<Self>, StartError> {
        let Some(settings) = config.client()? else { return Ok(None) };
        let (max_cost_usd, daily_usd) = config.limits()?;
        Ok(Some(Self {
            client: Client::new(settings),
            prices: config.prices()?,
            max_cost_usd,
            budget: Budget::new(daily_usd),
        }))
    }

    /// Its opinion, within what it may cost.
    pub(crate) async fn opinion(&self, view: &MarketView, indicators: Indicators) -> Result<Paid, Failure> {
        let free = |reason| Failure { reason, cost: Cost::NOTHING };
        let prompt = prompt(view, &indicators).map_err(|_| free(Reason::Prompt))?;
        let most = self.client.most_tokens(&prompt).map_err(|_| free(Reason::Prompt))?;
        let most = self.prices.cost_usd(most);
        if most > self.max_cost_usd {
            return Err(free(Reason::CostCap { most, cap: self.max_cost_usd }));
        }
        let reservation = self.budget.reserve(most, Utc::now().date_naive()).map_err(|spent| {
            free(Reason::DailyBudget { daily: self.budget.daily_usd(), left: spent.left_usd, most })
        })?;
        let outcome = self.ask(&prompt, most).await;
        let cost = match &outcome {
            Ok((_, cost)) => *cost,
            Err(failure) => failure.cost,
        };
        reservation.settle(cost.usd);
        let (reply, cost) = outcome?;
        Ok(Paid { opinion: opinion(reply, cost, indicators), cost })
    }

    async fn ask(&self, prompt: &Prompt, most: Decimal) -> Result<(Reply, Cost), Failure> {
        let completion = self.client.chat(prompt).await.map_err(|error| {
            let cost = match error.spent {
                Spent::Nothing => Cost::NOTHING,
                Spent::Tokens(usage) => Cost { usd: self.prices.cost_usd(usage), estimated: false },
                Spent::Unknown => Cost { usd: most, estimated: true },
            };
            Failure { reason: Reason::Chat(error.kind), cost }
        })?;
        let cost = match completion.usage {
            Some(usage) => Cost { usd: self.prices.cost_usd(usage), estimated: false },
            None => Cost { usd: self.estimated(prompt, &completion.text), estimated: true },
        };
        let reply = Reply::read(&completion).map_err(|error| {
            let reason = match error {
                ReplyError::Form(kind) => Reason::Chat(kind),
                ReplyError::Confidence => Reason::BadConfidence,
                ReplyError::NoReason => Reason::Unexplained,
            };
            Failure { reason, cost }
        })?;
        Ok((reply, cost))
    }

    /// What a call cost of which only the texts are known.
    fn estimated(&self, prompt: &Prompt, answer: &str) -> Decimal {
        let question = prompt.system.len() + prompt.user.len() + prompt.schema.to_string().len();
        self.prices.cost_usd(Usage {
            prompt_tokens: estimated_tokens(question),
            completion_tokens: estimated_tokens(answer.len()),
        })
    }
}

fn opinion(reply: Reply, cost: Cost, indicators: Indicators) -> Opinion {
    let mut reason = reply.reason;
    if cost.estimated {
        reason.push_str(" (The model did not say what it used; its cost is an estimate.)");
    }
    Opinion { action: reply.action, confidence: reply.confidence, reason, indicators }
}

/// The sentence of a fallback: why, and what is not certain about the cost.
pub(crate) fn sentence(failure: &Failure) -> String {
    let reason = &failure.reason;
    if failure.cost.estimated && !failure.cost.usd.is_zero() {
        let usd = figures::price(failure.cost.usd);
        return format!("{reason} It did not say what that cost; {usd} USD are counted.");
    }
    reason.to_string()
}
