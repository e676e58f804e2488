//! The signal bus: messages by topic, kept until they are read, chosen by URL (issue 7).
//!
//! A service opens its [`Bus`] and runs [`Bus::keep_up`] beside its server. [`Bus::publish`] is durable when it returns
//! `Ok`; a [`Consumer`] reads in batches and commits after its work, so that a message comes at least once: whoever reads
//! has to know again what it has done already. Order holds among messages of one key.
//!
//! Two engines stand behind one API: an append-only log in SQLite or PostgreSQL (`log`), and Kafka (`kafka`).

mod bus;
mod consumer;
mod error;
mod kafka;
mod log;
mod message;
mod observe;
mod settings;
mod standing;
mod target;
#[cfg(feature = "testing")]
pub mod testing;

pub use bus::Bus;
pub use consumer::{Consumer, ConsumerSettings};
pub use error::BusError;
pub use message::{Batch, Message, NewMessage};
pub use settings::{BusSettings, KafkaSettings, SaslMechanism, SecurityProtocol};
pub use standing::{PartitionStanding, Standing};
