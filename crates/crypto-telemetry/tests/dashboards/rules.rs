//! Rules of Prometheus, read from their files by what every one of them looks like.

use crate::known::{Known, Labels};
use crate::promql;

/// A rule: an alert, or something recorded.
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) alert: bool,
    pub(crate) query: String,
    /// Everything else: labels and annotations, with templates in them.
    text: String,
}

/// The rules of a file. A rule begins with `- alert:` or `- record:`; its query is the rest of the line with `expr:`, or the
/// lines after `expr: |` that are indented further.
pub(crate) fn of(file: &str) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut query_indent = None;
    for line in file.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some((alert, name)) = text
            .strip_prefix("- alert: ")
            .map(|name| (true, name))
            .or_else(|| text.strip_prefix("- record: ").map(|name| (false, name)))
        {
            query_indent = None;
            rules.push(Rule { name: name.to_owned(), alert, query: String::new(), text: String::new() });
            continue;
        }
        let Some(rule) = rules.last_mut() else { continue };
        if let Some(query) = text.strip_prefix("expr: ") {
            if query == "|" {
                query_indent = Some(indent);
            } else {
                query.clone_into(&mut rule.query);
            }
        } else if query_indent.is_some_and(|of| indent > of) {
            rule.query.push_str(line);
            rule.query.push('\n');
        } else if !text.is_empty() {
            query_indent = None;
            rule.text.push_str(line);
            rule.text.push('\n');
        }
    }
    rules
}

/// Makes what a rule records known.
pub(crate) fn record(rule: &Rule, known: &mut Known) {
    if rule.alert {
        return;
    }
    // A rule that reads its own last value may have whatever labels there are.
    let labels: Labels =
        if rule.query.contains(&rule.name) { None } else { promql::check(&rule.query, known).ok().flatten() };
    known.record(rule.name.clone(), labels);
}

/// What is wrong with a rule: its query, and templates that speak of labels which its answer does not have.
pub(crate) fn check(rule: &Rule, known: &Known) -> Vec<String> {
    let labels = match promql::check(&rule.query, known) {
        Ok(Some(labels)) => labels,
        Ok(None) => return Vec::new(),
        Err(wrong) => return wrong,
    };
    let named = rule.text.split("$labels.").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    });
    named
        .filter(|label| !labels.contains(*label))
        .map(|label| format!("a text speaks of the label {label}, which the alert does not have"))
        .collect()
}
