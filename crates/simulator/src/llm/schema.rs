//! Structured outputs: an answer of the schema that was asked for.

use serde_json::{Map, Value};

use super::rule::Opinion;

/// Nesting that is followed; the real API allows ten levels.
const MOST_LEVELS: usize = 10;

/// Checks what `strict: true` asks of a schema: objects list all their properties as required and allow no others.
pub(super) fn check_strict(schema: &Value) -> Result<(), String> {
    if schema.get("type") != Some(&Value::from("object")) {
        return Err("schema must be a JSON Schema of 'type: \"object\"'.".to_owned());
    }
    check_level(schema, "", MOST_LEVELS)
}

fn check_level(schema: &Value, context: &str, levels: usize) -> Result<(), String> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(format!("In context=({context}), the schema is nested too deeply."));
    };
    if let Some(items) = schema.get("items") {
        check_level(items, &format!("{context}, 'items'"), levels)?;
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Ok(()) };
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err(format!(
            "In context=({context}), 'additionalProperties' is required to be supplied and to be false."
        ));
    }
    let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (name, property) in properties {
        if !required.iter().any(|known| known == name) {
            return Err(format!(
                "In context=({context}), 'required' is required to be supplied and to be an array including every key in properties. Missing '{name}'."
            ));
        }
        check_level(property, &format!("{context}'properties', '{name}'"), levels)?;
    }
    Ok(())
}

/// An object of the schema with the opinion in the properties that are named for it.
pub(super) fn fill(schema: &Value, opinion: &Opinion) -> Value {
    let known = opinion.properties();
    let properties = schema.get("properties").and_then(Value::as_object);
    let filled = properties.into_iter().flatten().map(|(name, property)| {
        let value = known.get(name).map_or_else(|| blank(property, MOST_LEVELS), |value| fitted(property, value));
        (name.clone(), value)
    });
    Value::Object(filled.collect())
}

/// The value in the spelling and type of the property.
fn fitted(property: &Value, value: &Value) -> Value {
    if let (Some(choices), Some(text)) = (property.get("enum").and_then(Value::as_array), value.as_str()) {
        let choice =
            choices.iter().find(|choice| choice.as_str().is_some_and(|choice| choice.eq_ignore_ascii_case(text)));
        return choice.cloned().unwrap_or_else(|| value.clone());
    }
    match (type_of(property), value) {
        ("string", Value::Number(number)) => Value::from(number.to_string()),
        _ => value.clone(),
    }
}

fn type_of(property: &Value) -> &str {
    match property.get("type") {
        Some(Value::Array(types)) => {
            types.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        Some(Value::String(kind)) => kind,
        _ => "null",
    }
}

/// Something of the property's type, for properties that the rule has no opinion on.
fn blank(property: &Value, levels: usize) -> Value {
    if let Some(first) = property.get("enum").and_then(Value::as_array).and_then(|choices| choices.first()) {
        return first.clone();
    }
    match type_of(property) {
        "string" => Value::from(""),
        "number" | "integer" => property.get("minimum").cloned().unwrap_or_else(|| Value::from(0)),
        "boolean" => Value::from(false),
        "array" => Value::Array(Vec::new()),
        "object" if levels > 0 => {
            let properties = property.get("properties").and_then(Value::as_object);
            let filled = properties.into_iter().flatten().map(|(name, inner)| (name.clone(), blank(inner, levels - 1)));
            Value::Object(filled.collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rule::opinion;
    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "action": { "type": "string", "enum": ["BUY", "SELL", "HOLD"] },
                "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
                "reason": { "type": "string" },
            },
            "required": ["action", "confidence", "reason"],
            "additionalProperties": false,
        })
    }

    #[test]
    fn the_answer_has_exactly_the_properties_of_the_schema() {
        let rising = opinion(r#"{"price":"110","sma_fast":"105","sma_slow":"100","rsi":"55"}"#);
        let answer = fill(&schema(), &rising);
        assert_eq!(answer["action"], "BUY");
        assert!(answer["confidence"].is_f64() && answer["reason"].is_string());
        assert_eq!(answer.as_object().unwrap().len(), 3);
        let other = json!({"properties":{"action":{"enum":["sell","buy"]},"confidence":{"type":"string"},"tags":{"type":"array"},"deep":{"type":"object","properties":{"n":{"type":"integer","minimum":2}}}}});
        let answer = fill(&other, &rising);
        assert_eq!(answer["action"], "buy");
        assert!(answer["confidence"].is_string());
        assert_eq!((&answer["tags"], &answer["deep"]), (&json!([]), &json!({"n":2})));
    }

    #[test]
    fn strict_schemas_are_checked() {
        assert_eq!(check_strict(&schema()), Ok(()));
        let mut open = schema();
        open.as_object_mut().unwrap().remove("additionalProperties");
        assert!(check_strict(&open).unwrap_err().contains("'additionalProperties' is required"));
        let mut optional = schema();
        optional["required"] = json!(["action", "reason"]);
        assert!(check_strict(&optional).unwrap_err().contains("Missing 'confidence'"));
        assert!(check_strict(&json!({"type":"array"})).is_err());
    }
}
