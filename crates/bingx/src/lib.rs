//! BingX perpetual swap v2: REST client, signature, wire types, errors.
//!
//! The wire format is that of BingX's own documentation (<https://bingx-api.github.io/docs/>, "swapV2").
//!
//! What matters most is what is known about an order after a failure, so [`Client::place`] has three kinds of it:
//! [`PlaceError::NotSent`] and [`PlaceError::Refused`] (there is no order), and [`PlaceError::Unknown`] (there may be
//! one: ask with [`Client::order_by_client_id`] before anything else). In doubt it is unknown. A placing call is sent
//! once and never again.
//!
//! Money is [`rust_decimal::Decimal`], in the quote currency unless said otherwise; a fee is positive when it is paid.

mod account;
mod client;
mod error;
mod order;
mod outcome;
mod settings;
mod signature;
mod symbol;
mod wire;

pub use account::{Balance, Position, Positions, UnreadablePosition};
pub use client::Client;
pub use error::{NotSent, PlaceError, QueryError, Refusal, RefusalKind};
pub use order::{
    NewOrder, NewOrderError, OrderKind, OrderReport, OrderStatus, PlacedOrder, PositionSide, Side, TimeInForce,
};
pub use settings::{MOST_RECV_WINDOW_MS, Settings, SettingsError};
