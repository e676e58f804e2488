//! The client.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::Symbol;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use secrecy::{ExposeSecret as _, SecretString};
use web::{Upstream, UpstreamRequest, UpstreamSettings};

use crate::order::check_client_order_id;
use crate::outcome::{of_asking, of_placing};
use crate::signature::{Parameters, Signer};
use crate::symbol::to_bingx;
use crate::wire::{account, order};
use crate::{
    Balance, NewOrder, NewOrderError, NotSent, OrderKind, OrderReport, PlaceError, PlacedOrder, Positions, QueryError,
    Settings, SettingsError,
};

const ORDER: &str = "/openApi/swap/v2/trade/order";
const BALANCE: &str = "/openApi/swap/v2/user/balance";
const POSITIONS: &str = "/openApi/swap/v2/user/positions";
const SERVER_TIME: &str = "/openApi/swap/v2/server/time";

/// BingX's perpetual swaps for one account in one-way mode. Clones are the same client and share its limits.
///
/// Nothing is tried again here: of a placing call that must never happen, of any other the caller knows better.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    upstream: Upstream,
    signer: Signer,
    orders: DefaultDirectRateLimiter,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", self.shared.upstream.base_url()).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes the client; connects nothing yet.
    ///
    /// # Errors
    /// When a key is missing or cannot be sent, or `recvWindow` is more than BingX takes.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let key = settings.api_key.expose_secret();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SettingsError::ApiKey);
        }
        if !(1..=crate::MOST_RECV_WINDOW_MS).contains(&settings.recv_window_ms) {
            return Err(SettingsError::RecvWindow);
        }
        let signer = Signer::new(&settings.secret_key)?;
        let upstream = Upstream::new(UpstreamSettings {
            attempt_timeout: settings.query_timeout,
            total_timeout: settings.query_timeout.max(settings.order_timeout),
            max_attempts: 1,
            max_response_bytes: settings.max_response_bytes,
            ..UpstreamSettings::new("bingx", settings.base_url.clone())
        });
        let orders = DefaultDirectRateLimiter::direct(quota(settings.orders_per_second));
        Ok(Self { shared: Arc::new(Shared { settings, upstream, signer, orders }) })
    }

    /// How long calls are still held back because earlier ones failed; none while they go out.
    #[must_use]
    pub fn held_back(&self) -> Option<Duration> {
        self.shared.upstream.held_back()
    }

    /// How long after it was sent a call may still be taken: `recvWindow`, and a second by which clocks may differ. An order
    /// of which the outcome is unknown, and which BingX does not know after that, was never taken.
    #[must_use]
    pub fn longest_in_flight(&self) -> Duration {
        Duration::from_millis(self.shared.settings.recv_window_ms.into()) + Duration::from_secs(1)
    }

    /// `POST /openApi/swap/v2/trade/order`: places an order. Sent at most once.
    ///
    /// # Errors
    /// [`PlaceError`], which says whether there may be an order nevertheless.
    pub async fn place(&self, order: &NewOrder) -> Result<PlacedOrder, PlaceError> {
        order.check().map_err(NotSent::from)?;
        let symbol = spelled(&order.symbol).map_err(NotSent::from)?;
        let id = order.client_order_id.to_ascii_lowercase();
        let mut parameters = Parameters::default()
            .with("symbol", symbol)
            .with("side", order.side.as_str())
            .with("positionSide", order.position_side.as_str())
            .with("quantity", order.quantity.normalize().to_string())
            .with("clientOrderId", id.as_str());
        parameters = match order.kind {
            OrderKind::Market => parameters.with("type", "MARKET"),
            OrderKind::Limit { price, time_in_force } => parameters
                .with("type", "LIMIT")
                .with("price", price.normalize().to_string())
                .with("timeInForce", time_in_force.as_str()),
        };
        if order.reduce_only {
            parameters = parameters.with("reduceOnly", "true");
        }
        self.admit().map_err(|retry_after| NotSent::TooManyOrders { retry_after })?;
        let call = self.shared.upstream.post(ORDER).timeout(self.shared.settings.order_timeout);
        let outcome = Box::pin(self.signed(call, parameters).send()).await;
        of_placing(outcome, &order.symbol, &id, &self.secrets())
    }

    /// `GET /openApi/swap/v2/trade/order`: an order by our id.
    ///
    /// # Errors
    /// [`QueryError`]; [`QueryError::NoSuchOrder`] only when BingX says so. Soon after a call whose outcome is unknown that is
    /// not the last word: see [`Client::longest_in_flight`].
    pub async fn order_by_client_id(&self, symbol: &Symbol, client_order_id: &str) -> Result<OrderReport, QueryError> {
        self.about_order(self.shared.upstream.get(ORDER), symbol, client_order_id).await
    }

    /// `DELETE /openApi/swap/v2/trade/order`: cancels an order by our id. The report is of the moment of cancelling, and
    /// may still say PENDING: query it afterwards. Cancelling twice does no harm.
    ///
    /// # Errors
    /// [`QueryError`]; an order that is final already is [`QueryError::Refused`] or [`QueryError::NoSuchOrder`].
    pub async fn cancel(&self, symbol: &Symbol, client_order_id: &str) -> Result<OrderReport, QueryError> {
        // Whoever takes an order back waits for a turn among the orders of a second; who places one does not, and so has
        // none before those that are to be cancelled.
        let last_moment = Instant::now() + self.shared.settings.order_timeout;
        while let Err(retry_after) = self.admit() {
            if Instant::now() + retry_after >= last_moment {
                let why = NotSent::TooManyOrders { retry_after }.to_string();
                return Err(QueryError::Unavailable { why });
            }
            tokio::time::sleep(retry_after).await;
        }
        let call = self.shared.upstream.delete(ORDER).timeout(self.shared.settings.order_timeout);
        self.about_order(call, symbol, client_order_id).await
    }

    /// `GET /openApi/swap/v2/user/balance`: the account's money.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn balance(&self) -> Result<Balance, QueryError> {
        let call = self.signed(self.shared.upstream.get(BALANCE), Parameters::default());
        of_asking(Box::pin(call.send()).await, &self.secrets(), account::balance)
    }

    /// `GET /openApi/swap/v2/user/positions`: every open position; one that cannot be read hides no other.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn positions(&self) -> Result<Positions, QueryError> {
        let call = self.signed(self.shared.upstream.get(POSITIONS), Parameters::default());
        of_asking(Box::pin(call.send()).await, &self.secrets(), account::positions)
    }

    /// `GET /openApi/swap/v2/server/time`: BingX's clock. Needs no key.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn server_time(&self) -> Result<DateTime<Utc>, QueryError> {
        let call = self.shared.upstream.get(SERVER_TIME);
        of_asking(Box::pin(call.send()).await, &self.secrets(), account::server_time)
    }

    async fn about_order(
        &self,
        call: UpstreamRequest,
        symbol: &Symbol,
        client_order_id: &str,
    ) -> Result<OrderReport, QueryError> {
        check_client_order_id(client_order_id)?;
        let id = client_order_id.to_ascii_lowercase();
        let parameters = Parameters::default().with("symbol", spelled(symbol)?).with("clientOrderId", id.as_str());
        let outcome = Box::pin(self.signed(call, parameters).send()).await;
        of_asking(outcome, &self.secrets(), |data| order::report(data, symbol, &id))
    }

    /// The call with time, signature and key. Spans and logs show its path only.
    fn signed(&self, call: UpstreamRequest, parameters: Parameters) -> UpstreamRequest {
        let settings = &self.shared.settings;
        let parameters = parameters
            .with("recvWindow", settings.recv_window_ms.to_string())
            .with("timestamp", Utc::now().timestamp_millis().to_string());
        call.header("X-BX-APIKEY", settings.api_key.expose_secret())
            .encoded_query(&self.shared.signer.sign(&parameters))
    }

    /// Whether another order may be sent now; an `Err` says how long to wait.
    fn admit(&self) -> Result<(), Duration> {
        self.shared.orders.check().map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    fn secrets(&self) -> [&SecretString; 2] {
        [&self.shared.settings.api_key, &self.shared.settings.secret_key]
    }
}

/// Half at once, half over the second: no second then has more than the limit, wherever it begins.
fn quota(orders_per_second: NonZeroU32) -> Quota {
    let at_once = NonZeroU32::new(orders_per_second.get() / 2).unwrap_or(NonZeroU32::MIN);
    let rest = NonZeroU32::new(orders_per_second.get() - at_once.get()).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(rest).allow_burst(at_once)
}

fn spelled(symbol: &Symbol) -> Result<String, NewOrderError> {
    to_bingx(symbol).ok_or_else(|| NewOrderError::Symbol(symbol.clone()))
}
