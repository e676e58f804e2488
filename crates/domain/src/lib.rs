//! Types and pure rules of the platform: symbols, prices, candles, decisions, signals, orders. No I/O, no clock, no log.
//!
//! The `serde` forms of these types are the contract between the services: they meet over HTTP and here.
//! Money is [`rust_decimal::Decimal`] and travels as a JSON string; times are UTC and travel as RFC 3339.

pub mod ask;
pub mod chain;
pub mod decision;
pub mod id;
pub mod market;
mod objects;
pub mod page;
pub mod party;
pub mod pipeline;
pub mod signal_event;
pub mod strategy;
pub mod symbol;
pub mod trading;

pub use ask::{Answer, AskOutcome, AskRefusal, AskRequest, AskResponse, TradingMode};
pub use chain::{
    AuditEntry, ChainContext, ChainPart, ChainReply, ContextError, Hop, Order, OrderItem, PartStatus, ProcessRequest,
    ProcessResponse, RecoveredError, User,
};
pub use decision::{Action, Decision, DecisionRequest, Fallback, Indicators, StrategyName};
pub use id::DecisionId;
pub use market::{Candle, CandleSeries, Interval, PriceQuote, PriceSource, SymbolInfo, SymbolList};
pub use page::{Page, PageError, PageQuery};
pub use party::{Email, OrderAction, OrderItemRequest, PartyError, Quantity, UserId, Username};
pub use signal_event::{SIGNALS_TOPIC, SignalEvent, SignalEventError, SignalWord, SignalWordError};
pub use symbol::{Symbol, SymbolError};
