//! The commands about trading.

use domain::Symbol;
use domain::trading::{Actor, StateRequest, TradingState};
use storage::StorageError;
use web::UpstreamError;

use super::intake::Place;
use super::reply::Reply;
use super::role::Role;
use super::{Bot, Outcome, text};
use crate::question::{Command, WhyOf};

/// Days that `/daily` tells.
const DAILY_DAYS: u16 = 7;

/// Days that `/profit` asks for: the sums are since the beginning anyway.
const PROFIT_DAYS: u16 = 1;

impl Bot {
    pub(super) async fn answer_command(
        &self,
        user_id: u64,
        role: Role,
        place: Place,
        command: Command,
        replied_to: Option<i32>,
    ) -> Result<Reply, StorageError> {
        let backends = &self.inner.backends;
        Ok(match command {
            Command::Status => {
                let status = self.while_typing(place, backends.trading_status()).await;
                if let Ok(status) = &status {
                    self.inner.mode.learn(status.mode);
                }
                told(place, "How trading stands cannot be told.", status, text::status)
            }
            Command::Balance => {
                let balance = self.while_typing(place, backends.balance()).await;
                told(place, "The balance cannot be told.", balance, text::balance)
            }
            Command::Profit => {
                let report = self.while_typing(place, backends.profit(PROFIT_DAYS)).await;
                told(place, "The profit cannot be told.", report, text::profit)
            }
            Command::Daily => {
                let report = self.while_typing(place, backends.profit(DAILY_DAYS)).await;
                told(place, "The last days cannot be told.", report, |report| text::daily(report, DAILY_DAYS))
            }
            Command::Orders => {
                let page = self.while_typing(place, backends.orders(text::MAX_ORDERS)).await;
                told(place, "The orders cannot be told.", page, |page| text::orders(&page.items))
            }
            Command::Set(state, reason) => self.set_state(user_id, role, place, state, reason).await,
            Command::Why(WhyOf::Unreadable) => Reply::text(
                place,
                "🤔 An order's or a decision's id has 32 hex digits: /why 0123456789abcdef0123456789abcdef. \
                 /why alone is about the last one."
                    .to_owned(),
            ),
            Command::Why(WhyOf::Id(id)) => self.why_of(place, &id).await?,
            Command::Why(WhyOf::Latest) => self.why_latest(place, replied_to).await?,
            Command::Chart(symbol, interval) => {
                self.chart_of(place, symbol.as_ref().unwrap_or(self.default_symbol()), interval).await
            }
            Command::ChartOfNoInterval => Reply::text(place, text::no_interval()),
        })
    }

    fn default_symbol(&self) -> &Symbol {
        &self.inner.default_symbol
    }

    async fn set_state(
        &self,
        user_id: u64,
        role: Role,
        place: Place,
        state: TradingState,
        reason: Option<String>,
    ) -> Reply {
        let (what, needed) = match state {
            TradingState::Running => ("resume trading", Role::Admin),
            TradingState::Reducing => ("pause trading", Role::Trader),
            TradingState::Halted => ("stop trading", Role::Trader),
        };
        if role < needed {
            self.note_denied(user_id, needed);
            return Reply::text(place, text::needs_role(what, needed, role)).with(Outcome::Denied);
        }
        // Who pauses wants less to be traded, whatever somebody has halted in between; and a pause that could not be written
        // down comes again.
        let only_tighten = state == TradingState::Reducing;
        let wanted = StateRequest { state, by: by(user_id), reason, only_tighten };
        let changed = self.while_typing(place, self.inner.backends.set_trading_state(&wanted)).await;
        if let Ok(outcome) = &changed {
            self.inner.mode.learn(outcome.status.mode);
            tracing::warn!(trading.state = outcome.status.state.as_str(), "the trading state was set in Telegram");
        }
        let sorry = match state {
            TradingState::Running => "It is not known whether trading goes on.",
            TradingState::Reducing => "It is not known whether trading is paused. Try again, or look at /status.",
            TradingState::Halted => "It is not known whether trading is stopped. Try again, or look at /status.",
        };
        told(place, sorry, changed, |outcome| text::changed(state, outcome))
    }

    pub(super) fn note_denied(&self, user_id: u64, needed: Role) {
        tracing::warn!(
            user.hash = self.inner.user_hasher.hash(user_id),
            role.needed = needed.as_str(),
            "somebody whose role does not go so far was denied"
        );
    }
}

/// Who did it, as the trail has it.
pub(super) fn by(user_id: u64) -> Actor {
    Actor::named("telegram", &user_id.to_string())
}

/// What a service said; or which service failed.
fn told<T>(place: Place, sorry: &str, said: Result<T, UpstreamError>, words: impl FnOnce(&T) -> String) -> Reply {
    match said {
        Ok(said) => Reply::text(place, words(&said)),
        Err(error) => Reply::text(place, text::failed(sorry, &error)).with(Outcome::Refused),
    }
}
