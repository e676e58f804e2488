//! One description from several.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::proxy::table::{Behind, Kind, WAYS, Way};

const SCHEMAS: &str = "#/components/schemas/";

/// The gateway's own description with the paths that go through to services which are known, under their paths here.
pub(super) fn merged(own: &Value, known: &[(Behind, Value)]) -> Value {
    let mut merged = own.clone();
    let mut schemas = schemas_of(own);
    let mut ids: BTreeSet<String> = operations(own).filter_map(|operation| text(operation, "operationId")).collect();
    let mut missing = Vec::new();
    for behind in Behind::ALL {
        let Some((_, theirs)) = known.iter().find(|(which, _)| *which == behind) else {
            missing.push(behind.name());
            continue;
        };
        let mut there = Map::new();
        for way in WAYS.iter().filter(|way| way.to == behind) {
            let Some(operation) = theirs["paths"][way.path][way.kind.method()].as_object() else { continue };
            let mut operation = operation.clone();
            let id = text(&Value::Object(operation.clone()), "operationId").filter(|id| !ids.contains(id));
            // The path is nobody else's.
            let id = id.unwrap_or_else(|| format!("{}{}", way.kind.method(), way.from.replace(['/', '{', '}'], "_")));
            ids.insert(id.clone());
            operation.insert("operationId".to_owned(), id.into());
            operation.insert("tags".to_owned(), json!([behind.name()]));
            add_missing(&mut operation, &on_the_way(way));
            there.insert(way.from.to_owned(), json!({ way.kind.method(): operation }));
        }
        let taken = take_schemas(&mut schemas, &schemas_of(theirs), &Value::Object(there.clone()), behind.name());
        for (path, mut item) in there {
            rename(&mut item, &taken);
            merged["paths"][path] = item;
        }
    }
    if !missing.is_empty() {
        let said = text(&merged["info"], "description").unwrap_or_default();
        let note = format!("{said}\n\nNot described now, because they have not answered yet: {}.", missing.join(", "));
        merged["info"]["description"] = note.into();
    }
    merged["components"]["schemas"] = schemas.into_iter().collect::<Map<String, Value>>().into();
    guard(&mut merged);
    merged
}

/// Takes the schemas that `used` needs from `theirs` to `ours`, and says under which names. One whose name means something
/// else already, or that refers to such a one, gets the service's name in front.
fn take_schemas(
    ours: &mut BTreeMap<String, Value>,
    theirs: &BTreeMap<String, Value>,
    used: &Value,
    service: &str,
) -> BTreeMap<String, String> {
    let mut needed = BTreeSet::new();
    let mut open: Vec<String> = references(used);
    while let Some(name) = open.pop() {
        if let Some(schema) = theirs.get(&name)
            && needed.insert(name)
        {
            open.extend(references(schema));
        }
    }
    let mut clashing: BTreeSet<String> = needed
        .iter()
        .filter(|name| ours.get(*name).is_some_and(|known| theirs.get(*name) != Some(known)))
        .cloned()
        .collect();
    loop {
        let more: Vec<String> = needed
            .iter()
            .filter(|name| !clashing.contains(*name))
            .filter(|name| {
                theirs.get(*name).is_some_and(|schema| references(schema).iter().any(|to| clashing.contains(to)))
            })
            .cloned()
            .collect();
        if more.is_empty() {
            break;
        }
        clashing.extend(more);
    }
    let prefix = camel(service);
    let names: BTreeMap<String, String> = needed
        .into_iter()
        .map(|name| {
            let renamed = if clashing.contains(&name) { format!("{prefix}{name}") } else { name.clone() };
            (name, renamed)
        })
        .collect();
    for (name, renamed) in &names {
        if let Some(schema) = theirs.get(name) {
            let mut schema = schema.clone();
            rename(&mut schema, &names);
            ours.insert(renamed.clone(), schema);
        }
    }
    names
}

fn schemas_of(description: &Value) -> BTreeMap<String, Value> {
    let schemas = description["components"]["schemas"].as_object().into_iter().flatten();
    schemas.map(|(name, schema)| (name.clone(), schema.clone())).collect()
}

fn operations(description: &Value) -> impl Iterator<Item = &Value> {
    let paths = description["paths"].as_object().into_iter().flatten();
    paths.filter_map(|(_, item)| item.as_object()).flat_map(Map::values)
}

fn text(value: &Value, name: &str) -> Option<String> {
    value[name].as_str().map(str::to_owned)
}

/// Names of the schemas that a value refers to.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, member)| match member.as_str().and_then(|text| text.strip_prefix(SCHEMAS)) {
                Some(schema) if name == "$ref" => vec![schema.to_owned()],
                _ => references(member),
            })
            .collect(),
        Value::Array(members) => members.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// Lets references lead to the new names.
fn rename(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let renamed = member.as_str().and_then(|text| names.get(text.strip_prefix(SCHEMAS)?));
                match renamed {
                    Some(renamed) if name == "$ref" => *member = format!("{SCHEMAS}{renamed}").into(),
                    _ => rename(member, names),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| rename(member, names)),
        _ => {}
    }
}

/// `decision-service` as `DecisionService`.
fn camel(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
        })
        .collect()
}

/// An answer that is a problem.
fn problem(words: &str) -> Value {
    json!({"description": words, "content": {"application/problem+json": {"schema": {"$ref": format!("{SCHEMAS}ProblemBody")}}}})
}

/// What the way through can answer itself, whatever the service says.
fn on_the_way(way: &Way) -> Vec<(&'static str, Value)> {
    let mut answers = vec![
        ("400", problem("`bad_path`, `bad_query`: what is not handed on")),
        ("502", problem("The service answered with an error; `upstream` names it")),
        ("503", problem("The service is away; `upstream` names it")),
        ("504", problem("No answer in time")),
    ];
    if way.kind == Kind::Ask {
        answers.push(("413", problem("`body_too_large`")));
        answers.push(("415", problem("`unsupported_media_type`: no application/json, or encoded")));
    }
    answers
}

/// Adds answers of statuses that an operation does not speak of.
fn add_missing(operation: &mut Map<String, Value>, answers: &[(&str, Value)]) {
    let Some(known) = operation.entry("responses").or_insert_with(|| json!({})).as_object_mut() else { return };
    for (status, answer) in answers {
        known.entry(*status).or_insert_with(|| answer.clone());
    }
}

/// What the door adds to every operation: keys, and who is turned away.
fn guard(description: &mut Value) {
    description["components"]["securitySchemes"] = json!({
        "api_key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    });
    // Either, or none where the gateway asks for none.
    description["security"] = json!([{"api_key": []}, {"bearer": []}, {}]);
    let refusals = [
        ("401", problem("`unauthorized`: no API key, or none that is known")),
        ("421", problem("`foreign_host`: without API keys only a caller on this machine is answered, under its names")),
        (
            "429",
            problem("`rate_limited`, `too_many_failures`: too many requests; `Retry-After` says when to come again"),
        ),
    ];
    let paths = description["paths"].as_object_mut().into_iter().flatten();
    for operation in paths.filter_map(|(_, item)| item.as_object_mut()).flat_map(Map::values_mut) {
        for (status, refusal) in &refusals {
            operation["responses"][*status] = refusal.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(schema: &str) -> Value {
        json!({"operationId": "list", "tags": ["x"], "responses": {"200": {"content": {"application/json": {"schema": {"$ref": format!("{SCHEMAS}{schema}")}}}}}})
    }

    fn own() -> Value {
        json!({"openapi": "3.1.0", "info": {"title": "t", "description": "All of it."},
            "paths": {"/api/v1/process": {"post": operation("Reply")}},
            "components": {"schemas": {"Reply": {"type": "object"}, "ProblemBody": {"type": "object"}}}})
    }

    /// Every reference leads somewhere.
    fn assert_whole(description: &Value) {
        let schemas = schemas_of(description);
        for name in references(description) {
            assert!(schemas.contains_key(&name), "{name} is not there: {description:#}");
        }
    }

    #[test]
    fn paths_are_those_of_the_gateway_and_only_what_goes_through() {
        let user = json!({"paths": {
            "/users": {"get": operation("UserPage"), "delete": operation("Secret")},
            "/users/{id}": {"get": operation("User")},
            "/process": {"post": operation("Secret")}, "/health": {"get": operation("Secret")},
        }, "components": {"schemas": {
            "UserPage": {"items": {"$ref": "#/components/schemas/User"}}, "User": {"type": "object"}, "Secret": {"type": "object"},
        }}});
        let merged = merged(&own(), &[(Behind::User, user)]);
        let paths: Vec<&String> = merged["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, ["/api/v1/process", "/api/v1/users", "/api/v1/users/{id}"]);
        assert!(merged["paths"]["/api/v1/users"].get("delete").is_none());
        assert_eq!(schemas_of(&merged).into_keys().collect::<Vec<_>>(), ["ProblemBody", "Reply", "User", "UserPage"]);
        assert_eq!(merged["paths"]["/api/v1/users"]["get"]["tags"], json!(["user-service"]));
        let ids: BTreeSet<String> =
            operations(&merged).filter_map(|operation| text(operation, "operationId")).collect();
        assert_eq!(ids.len(), 3, "{ids:?}");
        for operation in operations(&merged) {
            assert!(operation["responses"]["401"].is_object() && operation["responses"]["429"].is_object());
        }
        let users = merged["paths"]["/api/v1/users"]["get"]["responses"].as_object().unwrap();
        assert_eq!(
            users.keys().collect::<Vec<_>>(),
            ["200", "400", "401", "421", "429", "502", "503", "504"],
            "what the way through answers is said too"
        );
        let words = merged["info"]["description"].as_str().unwrap();
        assert!(
            words.starts_with("All of it.") && words.contains("order-service") && !words.contains("user-service"),
            "{words}"
        );
        assert_whole(&merged);
    }

    #[test]
    fn a_name_that_means_two_things_becomes_two_with_all_that_lead_to_it() {
        let service = |path: &str, inner: &str| {
            json!({"paths": {path: {"get": operation("List")}}, "components": {"schemas": {
                "List": {"items": {"$ref": "#/components/schemas/Item"}},
                "Item": {"type": inner, "same": {"$ref": "#/components/schemas/Same"}},
                "Same": {"type": "string"},
            }}})
        };
        let known = [(Behind::User, service("/users", "string")), (Behind::Order, service("/orders", "integer"))];
        let merged = merged(&own(), &known);
        let schemas = schemas_of(&merged);
        let of = |path: &str| references(&merged["paths"][path]["get"]["responses"]["200"]);
        assert_eq!(
            (of("/api/v1/users"), of("/api/v1/orders")),
            (vec!["List".to_owned()], vec!["OrderServiceList".to_owned()])
        );
        assert_eq!(references(&schemas["OrderServiceList"]), ["OrderServiceItem"]);
        assert_eq!(
            (&schemas["Item"]["type"], &schemas["OrderServiceItem"]["type"]),
            (&json!("string"), &json!("integer"))
        );
        assert!(!schemas.contains_key("OrderServiceSame"), "what is the same stays one");
        assert_whole(&merged);
    }

    #[test]
    fn nonsense_adds_nothing_and_breaks_nothing() {
        for nonsense in
            [json!({}), json!([]), json!({"paths": []}), json!({"paths": {"/users": 3, "/users/{id}": {"get": "x"}}})]
        {
            let merged = merged(&own(), &[(Behind::User, nonsense)]);
            assert_eq!(merged["paths"].as_object().unwrap().len(), 1);
            assert_whole(&merged);
        }
        let circle = json!({"paths": {"/users": {"get": operation("A")}}, "components": {"schemas": {
            "A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}}});
        assert_whole(&merged(&own(), &[(Behind::User, circle)]));
    }
}
