//! The states of an order at an exchange, and the moves between them, as data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Written down; the exchange has not got it, or is just getting it.
    New,
    /// The exchange has it, nothing is filled.
    Submitted,
    /// Some of it is filled.
    PartiallyFilled,
    /// All of it is filled. Final.
    Filled,
    /// The exchange refused it. Final.
    Rejected,
    /// Taken back, by a person, a limit or the exchange; what was filled before stays filled. Final.
    Cancelled,
    /// Its time ran out: nobody confirmed it, or it was too old to be sent. Final.
    Expired,
    /// It may be at the exchange or not: it is asked about before anything else is done.
    Unknown,
}

use OrderStatus::{Cancelled, Expired, Filled, New, PartiallyFilled, Rejected, Submitted, Unknown};

/// Every move there is. What is not here is forbidden.
const MOVES: [(OrderStatus, &[OrderStatus]); 8] = [
    (New, &[Submitted, Rejected, Cancelled, Expired, Unknown]),
    (Submitted, &[PartiallyFilled, Filled, Rejected, Cancelled, Expired, Unknown]),
    // More of it filled is no move: the status stays.
    (PartiallyFilled, &[Filled, Cancelled, Expired, Unknown]),
    // Back to new only when the exchange says that it never had the order, after the time in which it would still have
    // taken it.
    (Unknown, &[New, Submitted, PartiallyFilled, Filled, Rejected, Cancelled, Expired]),
    (Filled, &[]),
    (Rejected, &[]),
    (Cancelled, &[]),
    (Expired, &[]),
];

impl OrderStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [New, Submitted, PartiallyFilled, Filled, Rejected, Cancelled, Expired, Unknown];

    /// As metrics, databases and JSON have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            New => "new",
            Submitted => "submitted",
            PartiallyFilled => "partially_filled",
            Filled => "filled",
            Rejected => "rejected",
            Cancelled => "cancelled",
            Expired => "expired",
            Unknown => "unknown",
        }
    }

    /// Whether an order may go from here to there. Staying is no move.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self.next().contains(&next)
    }

    /// Where an order may go from here.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        MOVES.iter().find(|(from, _)| *from == self).map_or(&[], |(_, next)| next)
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.next().is_empty()
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an order is new, submitted, partially_filled, filled, rejected, cancelled, expired or unknown")]
pub struct OrderStatusError;

impl FromStr for OrderStatus {
    type Err = OrderStatusError;

    fn from_str(text: &str) -> Result<Self, OrderStatusError> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(OrderStatusError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_forbidden_move_is_refused() {
        let allowed = [
            "new>submitted",
            "new>rejected",
            "new>cancelled",
            "new>expired",
            "new>unknown",
            "submitted>partially_filled",
            "submitted>filled",
            "submitted>rejected",
            "submitted>cancelled",
            "submitted>expired",
            "submitted>unknown",
            "partially_filled>filled",
            "partially_filled>cancelled",
            "partially_filled>expired",
            "partially_filled>unknown",
            "unknown>new",
            "unknown>submitted",
            "unknown>partially_filled",
            "unknown>filled",
            "unknown>rejected",
            "unknown>cancelled",
            "unknown>expired",
        ];
        for from in OrderStatus::ALL {
            for to in OrderStatus::ALL {
                let name = format!("{from}>{to}");
                assert_eq!(from.may_become(to), allowed.contains(&name.as_str()), "{name}");
            }
        }
    }

    #[test]
    fn final_ones_have_no_way_out_and_all_others_reach_an_end() {
        for status in OrderStatus::ALL {
            let is_final = matches!(status, Filled | Rejected | Cancelled | Expired);
            assert_eq!(status.is_final(), is_final, "{status}");
            assert!(is_final || status.next().iter().any(|next| next.is_final()), "{status}");
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert_eq!("done".parse::<OrderStatus>(), Err(OrderStatusError));
    }
}
