//! `reply_markup`: checked as Telegram checks it, kept as it came.

use serde_json::Value;

use super::error::BotError;

/// Bytes of `callback_data`.
pub(super) const MOST_CALLBACK_BYTES: usize = 64;
/// What an inline button can do besides sending data back.
const INLINE_ACTIONS: [&str; 9] = [
    "url",
    "callback_data",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "pay",
];

/// What accompanies a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Markup {
    /// Buttons under the message.
    Inline(Value),
    /// Buttons in the place of the keyboard.
    Keyboard(Value),
    /// Takes the keyboard away.
    Remove(Value),
    /// Asks for a reply.
    ForceReply(Value),
}

impl Markup {
    /// Checks a `reply_markup`; an empty object is none.
    pub(super) fn read(value: Option<Value>) -> Result<Option<Self>, BotError> {
        let Some(value) = value else { return Ok(None) };
        let Some(object) = value.as_object() else { return Err(BotError::bad("Object expected as reply markup")) };
        let rows = |field: &str| object.get(field).filter(|rows| rows.as_array().is_some_and(|rows| !rows.is_empty()));
        if let Some(keyboard) = rows("keyboard") {
            check(keyboard, "Field \"keyboard\" must be an Array of Arrays", keyboard_button)?;
            return Ok(Some(Self::Keyboard(value)));
        }
        if let Some(keyboard) = rows("inline_keyboard") {
            check(
                keyboard,
                "Field \"inline_keyboard\" of the InlineKeyboardMarkup must be an Array of Arrays",
                inline_button,
            )?;
            return Ok(Some(Self::Inline(value)));
        }
        let is = |field: &str| object.get(field).is_some_and(|flag| flag == true);
        Ok(if is("remove_keyboard") {
            Some(Self::Remove(value))
        } else if is("force_reply") {
            Some(Self::ForceReply(value))
        } else {
            None
        })
    }

    /// The JSON as it came.
    pub(super) const fn json(&self) -> &Value {
        match self {
            Self::Inline(value) | Self::Keyboard(value) | Self::Remove(value) | Self::ForceReply(value) => value,
        }
    }

    pub(super) const fn is_inline(&self) -> bool {
        matches!(self, Self::Inline(_))
    }
}

fn check(keyboard: &Value, no_rows: &str, button: fn(&Value) -> Result<(), BotError>) -> Result<(), BotError> {
    for row in keyboard.as_array().map_or(&[][..], Vec::as_slice) {
        let row = row.as_array().ok_or_else(|| BotError::bad(no_rows))?;
        row.iter().try_for_each(button)?;
    }
    Ok(())
}

fn keyboard_button(button: &Value) -> Result<(), BotError> {
    let wrong = |text: &str| BotError::bad(format!("Can't parse keyboard button: {text}"));
    match button {
        Value::String(_) => Ok(()),
        Value::Object(object) => match object.get("text") {
            Some(Value::String(_)) => Ok(()),
            Some(_) => Err(wrong("Field \"text\" must be of type String")),
            None => Err(wrong("Can't find field \"text\"")),
        },
        _ => Err(wrong("KeyboardButton must be a String or an Object")),
    }
}

fn inline_button(button: &Value) -> Result<(), BotError> {
    let wrong = |text: &str| BotError::bad(format!("Can't parse inline keyboard button: {text}"));
    let Value::Object(object) = button else { return Err(wrong("InlineKeyboardButton must be an Object")) };
    match object.get("text") {
        Some(Value::String(_)) => {}
        Some(_) => return Err(wrong("Field \"text\" must be of type String")),
        None => return Err(wrong("Can't find field \"text\"")),
    }
    if !INLINE_ACTIONS.iter().any(|action| object.contains_key(*action)) {
        return Err(wrong("Text buttons are unallowed in the inline keyboard"));
    }
    match object.get("callback_data").map(Value::as_str) {
        None => Ok(()),
        Some(Some(data)) if (1..=MOST_CALLBACK_BYTES).contains(&data.len()) => Ok(()),
        Some(_) => Err(BotError::bad("BUTTON_DATA_INVALID")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keyboards_are_told_apart_and_checked() {
        let read = |value| Markup::read(Some(value));
        assert!(matches!(read(json!({"keyboard":[["a",{"text":"b"}]]})), Ok(Some(Markup::Keyboard(_)))));
        assert!(matches!(
            read(json!({"inline_keyboard":[[{"text":"b","callback_data":"x"}]]})),
            Ok(Some(Markup::Inline(_)))
        ));
        assert!(matches!(read(json!({"remove_keyboard":true})), Ok(Some(Markup::Remove(_)))));
        assert_eq!(read(json!({})), Ok(None));
        assert_eq!(read(json!([])), Err(BotError::bad("object expected as reply markup")));
        assert!(read(json!({"keyboard":["a"]})).is_err());
        assert!(read(json!({"keyboard":[[1]]})).is_err());
        assert!(read(json!({"inline_keyboard":[[{"text":"b"}]]})).is_err());
        let data = |length| json!({"inline_keyboard":[[{"text":"b","callback_data":"x".repeat(length)}]]});
        assert!(read(data(64)).is_ok());
        assert_eq!(read(data(65)), Err(BotError::bad("BUTTON_DATA_INVALID")));
    }
}
