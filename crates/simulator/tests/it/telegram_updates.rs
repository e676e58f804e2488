use actix_web::rt;
use serde_json::{Value, json};
use simulator::DEFAULT_BOT_TOKEN;

use crate::support::{Answer, Simulator, eventually, read};

/// A long poll that waits.
async fn waiting_poll(sim: &Simulator, params: Value) -> rt::task::JoinHandle<Answer> {
    let request = sim.client.post(sim.url(&format!("/bot{DEFAULT_BOT_TOKEN}/getUpdates"))).send_json(&params);
    let poll = rt::spawn(async move { read(request.await.unwrap()).await });
    eventually("the poll", async || {
        (sim.get("/control/telegram").await.json["takes_updates_by"] == "polling").then_some(())
    })
    .await;
    poll
}

#[actix_web::test]
async fn a_long_poll_ends_with_the_first_update() {
    let sim = Simulator::start().await;
    let poll = waiting_poll(&sim, json!({"timeout":50})).await;
    sim.say(1001, "/start now").await;
    let updates = poll.await.unwrap().ok();
    let message = &updates["result"][0]["message"];
    assert_eq!(message["text"], "/start now");
    assert_eq!(message["entities"], json!([{"type":"bot_command","offset":0,"length":6}]));
    assert_eq!(
        (&message["from"]["id"], &message["from"]["is_bot"], &message["chat"]["id"]),
        (&json!(1001), &json!(false), &json!(1001))
    );
    sim.stop().await;
}

#[actix_web::test]
async fn updates_come_again_until_a_higher_offset_confirms_them() {
    let sim = Simulator::start().await;
    for text in ["one", "two", "three"] {
        sim.say(1001, text).await;
    }
    let texts = async |params: Value| -> Vec<(i64, String)> {
        let updates = sim.bot("getUpdates", params).await.ok();
        let updates = updates["result"].as_array().unwrap();
        updates
            .iter()
            .map(|it| (it["update_id"].as_i64().unwrap(), it["message"]["text"].as_str().unwrap().to_owned()))
            .collect()
    };
    let all = texts(json!({})).await;
    assert_eq!(all.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["one", "two", "three"]);
    assert_eq!(texts(json!({"limit":2})).await, all[..2]);
    assert_eq!(texts(json!({"offset":all[0].0 + 1})).await, all[1..]);
    assert_eq!(texts(json!({"offset":-1})).await, all[2..]);
    assert_eq!(texts(json!({"offset":all[2].0 + 1,"timeout":0})).await, []);
    sim.stop().await;
}

#[actix_web::test]
async fn a_second_poll_ends_the_first_with_a_conflict() {
    let sim = Simulator::start().await;
    let first = waiting_poll(&sim, json!({"timeout":50})).await;
    sim.bot("getUpdates", json!({"timeout":0})).await.ok();
    let answer = first.await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json["error_code"]), (409, &json!(409)));
    assert_eq!(
        answer.json["description"],
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    );
    sim.stop().await;
}

#[actix_web::test]
async fn a_webhook_and_polling_exclude_each_other() {
    let sim = Simulator::start().await;
    let poll = waiting_poll(&sim, json!({"timeout":50})).await;
    let set = sim.bot("setWebhook", json!({"url":"https://bot.example.invalid/hook"})).await.ok();
    assert_eq!(set, json!({"ok":true,"result":true,"description":"Webhook was set"}));
    assert_eq!(poll.await.unwrap().json["description"], "Conflict: terminated by setWebhook request");
    let refused = sim.bot("getUpdates", json!({})).await;
    assert_eq!(refused.status, 409);
    assert!(
        refused.json["description"]
            .as_str()
            .unwrap()
            .starts_with("Conflict: can't use getUpdates method while webhook is active")
    );
    sim.bot("deleteWebhook", json!({})).await.ok();
    sim.bot("getUpdates", json!({})).await.ok();
    sim.stop().await;
}

#[actix_web::test]
async fn a_waiting_poll_does_not_hold_up_a_stop() {
    let sim = Simulator::start().await;
    let poll = waiting_poll(&sim, json!({"timeout":50})).await;
    sim.stop().await;
    let answer = poll.await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json["description"]), (500, &json!("Internal Server Error: restart")));
}

#[actix_web::test]
async fn a_button_is_pressed_and_answered_once() {
    let sim = Simulator::start().await;
    let markup = json!({"inline_keyboard":[[{"text":"Why?","callback_data":"why:7"}]]});
    let sent = sim.bot("sendMessage", json!({"chat_id":1001,"text":"BUY","reply_markup":markup})).await.ok();
    let id = sent["result"]["message_id"].clone();
    let press = json!({"user_id":1001,"message_id":id,"callback_data":"why:7"});
    let pressed = sim.post("/control/telegram/updates", &press).await.ok();
    let query = sim.bot("getUpdates", json!({})).await.ok()["result"][0]["callback_query"].clone();
    assert_eq!((&query["data"], &query["id"]), (&json!("why:7"), &pressed["callback_query_id"]));
    assert_eq!((&query["message"]["message_id"], &query["from"]["id"]), (&id, &json!(1001)));
    let answer = json!({"callback_query_id":query["id"],"text":"Because."});
    sim.bot("answerCallbackQuery", answer.clone()).await.ok();
    let again = sim.bot("answerCallbackQuery", answer).await;
    assert_eq!(
        again.json["description"],
        "Bad Request: query is too old and response timeout expired or query ID is invalid"
    );

    let nowhere = json!({"user_id":1001,"message_id":id.as_i64().unwrap() + 9,"callback_data":"x"});
    let missing = sim.post("/control/telegram/updates", &nowhere).await;
    assert_eq!((missing.status.as_u16(), &missing.json["code"]), (404, &json!("unknown_message")));
    sim.stop().await;
}

#[actix_web::test]
async fn only_wanted_kinds_of_updates_are_kept() {
    let sim = Simulator::start().await;
    sim.bot("getUpdates", json!({"allowed_updates":["callback_query"]})).await.ok();
    let said = sim.say(1001, "unheard").await;
    assert!(said.get("update_id").is_none());
    sim.bot("getUpdates", json!({"allowed_updates":[]})).await.ok();
    sim.say(1001, "heard").await;
    assert_eq!(sim.bot("getUpdates", json!({})).await.ok()["result"][0]["message"]["text"], "heard");
    sim.stop().await;
}

#[actix_web::test]
async fn strangers_get_a_chat_when_they_speak() {
    let sim = Simulator::start().await;
    assert_eq!(sim.get("/control/telegram/chats/4242/messages").await.json["code"], "unknown_chat");
    sim.say(4242, "hi").await;
    sim.bot("sendMessage", json!({"chat_id":4242,"text":"who are you?"})).await.ok();
    assert_eq!(sim.chat(4242).await.len(), 2);
    for bad in [
        json!({"user_id":0,"text":"x"}),
        json!({"user_id":1,"text":" "}),
        json!({"user_id":1}),
        json!({"user_id":1,"text":"x".repeat(4097)}),
    ] {
        let answer = sim.post("/control/telegram/updates", &bad).await;
        assert_eq!((answer.status.as_u16(), &answer.json["code"]), (400, &json!("bad_update")), "{}", answer.text);
    }
    sim.stop().await;
}
