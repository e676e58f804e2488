//! The tables. They are one place for every service that uses the bus, so several processes make them at once.

use storage::Migration;

pub(super) const PARTITIONS: &str = "bus_partitions";
pub(super) const MESSAGES: &str = "bus_messages";
pub(super) const MEMBERS: &str = "bus_members";
pub(super) const ASSIGNMENTS: &str = "bus_assignments";

pub(super) fn migrations() -> Vec<Migration> {
    vec![Migration {
        version: 1,
        name: "bus",
        sqlite: include_str!("../../migrations/0001_bus.sqlite.sql"),
        postgres: include_str!("../../migrations/0001_bus.postgres.sql"),
    }]
}
