//! Trading: signals become orders at an exchange, within limits, and never twice (spec C2, C3, C6, C7).
//!
//! A signal arrives (signals.rs), is sized and held against the limits (admission.rs), written down and sent (sending.rs).
//! What is open or unknown is looked after (reconcile.rs, recovery.rs, missing.rs, fees.rs); what the exchange says is booked (booking.rs,
//! ledger.rs). People confirm, decline, take back (confirming.rs), change the state and ask how it stands (standing.rs);
//! alerts make it stricter (alerts.rs). Positions are compared with the exchange's (differences.rs), and taken over where a
//! person says so (adopting.rs). Every status is written in one place (moves.rs), with what is told of it
//! (telling.rs).

mod admission;
mod adopting;
mod alerts;
mod bingx;
mod booking;
mod clock;
mod confirming;
mod core;
mod differences;
mod error;
mod exchange;
mod fees;
mod gauges;
mod ledger;
mod lookups;
mod missing;
mod moves;
mod prices;
mod reconcile;
mod recovery;
pub(crate) mod routes;
mod rules;
mod sending;
mod settings;
mod signals;
mod standing;
mod state;
mod table;
mod telling;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use ::bingx::Client;
use storage::{Database, Migration};
use tokio::sync::Notify;
use url::Url;
use web::{Background, StartError};

use self::bingx::BingX;
use self::core::Core;
pub(crate) use self::core::Trading;
use self::fees::LateFees;
use self::missing::Missing;
use self::prices::Prices;
use self::telling::Telling;
pub use settings::{ConfirmOrders, TradingModeSetting, TradingSettings};
pub use values::{QuantityDecimals, Receiver};

/// The tables of trading.
pub(crate) const fn migration(version: i64) -> Migration {
    Migration {
        version,
        name: "trading",
        sqlite: include_str!("../../migrations/0003_trading.sqlite.sql"),
        postgres: include_str!("../../migrations/0003_trading.postgres.sql"),
    }
}

/// What was added to them since.
pub(crate) const fn migration_of_differences(version: i64) -> Migration {
    Migration {
        version,
        name: "position_differences",
        sqlite: include_str!("../../migrations/0004_position_differences.sqlite.sql"),
        postgres: include_str!("../../migrations/0004_position_differences.postgres.sql"),
    }
}

/// By what orders are found while another one is made.
pub(crate) const fn migration_of_indexes(version: i64) -> Migration {
    Migration {
        version,
        name: "order_indexes",
        sqlite: include_str!("../../migrations/0005_order_indexes.sqlite.sql"),
        postgres: include_str!("../../migrations/0005_order_indexes.postgres.sql"),
    }
}

/// Begins trading, unless it is off.
pub(crate) fn start(
    settings: &TradingSettings,
    database: &Database,
    market_data_url: &Url,
    background: &mut Background,
) -> Result<Option<Trading>, StartError> {
    let Some((rules, exchange)) = settings.checked()? else { return Ok(None) };
    let client = Client::new(exchange)
        .map_err(|error| StartError::Setting { setting: "BINGX_API_KEY", reason: error.to_string() })?;
    let telling = Telling::new(database, &settings.notifier_url, &settings.audit_url);
    let core = Core {
        database: database.clone(),
        rules,
        exchange: Box::new(BingX::new(client)),
        prices: Prices::new(market_data_url.clone()),
        telling: telling.clone(),
        kick: Notify::new(),
        fees: LateFees::default(),
        missing: Missing::default(),
    };
    let trading = Trading { core: Arc::new(core) };
    background.spawn("trading-told", |stop| telling.deliver(stop));
    background.spawn("trading-reconciliation", |stop| trading.clone().reconcile(stop));
    tracing::info!(mode = trading.core.rules.mode.as_str(), "trading");
    Ok(Some(trading))
}
