//! Trading: signals become orders, orders become fills, fills become positions and profit; and what limits all of it.
//!
//! The rules are here and do no I/O: which moves an order may make ([`OrderStatus::may_become`]), what a fill does to a
//! position ([`Position::apply`]), what an order may be ([`Limits::check`]).

mod actor;
mod audit;
mod limits;
mod notice;
mod order;
mod position;
mod report;
mod signal;
mod signal_rules;
mod state;
mod status;

pub use actor::{Actor, ActorError, NotCancelled, OrderCommand, StateOutcome, StateRequest};
pub use audit::{AuditEvent, AuditEventError, RecordedEvent};
pub use limits::{Limits, Market, Refusal, RefusalCode};
pub use notice::{PipelineNotice, PositionDifference, TradeEvent, TradeNotice};
pub use order::{Confirmation, ConfirmationState, OrderKind, Side, TradeOrder, Transition};
pub use position::{Fill, PnlError, Position};
pub use report::{
    AdoptRequest, AdoptedPosition, Balance, DayProfit, HeldPosition, PositionView, ProfitReport, SymbolProfit,
};
pub use signal::{Signal, SignalAction, SignalOutcome, SignalResult, SignalSource};
pub use signal_rules::SignalError;
pub(crate) use signal_rules::can_be_kept;
pub use state::{StateChange, TradingState, TradingStateError, TradingStatus};
pub use status::{OrderStatus, OrderStatusError};
