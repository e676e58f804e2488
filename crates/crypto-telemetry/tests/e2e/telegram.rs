//! The bot, in the simulated chat.

use serde_json::json;

use crate::stack::Stack;
use crate::wait::until;

pub(crate) fn button(stack: &Stack) {
    let update = json!({"user_id": 1001, "text": "What should I do with crypto?"});
    let sent = stack.http.post(stack.url("SIMULATOR_PORT", "/control/telegram/updates")).json(&update).send().unwrap();
    assert!(sent.status().is_success(), "{}", sent.text().unwrap());
    let url = stack.url("SIMULATOR_PORT", "/control/telegram/chats/1001/messages");
    let text = until("the bot answers", || {
        let messages = stack.json(&url, &[])?;
        let messages = messages.as_array().or_else(|| messages["messages"].as_array())?;
        messages
            .iter()
            .rev()
            .filter_map(|message| message["text"].as_str())
            .find(|text| text.contains("BTCUSDT"))
            .map(str::to_owned)
    });
    assert!(["BUY", "SELL", "HOLD"].iter().any(|action| text.contains(action)), "{text}");
    let trace_id = text
        .split(|character: char| !character.is_ascii_hexdigit())
        .find(|word| word.len() == 32)
        .unwrap_or_else(|| panic!("no trace id in {text}"))
        .to_owned();
    let spans = stack.trace(&trace_id, |spans| {
        ["market-data-service", "decision-service"]
            .iter()
            .all(|service| spans.iter().any(|span| span.service == *service))
            && spans.iter().any(|span| span.name.contains("sendMessage"))
    });
    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "{roots:#?}");
    assert!(
        spans.iter().all(|span| span.attributes.values().all(|value| !value.contains("simulator-token"))),
        "a token is in a span"
    );
}
