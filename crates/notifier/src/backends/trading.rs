//! order-service: how trading stands, and what traders want done.

use domain::trading::{
    Actor, Balance, OrderCommand, ProfitReport, StateOutcome, StateRequest, TradeOrder, TradingStatus,
};
use domain::{DecisionId, Page};
use tracing::instrument::WithSubscriber as _;
use web::{UpstreamError, UpstreamErrorKind};

use super::{Backends, Told, call};

/// The code of order-service's problem where there is no such order; where it does not trade at all it has another.
const UNKNOWN_ORDER: &str = "unknown_order";

/// What somebody says of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send it.
    Confirm,
    /// Do not.
    Decline,
    /// Take it back.
    Cancel,
}

impl Verdict {
    /// `confirm`, `decline` or `cancel`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Decline => "decline",
            Self::Cancel => "cancel",
        }
    }

    const fn route(self) -> &'static str {
        match self {
            Self::Confirm => "/v1/trading/orders/{id}/confirm",
            Self::Decline => "/v1/trading/orders/{id}/decline",
            Self::Cancel => "/v1/trading/orders/{id}/cancel",
        }
    }
}

impl Backends {
    /// How trading stands.
    ///
    /// # Errors
    /// When order-service fails.
    pub async fn trading_status(&self) -> Result<TradingStatus, UpstreamError> {
        call(&self.order, Told::of("state"), self.order.get("/v1/trading/state")).await
    }

    /// The same, in no trace: for the loop that only wants to know the mode.
    pub(crate) async fn trading_status_quietly(&self) -> Result<TradingStatus, UpstreamError> {
        let silent = tracing::subscriber::NoSubscriber::default();
        let answer = self.order.get("/v1/trading/state").send().with_subscriber(silent).await;
        answer.and_then(|response| response.json())
    }

    /// Lets trading go on, or not. Done twice it is done once.
    ///
    /// # Errors
    /// When order-service fails or refuses.
    pub async fn set_trading_state(&self, wanted: &StateRequest) -> Result<StateOutcome, UpstreamError> {
        let told = Told { action: Some(wanted.state.as_str()), ..Told::of("set_state") };
        call(&self.order, told, self.order.put("/v1/trading/state").json(wanted).retryable()).await
    }

    /// The account.
    ///
    /// # Errors
    /// When order-service or the exchange fails.
    pub async fn balance(&self) -> Result<Balance, UpstreamError> {
        call(&self.order, Told::of("balance"), self.order.get("/v1/trading/balance")).await
    }

    /// What the last `days` days brought, and everything before.
    ///
    /// # Errors
    /// When order-service fails.
    pub async fn profit(&self, days: u16) -> Result<ProfitReport, UpstreamError> {
        let request = self.order.get("/v1/trading/profit").query(&[("days", days)]);
        call(&self.order, Told::of("profit"), request).await
    }

    /// The newest orders.
    ///
    /// # Errors
    /// When order-service fails.
    pub async fn orders(&self, limit: u16) -> Result<Page<TradeOrder>, UpstreamError> {
        let request = self.order.get("/v1/trading/orders").query(&[("limit", limit)]);
        call(&self.order, Told::of("orders"), request).await
    }

    /// An order with its history; none when there is no such order.
    ///
    /// # Errors
    /// When order-service fails.
    pub async fn order(&self, id: &DecisionId) -> Result<Option<TradeOrder>, UpstreamError> {
        let told = Told { order_id: Some(id), ..Told::of("order") };
        let request = self.order.get("/v1/trading/orders/{id}").path(format!("/v1/trading/orders/{id}"));
        match call(&self.order, told, request).await {
            Err(UpstreamError { kind: UpstreamErrorKind::Status { problem: Some(problem), .. }, .. })
                if problem.code == UNKNOWN_ORDER =>
            {
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Confirms, declines or cancels an order, once: what has been decided is refused the second time.
    ///
    /// # Errors
    /// When order-service fails, or refuses because it is too late.
    pub async fn decide_order(
        &self,
        id: &DecisionId,
        verdict: Verdict,
        by: &Actor,
    ) -> Result<TradeOrder, UpstreamError> {
        let told = Told { action: Some(verdict.as_str()), order_id: Some(id), ..Told::of("decide_order") };
        let path = format!("/v1/trading/orders/{id}/{}", verdict.as_str());
        let request = self.order.post(verdict.route()).path(path).json(&OrderCommand { by: by.clone() });
        call(&self.order, told, request).await
    }
}
