//! `crypto-telemetry settings-doc`: every setting of every service as JSON, for whoever packages them.
//!
//! nix/modules/settings.json is its output: the NixOS module makes an option of each setting, with its type, so that a
//! misspelt one is refused while the machine is built. A test fails where the two differ.

use std::any::TypeId;
use std::path::PathBuf;

use clap::builder::ValueParser;
use serde_json::{Map, Value, json};

use super::ports;

/// What is true of all services: their ports, and the settings of each by the name of its variable.
pub(crate) fn document(cli: &clap::Command) -> Value {
    let services: Map<String, Value> = cli
        .get_subcommands()
        .filter_map(|command| {
            let port = ports::ALL.iter().find(|port| port.component == command.get_name())?;
            let settings: Map<String, Value> = command.get_arguments().filter_map(setting).collect();
            let about = sentence(command.get_about());
            Some((command.get_name().to_owned(), json!({"about": about, "port": port.variable, "settings": settings})))
        })
        .collect();
    let ports: Map<String, Value> = ports::ALL
        .iter()
        .map(|port| {
            let described = json!({"default": port.default, "component": port.component, "purpose": port.purpose});
            (port.variable.to_owned(), described)
        })
        .collect();
    json!({ "ports": ports, "services": services })
}

/// A setting under the name of its variable; none where it has no variable (`--help`).
fn setting(argument: &clap::Arg) -> Option<(String, Value)> {
    let name = argument.get_env()?.to_str()?.to_owned();
    let mut setting = Map::new();
    setting.insert("type".to_owned(), kind(argument).into());
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect();
    if kind(argument) == "one of" {
        setting.insert("values".to_owned(), values.into());
    }
    // A secret's default is an invented one: it stands in no document.
    let secret = argument.is_hide_env_values_set();
    if secret {
        setting.insert("secret".to_owned(), true.into());
    } else if let [default] = argument.get_default_values() {
        setting.insert("default".to_owned(), default.to_string_lossy().into());
    }
    if let Some(group) = argument.get_help_heading() {
        setting.insert("group".to_owned(), group.into());
    }
    setting.insert("help".to_owned(), sentence(argument.get_help()).into());
    Some((name, setting.into()))
}

/// What a value is: `boolean`, `integer`, `number`, `path`, `list` (separated by commas), `one of`, or `string`.
fn kind(argument: &clap::Arg) -> &'static str {
    let is = |parser: &ValueParser, types: &[TypeId]| types.iter().any(|kind| parser.type_id() == *kind);
    let parser = argument.get_value_parser();
    if argument.get_value_delimiter().is_some() {
        "list"
    } else if is(parser, &[TypeId::of::<bool>()]) {
        "boolean"
    } else if !argument.get_possible_values().is_empty() {
        "one of"
    } else if is(
        parser,
        &[
            TypeId::of::<u8>(),
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
            TypeId::of::<i64>(),
            TypeId::of::<std::num::NonZeroU32>(),
            TypeId::of::<std::num::NonZeroUsize>(),
        ],
    ) {
        "integer"
    } else if is(parser, &[TypeId::of::<f64>(), TypeId::of::<f32>()]) {
        "number"
    } else if is(parser, &[TypeId::of::<PathBuf>()]) {
        "path"
    } else {
        "string"
    }
}

fn sentence(help: Option<&clap::builder::StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn of(service: &str, name: &str) -> Value {
        document(&Cli::command())["services"][service]["settings"][name].clone()
    }

    #[test]
    fn the_nixos_module_knows_every_setting() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../nix/modules/settings.json");
        let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(
            committed == document(&Cli::command()),
            "run: crypto-telemetry settings-doc > nix/modules/settings.json"
        );
    }

    #[test]
    fn a_setting_has_the_type_that_its_value_is_read_as() {
        assert_eq!(of("user-service", "DATABASE_MAX_CONNECTIONS")["type"], "integer");
        assert_eq!(of("user-service", "TRACE_PERSONAL_DATA")["type"], "boolean");
        assert_eq!(of("user-service", "DATABASE_URL_FILE")["type"], "path");
        assert_eq!(of("user-service", "NEXT_SERVICE_URL")["type"], "string");
        assert_eq!(of("market-data-service", "MARKET_DATA_SYMBOLS")["type"], "list");
        assert_eq!(of("signal-service", "SIGNAL_SOURCE_ADDRESSES")["type"], "list");
        assert_eq!(of("notifier-service", "TELEGRAM_MODE")["values"], json!(["polling", "webhook"]));
        assert_eq!(of("api-gateway", "TELEMETRY_SAMPLE_RATIO")["type"], "number");
        assert_eq!(of("api-gateway", "RATE_LIMIT_PER_SECOND")["default"], "50");
    }

    #[test]
    fn a_secret_shows_no_value_and_has_a_file() {
        for (service, name) in [
            ("notifier-service", "TELEGRAM_BOT_TOKEN"),
            ("simulator", "TELEGRAM_BOT_TOKEN"),
            ("user-service", "DATABASE_URL"),
            ("signal-service", "SIGNAL_ADMIN_KEY"),
        ] {
            assert_eq!(of(service, name)["secret"], true, "{service} {name}");
            assert_eq!(of(service, name).get("default"), None, "{service} {name}");
            assert_eq!(of(service, &format!("{name}_FILE"))["type"], "path", "{service} {name}");
        }
    }

    #[test]
    fn every_service_has_its_port() {
        let document = document(&Cli::command());
        let services = document["services"].as_object().unwrap();
        assert_eq!(services.len(), 13);
        assert_eq!(services["order-service"]["port"], "ORDER_PORT");
        assert_eq!(document["ports"]["ORDER_PORT"]["default"], 5002);
    }
}
