//! Every port of the stack: its variable, its default, who listens there. One table for all tools.
//!
//! The same variables and defaults stand in process-compose.yaml; a test fails where the two differ.

use url::Url;

/// A port of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortSetting {
    /// The environment variable that changes it.
    pub(crate) variable: &'static str,
    /// The port otherwise.
    pub(crate) default: u16,
    /// Who listens there, by its name in process-compose.yaml.
    pub(crate) component: &'static str,
    /// What it is for.
    pub(crate) purpose: &'static str,
}

/// Why a port variable cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is {text:?}; a port is a number from 1 to 65535")]
pub(crate) struct PortError {
    variable: &'static str,
    text: String,
}

macro_rules! ports {
    ($($constant:ident = $variable:literal, $default:literal, $component:literal, $purpose:literal;)*) => {
        $(#[doc = concat!("`", $variable, "`: ", $component, ", ", $purpose, ".")]
        pub(crate) const $constant: PortSetting =
            PortSetting { variable: $variable, default: $default, component: $component, purpose: $purpose };)*
        /// All of them.
        pub(crate) const ALL: &[PortSetting] = &[$($constant),*];
    };
}

ports! {
    OTELCOL_GRPC = "OTELCOL_GRPC_PORT", 4317, "otelcol", "OTLP over gRPC";
    OTELCOL_HTTP = "OTELCOL_HTTP_PORT", 4318, "otelcol", "OTLP over HTTP";
    OTELCOL_PROM = "OTELCOL_PROM_PORT", 8889, "otelcol", "the services' metrics, for Prometheus";
    OTELCOL_SELF = "OTELCOL_SELF_PORT", 8888, "otelcol", "its own metrics";
    OTELCOL_HEALTH = "OTELCOL_HEALTH_PORT", 13133, "otelcol", "its health check";
    PROMETHEUS = "PROMETHEUS_PORT", 9090, "prometheus", "its API and page";
    ALERTMANAGER = "ALERTMANAGER_PORT", 9093, "alertmanager", "its API and page";
    TEMPO = "TEMPO_PORT", 3200, "tempo", "its API";
    TEMPO_OTLP = "TEMPO_OTLP_PORT", 14317, "tempo", "OTLP from the Collector";
    TEMPO_GRPC = "TEMPO_GRPC_PORT", 9095, "tempo", "gRPC within it";
    LOKI = "LOKI_PORT", 3100, "loki", "its API, and logs from the Collector";
    LOKI_GRPC = "LOKI_GRPC_PORT", 9096, "loki", "gRPC within it";
    GRAFANA = "GRAFANA_PORT", 3000, "grafana", "its pages";
    MARKET_DATA = "MARKET_DATA_PORT", 8081, "market-data-service", "its API";
    DECISION = "DECISION_PORT", 8082, "decision-service", "its API";
    GATEWAY = "GATEWAY_PORT", 8080, "api-gateway", "the public API and the page";
    USER = "USER_PORT", 5001, "user-service", "its API";
    ORDER = "ORDER_PORT", 5002, "order-service", "its API";
    AUDIT = "AUDIT_PORT", 5003, "audit-service", "its API";
    SIGNAL = "SIGNAL_PORT", 8000, "signal-service", "TradingView's alerts, and its API";
    GENERATOR = "GENERATOR_PORT", 8003, "signal-generator", "its API";
    PIPELINE = "PIPELINE_PORT", 8001, "pipeline-service", "its API";
    DISPATCHER = "DISPATCHER_PORT", 8004, "trigger-dispatcher", "its API";
    WORKER = "WORKER_PORT", 8002, "pipeline-worker", "its API";
    NOTIFIER = "NOTIFIER_PORT", 9000, "notifier-service", "its API";
    SIMULATOR = "SIMULATOR_PORT", 8090, "simulator", "the simulated outside world";
}

impl PortSetting {
    /// The port as the environment says; empty means unset, as in process-compose.
    ///
    /// # Errors
    /// When the variable is no port.
    pub(crate) fn read(&self, env: impl Fn(&str) -> Option<String>) -> Result<u16, PortError> {
        match env(self.variable).filter(|text| !text.is_empty()) {
            None => Ok(self.default),
            Some(text) => match text.parse() {
                Ok(port) if port != 0 => Ok(port),
                _ => Err(PortError { variable: self.variable, text }),
            },
        }
    }

    /// The URL that was given, else this port on loopback.
    ///
    /// # Errors
    /// When the variable is no port.
    pub(crate) fn url(&self, given: Option<&Url>) -> anyhow::Result<Url> {
        match given {
            Some(url) => Ok(url.clone()),
            None => Ok(format!("http://127.0.0.1:{}", self.read(environment)?).parse()?),
        }
    }
}

/// A variable of this process's environment.
pub(crate) fn environment(variable: &str) -> Option<String> {
    std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned())
}

/// Reads an `http://` or `https://` URL.
///
/// # Errors
/// In words for clap's message.
pub(crate) fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL like http://127.0.0.1:9000: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("is no http:// or https:// URL with a host".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_port_is_read_or_told_why_not() {
        let read = |text: Option<&str>| TEMPO.read(|_| text.map(str::to_owned));
        assert_eq!(read(None), Ok(3200));
        assert_eq!(read(Some("")), Ok(3200));
        assert_eq!(read(Some("13200")), Ok(13_200));
        for bad in ["0", "65536", "-1", "3200x", " 3200"] {
            let message = read(Some(bad)).unwrap_err().to_string();
            assert!(message.contains("TEMPO_PORT") && message.contains(bad), "{message}");
        }
    }

    #[test]
    fn urls_need_a_scheme_and_a_host() {
        assert!(http_url("http://127.0.0.1:9000").is_ok());
        for bad in ["127.0.0.1:9000", "localhost:9000", "ftp://h", "http://"] {
            assert!(http_url(bad).is_err(), "{bad}");
        }
    }

    /// Every `${NAME_PORT:-1234}` of a text.
    fn ports_of(text: &str) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for piece in text.split("${").skip(1) {
            let inner = piece.split('}').next().unwrap_or_default();
            if let Some((name, default)) = inner.split_once(":-")
                && name.ends_with("_PORT")
            {
                let defaults = found.entry(name.to_owned()).or_default();
                if !defaults.contains(&default.to_owned()) {
                    defaults.push(default.to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn the_table_is_that_of_process_compose() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../process-compose.yaml");
        let file = std::fs::read_to_string(path).unwrap();
        let in_table: BTreeMap<String, Vec<String>> =
            ALL.iter().map(|port| (port.variable.to_owned(), vec![port.default.to_string()])).collect();
        assert_eq!(ports_of(&file), in_table, "left: process-compose.yaml, right: the table in ports.rs");
        for port in ALL {
            let process = format!("\n  {}:\n", port.component);
            assert!(file.contains(&process), "{} is no process of process-compose.yaml", port.component);
        }
    }

    #[test]
    fn the_scan_sees_a_port_that_differs() {
        let found = ports_of("- \"A_PORT=${A_PORT:-1}\"\nport: \"${A_PORT:-2}\" ${B:-3} http://x:${C_PORT:-4}");
        assert_eq!(found["A_PORT"], ["1", "2"]);
        assert_eq!(found["C_PORT"], ["4"]);
        assert!(!found.contains_key("B"));
    }
}
