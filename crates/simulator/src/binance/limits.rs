//! Binance's limits for an address: request weight a minute, connections in five minutes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};

use super::ApiError;
use crate::world::{World, now_ms};

const MINUTE_MS: i64 = 60_000;
const FIVE_MINUTES_MS: i64 = 300_000;
/// More addresses than this are not told apart; a simulator on the loopback device has one or two callers.
const MOST_ADDRESSES: usize = 1_000;

/// What each address has used up in the running window of the clock.
struct Window {
    length_ms: i64,
    limit: u32,
    inner: Mutex<(i64, HashMap<IpAddr, u32>)>,
}

impl Window {
    fn new(length_ms: i64, limit: u32) -> Self {
        Self { length_ms, limit, inner: Mutex::new((0, HashMap::new())) }
    }

    /// Books `amount`: what is used up now, or how many seconds to wait when that is above the limit.
    fn book(&self, address: IpAddr, amount: u32, now_ms: i64) -> (u32, Option<u64>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let window = now_ms.div_euclid(self.length_ms);
        if inner.0 != window {
            *inner = (window, HashMap::new());
        }
        let address = if inner.1.len() < MOST_ADDRESSES || inner.1.contains_key(&address) {
            address
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        };
        let used = inner.1.entry(address).or_default();
        *used = used.saturating_add(amount);
        let left_ms = self.length_ms - now_ms.rem_euclid(self.length_ms);
        let wait_s = u64::try_from((left_ms + 999) / 1_000).unwrap_or(1);
        (*used, (*used > self.limit).then_some(wait_s))
    }
}

/// The limits of the exchange.
pub(crate) struct Limits {
    weight: Window,
    connections: Window,
}

impl Limits {
    /// `weight` a minute and `connections` in five minutes for each address.
    pub(crate) fn new(weight: u32, connections: u32) -> Self {
        Self { weight: Window::new(MINUTE_MS, weight), connections: Window::new(FIVE_MINUTES_MS, connections) }
    }

    /// The weight that an address may use in a minute.
    pub(super) const fn weight_per_minute(&self) -> u32 {
        self.weight.limit
    }

    /// Books a WebSocket connection.
    pub(super) fn connect(&self, address: IpAddr) -> Result<(), ApiError> {
        match self.connections.book(address, 1, now_ms()) {
            (_, Some(wait_s)) => Err(ApiError::too_many_connections(self.connections.limit, wait_s)),
            (_, None) => Ok(()),
        }
    }
}

/// The caller's address; all callers share one where there is none (a Unix socket, a test without network).
pub(super) fn address(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}

/// Counts the weight of every call, states it in the headers and refuses calls above the limit.
pub(super) async fn weigh(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(world) = request.app_data::<web::Data<World>>() else { return next.call(request).await };
    let weight = weight_of(request.path(), request.query_string());
    let limit = world.limits.weight_per_minute();
    let (used, wait_s) = world.limits.weight.book(address(request.request()), weight, now_ms());
    let mut response = match wait_s {
        Some(wait_s) => request.into_response(ApiError::weight_used_up(limit, wait_s).response()),
        None => next.call(request).await?,
    };
    let value = HeaderValue::from(used);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-mbx-used-weight"), value.clone());
    headers.insert(HeaderName::from_static("x-mbx-used-weight-1m"), value);
    Ok(response)
}

/// Weights of `rest-api.md`. With three symbols no list is longer than twenty.
fn weight_of(path: &str, query: &str) -> u32 {
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match path.strip_prefix("/api/v3/").unwrap_or(path) {
        "exchangeInfo" => 20,
        "trades" => 25,
        "klines" => 2,
        "ticker/price" | "ticker/bookTicker" => {
            if has("symbol") {
                2
            } else {
                4
            }
        }
        "ticker/24hr" => {
            if has("symbol") || has("symbols") {
                2
            } else {
                80
            }
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_binances() {
        assert_eq!(weight_of("/api/v3/ping", ""), 1);
        assert_eq!(weight_of("/api/v3/klines", "symbol=BTCUSDT"), 2);
        assert_eq!(weight_of("/api/v3/ticker/price", "symbol=BTCUSDT"), 2);
        assert_eq!(weight_of("/api/v3/ticker/price", "symbols=[]"), 4);
        assert_eq!(weight_of("/api/v3/ticker/24hr", "type=MINI"), 80);
        assert_eq!(weight_of("/api/v3/ticker/24hr", "symbols=[]"), 2);
    }

    #[test]
    fn a_window_fills_for_each_address_and_ends_with_the_minute() {
        let window = Window::new(MINUTE_MS, 10);
        let [one, two] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)));
        assert_eq!(window.book(one, 10, 600_000), (10, None));
        assert_eq!(window.book(one, 1, 615_000), (11, Some(45)));
        assert_eq!(window.book(two, 1, 615_000), (1, None));
        assert_eq!(window.book(one, 1, 660_000), (1, None));
    }
}
