//! Databases: SQLite or PostgreSQL, chosen by URL (spec E3, D5).
//!
//! A service opens its [`Database`] with its [`Migration`]s and runs [`Database::keep_up`] beside its server. Statements
//! are SQL, one text for both engines; each is a client span and is measured. [`outbox`] and [`idempotency`] are what
//! services that call each other need on top.
//!
//! Why sqlx itself and no mapper over it: docs/adr/0004.

mod checkpoint;
mod database;
mod error;
mod health;
pub mod idempotency;
mod keep;
mod lease;
mod link;
mod migration;
mod observe;
pub mod outbox;
mod settings;
mod statement;
mod target;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;
mod value;

pub use database::Database;
pub use error::StorageError;
pub use lease::Row;
pub use migration::Migration;
pub use settings::DatabaseSettings;
pub use sqlx::FromRow;
pub use statement::{QueryType, Statement};
pub use transaction::Transaction;
pub use value::{Money, Value};
