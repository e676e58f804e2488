//! What callers are told when there is no answer.

use std::time::Duration;

use actix_web::http::StatusCode;
use binance::rest::{RestError, Withheld};
use domain::{Symbol, SymbolError};
use web::Problem;

use crate::price::NoPrice;

/// Who is to blame when the exchange is.
const EXCHANGE: &str = "binance";

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The text is no symbol.
    #[error("{0}")]
    BadSymbol(#[from] SymbolError),
    /// A symbol that is not served.
    #[error("{symbol} is not served")]
    UnknownSymbol {
        /// The one asked for.
        symbol: Symbol,
        /// Those that are served.
        served: Vec<String>,
    },
    /// The text is no interval.
    #[error("{0}")]
    BadInterval(#[from] domain::market::IntervalError),
    /// The limit is no number from 1 to 1000.
    #[error("bad limit")]
    BadLimit,
    /// No price, or none that may be told.
    #[error("no price of {symbol}")]
    NoPrice {
        /// Whose.
        symbol: Symbol,
        /// Why not.
        why: NoPrice,
        /// What is known about the cause.
        cause: Option<String>,
    },
    /// The candles are old, and the exchange gives no newer ones.
    #[error("candles of {symbol} are {age:?} old: {source}")]
    StaleCandles {
        /// Whose.
        symbol: Symbol,
        /// How old.
        age: Duration,
        /// How old they may be.
        limit: Duration,
        /// What the exchange said.
        source: Box<RestError>,
    },
    /// The exchange was asked and gave no answer.
    #[error(transparent)]
    Exchange(#[from] RestError),
    /// The exchange has not said what its symbols are made of.
    #[error("symbols are not known yet")]
    SymbolsUnknown,
    /// As many clients listen as may.
    #[error("too many clients")]
    TooManyClients {
        /// How many may.
        limit: u16,
    },
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::BadSymbol(error) => {
                Self::new(StatusCode::BAD_REQUEST, "bad_symbol", format!("This is no symbol: {error}."))
            }
            ApiError::UnknownSymbol { symbol, served } => Self::new(
                StatusCode::NOT_FOUND,
                "unknown_symbol",
                format!("{symbol} is not served here. Served are {}.", served.join(", ")),
            ),
            ApiError::BadInterval(error) => {
                Self::new(StatusCode::BAD_REQUEST, "bad_interval", format!("This is no interval: {error}."))
            }
            ApiError::BadLimit => {
                Self::new(StatusCode::BAD_REQUEST, "bad_limit", "The limit is a whole number from 1 to 1000.")
            }
            ApiError::NoPrice { symbol, why, cause } => no_price(&symbol, &why, cause),
            ApiError::StaleCandles { symbol, age, limit, source } => {
                let problem = Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "stale_candles",
                    format!(
                        "The newest candle of {symbol} was confirmed {} ago; more than {} is too old to act on. \
                         Binance gives no newer one.",
                        seconds(age),
                        seconds(limit)
                    ),
                )
                .upstream(EXCHANGE);
                match source.retry_after() {
                    Some(after) => problem.retry_after(after),
                    None => problem,
                }
            }
            ApiError::Exchange(error) => exchange(error),
            ApiError::SymbolsUnknown => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "symbols_unknown",
                "Binance has not said yet what currencies its symbols are made of. Try again in a moment.",
            )
            .upstream(EXCHANGE),
            ApiError::TooManyClients { limit } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_clients",
                format!("{limit} clients listen already, which is as many as may. Try again later."),
            )
            .retry_after(Duration::from_secs(5)),
        }
    }
}

fn no_price(symbol: &Symbol, why: &NoPrice, cause: Option<String>) -> Problem {
    let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
    match why {
        NoPrice::Never => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "price_unavailable",
            format!("No price of {symbol} has come from Binance yet{cause}. Try again in a moment."),
        ),
        NoPrice::Stale { age, limit } => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stale_price",
            format!(
                "The newest price of {symbol} is {} old; more than {} is too old to act on{cause}.",
                seconds(*age),
                seconds(*limit)
            ),
        ),
    }
    .upstream(EXCHANGE)
    .retry_after(Duration::from_secs(2))
}

fn exchange(error: RestError) -> Problem {
    let problem = match error {
        RestError::TooManyRequests { why, retry_after } | RestError::Withheld { why, retry_after } => {
            let reason = match why {
                Withheld::RateLimited => "Binance asked for fewer requests",
                Withheld::Banned => "Binance has banned this address for a while",
                Withheld::Weight => "This minute's share of Binance's request limit is used up",
            };
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "exchange_rate_limited",
                format!("{reason}. Try again in {} s.", whole_seconds(retry_after)),
            )
            .retry_after(retry_after)
        }
        RestError::InvalidSymbol { .. } => Problem::new(
            StatusCode::BAD_GATEWAY,
            "exchange_unlisted_symbol",
            "Binance does not list this symbol, although this service is configured to serve it.",
        ),
        RestError::BadParameter { .. } | RestError::Firewall => {
            Problem::new(StatusCode::BAD_GATEWAY, "exchange_refused", "Binance refused the request.")
        }
        RestError::Exchange { status, .. } => Problem::new(
            StatusCode::BAD_GATEWAY,
            "exchange_error",
            format!("Binance answered with an error (HTTP {status}). Try again in a moment."),
        ),
        RestError::Malformed { .. } => {
            Problem::new(StatusCode::BAD_GATEWAY, "exchange_malformed", "Binance sent an answer that cannot be read.")
        }
        RestError::Transport(error) => return error.into(),
    };
    problem.upstream(EXCHANGE)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol() -> Symbol {
        "BTCUSDT".parse().unwrap()
    }

    #[test]
    fn a_stale_price_says_how_old_and_whose_fault() {
        let why = NoPrice::Stale { age: Duration::from_millis(17_320), limit: Duration::from_secs(15) };
        let problem = Problem::from(ApiError::NoPrice { symbol: symbol(), why, cause: None });
        assert_eq!((problem.status().as_u16(), problem.code()), (503, "stale_price"));
        assert_eq!(problem.failed_upstream(), Some("binance"));
        assert!(problem.detail().contains("17.3 s old") && problem.detail().contains("15.0 s"), "{}", problem.detail());
    }

    #[test]
    fn a_symbol_that_is_not_served_is_told_which_are() {
        let served = vec!["BTCUSDT".to_owned(), "ETHUSDT".to_owned()];
        let problem = Problem::from(ApiError::UnknownSymbol { symbol: "DOGEUSDT".parse().unwrap(), served });
        assert_eq!((problem.status().as_u16(), problem.code()), (404, "unknown_symbol"));
        assert!(problem.detail().contains("BTCUSDT, ETHUSDT"));
    }

    #[test]
    fn the_exchange_s_own_words_stay_inside() {
        let secret = "internal hostname db7";
        let error = |status| RestError::Exchange { status, code: -1000, message: secret.to_owned() };
        for error in [
            error(500),
            RestError::BadParameter { code: -1100, message: secret.to_owned() },
            RestError::InvalidSymbol { message: secret.to_owned() },
            RestError::Malformed { route: "/api/v3/klines", what: secret.to_owned() },
        ] {
            let problem = Problem::from(ApiError::Exchange(error));
            assert_eq!((problem.status().as_u16(), problem.failed_upstream()), (502, Some("binance")));
            assert!(!problem.detail().contains(secret));
        }
        let limited = RestError::Withheld { why: Withheld::Weight, retry_after: Duration::from_millis(1500) };
        let problem = Problem::from(ApiError::Exchange(limited));
        assert_eq!((problem.status().as_u16(), problem.code()), (503, "exchange_rate_limited"));
        assert!(problem.detail().contains("in 2 s"));
    }
}
