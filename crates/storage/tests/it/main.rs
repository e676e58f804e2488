//! The database layer on both engines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod basics;
mod migrations;
mod support;

use std::process::ExitCode;

use storage::test;

fn main() -> ExitCode {
    storage::testing::run(&[
        test!(basics::every_kind_of_value_comes_back_as_it_was),
        test!(basics::money_is_exact_and_never_a_float),
        test!(basics::a_transaction_is_all_or_nothing),
        test!(basics::errors_say_what_is_wrong),
        test!(basics::a_failed_transaction_can_only_be_rolled_back),
        test!(basics::writers_wait_for_each_other),
        test!(migrations::several_processes_migrate_at_once),
        test!(migrations::further_migrations_are_applied_later),
        test!(migrations::changed_and_missing_migrations_are_clear_errors),
        test!(migrations::a_broken_migration_leaves_nothing_behind),
    ])
}
