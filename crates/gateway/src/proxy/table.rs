//! What goes through to which service.

use std::time::Duration;

/// A service behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    User,
    Order,
    Audit,
    Notifier,
    MarketData,
    Decision,
}

impl Behind {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::User, Self::Order, Self::Audit, Self::Notifier, Self::MarketData, Self::Decision];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::User => "user-service",
            Self::Order => "order-service",
            Self::Audit => "audit-service",
            Self::Notifier => "notifier-service",
            Self::MarketData => "market-data-service",
            Self::Decision => "decision-service",
        }
    }
}

/// How a request goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// GET, tried again where that may help.
    Read,
    /// POST of JSON, tried once, with the time limit of an ask.
    Ask,
    /// GET of server-sent events, which last as long as their reader likes.
    Events,
}

impl Kind {
    /// Longest wait for the next piece of an answer that has begun.
    pub(crate) const fn idle(self) -> Duration {
        match self {
            Self::Read | Self::Ask => Duration::from_secs(10),
            // Longer than the longest time between two heartbeats that market-data-service can be told to keep.
            Self::Events => Duration::from_secs(330),
        }
    }

    /// Its method, as an API description writes it.
    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Read | Self::Events => "get",
            Self::Ask => "post",
        }
    }
}

/// One way through.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) kind: Kind,
    /// The path here.
    pub(crate) from: &'static str,
    pub(crate) to: Behind,
    /// The path there; its `{part}` is that of the path here.
    pub(crate) path: &'static str,
    /// The part of the path that changes.
    pub(crate) part: Option<&'static str>,
}

const fn way(kind: Kind, from: &'static str, to: Behind, path: &'static str, part: Option<&'static str>) -> Way {
    Way { kind, from, to, path, part }
}

/// Every way through. What is not here stays outside.
pub(crate) static WAYS: [Way; 11] = [
    way(Kind::Read, "/api/v1/users", Behind::User, "/users", None),
    way(Kind::Read, "/api/v1/users/{id}", Behind::User, "/users/{id}", Some("id")),
    way(Kind::Read, "/api/v1/orders", Behind::Order, "/orders", None),
    way(Kind::Read, "/api/v1/orders/{id}", Behind::Order, "/orders/{id}", Some("id")),
    way(Kind::Read, "/api/v1/audit", Behind::Audit, "/audit", None),
    way(Kind::Ask, "/api/v1/ask", Behind::Notifier, "/v1/ask", None),
    way(Kind::Read, "/api/v1/prices/{symbol}", Behind::MarketData, "/v1/prices/{symbol}", Some("symbol")),
    way(Kind::Read, "/api/v1/candles/{symbol}", Behind::MarketData, "/v1/candles/{symbol}", Some("symbol")),
    way(Kind::Read, "/api/v1/symbols", Behind::MarketData, "/v1/symbols", None),
    way(Kind::Events, "/api/v1/stream", Behind::MarketData, "/v1/stream", None),
    way(Kind::Ask, "/api/v1/decisions", Behind::Decision, "/v1/decisions", None),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_stands_in_both_paths() {
        for way in &WAYS {
            let part = way.part.map(|part| format!("{{{part}}}"));
            for path in [way.from, way.path] {
                assert_eq!(path.contains('{'), part.is_some(), "{path}");
                assert!(part.as_ref().is_none_or(|part| path.ends_with(part)), "{path}");
            }
            assert!(way.from.starts_with("/api/v1/"), "{}", way.from);
        }
    }
}
