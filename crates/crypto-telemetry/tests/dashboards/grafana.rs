//! A dashboard of Grafana: whether its parts are whole, and what its panels ask for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::known::Known;
use crate::promql;

/// The newest schema of a dashboard that Grafana 12 and 13 read.
const NEWEST_SCHEMA: u64 = 42;

/// Panels that show lines or text rather than numbers.
const WITHOUT_UNIT: [&str; 2] = ["logs", "text"];

/// The data sources of the provisioning file: their types by their uids.
pub(crate) fn provisioned(yaml: &str) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    let mut uid = None;
    for line in yaml.lines() {
        if let Some(of) = line.strip_prefix("    uid: ") {
            uid = Some(of.to_owned());
        } else if let (Some(of), Some(uid)) = (line.strip_prefix("    type: "), uid.take()) {
            sources.insert(uid, of.to_owned());
        }
    }
    assert!(sources.contains_key("prometheus"), "the data sources are no longer understood: {sources:?}");
    sources
}

struct Dashboard<'a> {
    known: &'a Known,
    sources: &'a BTreeMap<String, String>,
    /// Type of the data source by the variable that names one.
    source_variables: BTreeMap<String, String>,
    variables: BTreeSet<String>,
    wrong: Vec<String>,
}

/// Everything that is wrong with a dashboard.
pub(crate) fn check(dashboard: &Value, sources: &BTreeMap<String, String>, known: &Known) -> Vec<String> {
    let mut checked =
        Dashboard { known, sources, source_variables: BTreeMap::new(), variables: BTreeSet::new(), wrong: Vec::new() };
    checked.whole(dashboard);
    checked.wrong
}

impl Dashboard<'_> {
    fn whole(&mut self, dashboard: &Value) {
        for field in ["uid", "title", "description"] {
            self.expect(text(&dashboard[field]).is_some(), || format!("it has no {field}"));
        }
        self.expect(dashboard["id"].is_null(), || "it has an id, which is another Grafana's".to_owned());
        let schema = dashboard["schemaVersion"].as_u64();
        self.expect(schema.is_some_and(|schema| schema <= NEWEST_SCHEMA), || format!("its schema is {schema:?}"));
        self.templating(&dashboard["templating"]["list"]);
        self.variables_are_there(dashboard);
        for annotation in list(&dashboard["annotations"]["list"]) {
            if let Some(query) = text(&annotation["expr"]) {
                self.source(&annotation["datasource"], "an annotation");
                self.query(query, "an annotation");
            }
        }

        let mut ids = BTreeSet::new();
        let mut places = BTreeSet::new();
        let panels = list(&dashboard["panels"]);
        self.expect(!panels.is_empty(), || "it has no panel".to_owned());
        for panel in panels {
            let name = format!("panel {} ({})", panel["id"], panel["title"]);
            self.expect(panel["id"].is_u64() && ids.insert(panel["id"].to_string()), || {
                format!("{name}: another panel has its id")
            });
            self.place(&panel["gridPos"], &mut places, &name);
            if panel["type"] == "row" {
                self.expect(list(&panel["panels"]).is_empty(), || {
                    format!("{name}: panels within a row are not looked at")
                });
            } else {
                self.panel(panel, &name);
            }
        }
    }

    fn templating(&mut self, variables: &Value) {
        for variable in list(variables) {
            let name = text(&variable["name"]).unwrap_or_default().to_owned();
            self.variables.insert(name.clone());
            if variable["type"] == "datasource" {
                // What it begins with has to be there; people choose another.
                let begins = text(&variable["current"]["value"]).unwrap_or_default();
                let of = text(&variable["query"]).unwrap_or_default();
                let there = self.sources.get(begins).is_some_and(|provisioned| provisioned == of);
                self.expect(there, || format!("variable {name}: no data source {begins} of type {of} is provisioned"));
                self.source_variables.insert(name, of.to_owned());
            }
        }
        for variable in list(variables).iter().filter(|variable| variable["type"] == "query") {
            let name = format!("variable {}", variable["name"]);
            self.source(&variable["datasource"], &name);
            let query = text(&variable["query"]["query"]).unwrap_or_default();
            let parts = query
                .strip_prefix("label_values(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|rest| rest.rsplit_once(", "));
            match parts {
                // As a query that keeps the label.
                Some((selector, label)) => self.query(&format!("count by ({label}) ({selector})"), &name),
                None => self.wrong.push(format!("{name}: {query} is not label_values(<selector>, <label>)")),
            }
        }
    }

    /// Every `$name` and `${name}` is a variable of the dashboard, or one of Grafana's own, which begin with `__`.
    fn variables_are_there(&mut self, value: &Value) {
        match value {
            Value::String(string) => {
                for rest in string.split('$').skip(1) {
                    let rest = rest.strip_prefix('{').unwrap_or(rest);
                    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                    let name = &rest[..end];
                    let there = name.starts_with("__") || self.variables.contains(name);
                    self.expect(there, || format!("${name} is no variable: {string}"));
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.variables_are_there(value)),
            Value::Object(fields) => fields.values().for_each(|value| self.variables_are_there(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn panel(&mut self, panel: &Value, name: &str) {
        for field in ["title", "description"] {
            self.expect(text(&panel[field]).is_some(), || format!("{name} has no {field}"));
        }
        if !WITHOUT_UNIT.iter().any(|without| panel["type"] == *without) {
            self.expect(text(&panel["fieldConfig"]["defaults"]["unit"]).is_some(), || format!("{name} has no unit"));
        }
        self.source(&panel["datasource"], name);
        let targets = list(&panel["targets"]);
        self.expect(!targets.is_empty(), || format!("{name} asks for nothing"));
        let mut letters = BTreeSet::new();
        for target in targets {
            self.expect(letters.insert(target["refId"].to_string()), || format!("{name}: two queries have one refId"));
            let kind = self.source(&target["datasource"], name);
            let query = text(&target["expr"]);
            self.expect(query.is_some(), || format!("{name} has an empty query"));
            if let (Some("prometheus"), Some(query)) = (kind.as_deref(), query) {
                self.query_with_legend(query, text(&target["legendFormat"]).unwrap_or_default(), name);
            }
        }
    }

    /// The type of a data source, which has to be one that is provisioned.
    fn source(&mut self, source: &Value, of: &str) -> Option<String> {
        let uid = text(&source["uid"]).unwrap_or_default();
        let kind = match uid.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            Some(variable) => self.source_variables.get(variable),
            None => self.sources.get(uid),
        };
        let kind = kind.cloned();
        self.expect(kind.is_some() && source["type"].as_str() == kind.as_deref(), || {
            format!("{of}: no data source {uid:?} of type {} is provisioned", source["type"])
        });
        kind
    }

    fn query(&mut self, query: &str, of: &str) {
        self.query_with_legend(query, "", of);
    }

    fn query_with_legend(&mut self, query: &str, legend: &str, of: &str) {
        // What Grafana puts there; variables stand within quotes and may stay.
        let readable = query.replace("$__rate_interval", "1m").replace("$__range", "1h").replace("$__interval", "1m");
        match promql::check(&readable, self.known) {
            Err(wrong) => self.wrong.extend(wrong.into_iter().map(|wrong| format!("{of}: {wrong}"))),
            Ok(None) => {}
            Ok(Some(labels)) => {
                for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
                    self.expect(labels.contains(label.trim()), || {
                        format!("{of}: its legend shows {label}, which the answer does not have")
                    });
                }
            }
        }
    }

    /// Within the 24 columns, and where no other panel is.
    fn place(&mut self, place: &Value, places: &mut BTreeSet<(u64, u64)>, name: &str) {
        let at = |field: &str| place[field].as_u64().unwrap_or(u64::MAX);
        let (x, y, width, height) = (at("x"), at("y"), at("w"), at("h"));
        if width > 24 || height > 100 || x > 24 - width {
            self.wrong.push(format!("{name} lies beside the page: {place}"));
            return;
        }
        let cells = (y..y.saturating_add(height)).flat_map(|row| (x..x + width).map(move |column| (column, row)));
        let taken = cells.filter(|cell| !places.insert(*cell)).count();
        self.expect(taken == 0, || format!("{name} lies upon another panel"));
    }

    fn expect(&mut self, well: bool, otherwise: impl FnOnce() -> String) {
        if !well {
            self.wrong.push(otherwise());
        }
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
