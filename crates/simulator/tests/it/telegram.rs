use serde_json::{Value, json};
use simulator::DEFAULT_BOT_TOKEN;

use crate::support::{Simulator, read};

/// A PNG's signature and header; nobody decodes the rest.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(width.to_be_bytes());
    png.extend(height.to_be_bytes());
    png.extend(b"\x08\x02\0\0\0");
    png
}

fn multipart(fields: &[(&str, &str)], files: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes(),
        );
    }
    for (name, content) in files {
        let head = format!(
            "--edge\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f.png\"\r\nContent-Type: image/png\r\n\r\n"
        );
        body.extend(head.into_bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--edge--\r\n");
    ("multipart/form-data; boundary=edge".to_owned(), body)
}

#[actix_web::test]
async fn the_bot_knows_itself_however_it_is_called() {
    let sim = Simulator::start().await;
    let me = sim.bot("getMe", json!({})).await.ok();
    assert_eq!(
        (&me["ok"], &me["result"]["is_bot"], &me["result"]["id"]),
        (&json!(true), &json!(true), &json!(1_000_000_001))
    );
    let by_get = sim.get(&format!("/bot{DEFAULT_BOT_TOKEN}/GETME")).await.ok();
    assert_eq!(by_get, me);
    let unknown = sim.bot("dance", json!({})).await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.json),
        (404, json!({"ok":false,"error_code":404,"description":"Not Found: method not found"}))
    );
    sim.stop().await;
}

#[actix_web::test]
async fn a_wrong_token_is_unauthorized() {
    let sim = Simulator::start().await;
    let wrong = sim.post("/bot1000000001:another/getMe", &json!({})).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.json),
        (401, json!({"ok":false,"error_code":401,"description":"Unauthorized"}))
    );
    let none = sim.post("/botnonsense/getMe", &json!({})).await;
    assert_eq!(none.json["description"], "Unauthorized: invalid token specified");
    sim.stop().await;
}

#[actix_web::test]
async fn messages_are_sent_by_json_form_and_query() {
    let sim = Simulator::start().await;
    let keyboard = json!({"keyboard":[[{"text":"What should I do with crypto?"}]],"resize_keyboard":true});
    let sent = sim
        .bot(
            "sendMessage",
            json!({"chat_id":1001,"text":" <b>Hello</b> &amp; welcome ","parse_mode":"HTML","reply_markup":keyboard}),
        )
        .await
        .ok();
    let message = &sent["result"];
    assert_eq!(
        (&message["text"], &message["entities"]),
        (&json!("Hello & welcome"), &json!([{"type":"bold","offset":0,"length":5}]))
    );
    assert_eq!((&message["chat"]["id"], &message["chat"]["type"]), (&json!(1001), &json!("private")));
    assert!(message.get("reply_markup").is_none(), "the Bot API shows inline keyboards only");

    let inline = json!({"inline_keyboard":[[{"text":"Why?","callback_data":"why"}]]}).to_string();
    let url = sim.url(&format!("/bot{DEFAULT_BOT_TOKEN}/sendMessage"));
    let form = [("chat_id", "1001"), ("text", "by form"), ("reply_markup", inline.as_str())];
    let by_form = read(sim.client.post(&url).send_form(&form).await.unwrap()).await.ok();
    assert_eq!(by_form["result"]["reply_markup"]["inline_keyboard"][0][0]["callback_data"], "why");
    sim.get(&format!("/bot{DEFAULT_BOT_TOKEN}/sendMessage?chat_id=1001&text=by%20query")).await.ok();

    let chat = sim.get("/control/telegram/chats/1001/messages").await.ok();
    let texts: Vec<&str> =
        chat["messages"].as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Hello & welcome", "by form", "by query"]);
    assert_eq!(chat["messages"][0]["reply_markup"], keyboard);
    assert_eq!(chat["reply_keyboard"], keyboard);
    sim.stop().await;
}

#[actix_web::test]
async fn what_telegram_refuses_is_refused_in_its_words() {
    let sim = Simulator::start().await;
    let long = "x".repeat(4097);
    for (params, description) in [
        (json!({"chat_id":1001,"text":""}), "Bad Request: message text is empty"),
        (json!({"chat_id":1001,"text":"  \n"}), "Bad Request: text must be non-empty"),
        (json!({"chat_id":1001,"text":long}), "Bad Request: message is too long"),
        (json!({"text":"x"}), "Bad Request: chat_id is empty"),
        (json!({"chat_id":77,"text":"x"}), "Bad Request: chat not found"),
        (json!({"chat_id":"@channel","text":"x"}), "Bad Request: chat not found"),
        (
            json!({"chat_id":1001,"text":"<b>x","parse_mode":"HTML"}),
            "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        (json!({"chat_id":1001,"text":"x","parse_mode":"BBCode"}), "Bad Request: unsupported parse_mode"),
        (
            json!({"chat_id":1001,"text":"x","reply_markup":"{"}),
            "Bad Request: can't parse reply keyboard markup JSON object",
        ),
        (
            json!({"chat_id":1001,"text":"x","reply_markup":{"inline_keyboard":[[{"text":"b","callback_data":"y".repeat(65)}]]}}),
            "Bad Request: BUTTON_DATA_INVALID",
        ),
    ] {
        let answer = sim.bot("sendMessage", params).await;
        assert_eq!(answer.json, json!({"ok":false,"error_code":400,"description":description}), "{}", answer.text);
        assert_eq!(answer.status, 400);
    }
    sim.bot("sendMessage", json!({"chat_id":1001,"text":"x".repeat(4096)})).await.ok();
    let bad_json =
        sim.client.post(sim.url(&format!("/bot{DEFAULT_BOT_TOKEN}/sendMessage"))).content_type("application/json");
    let answer = read(bad_json.send_body("[1]").await.unwrap()).await;
    assert_eq!(answer.json["description"], "Bad Request: JSON object expected");
    sim.stop().await;
}

#[actix_web::test]
async fn messages_are_edited() {
    let sim = Simulator::start().await;
    let sent = sim.bot("sendMessage", json!({"chat_id":1001,"text":"one"})).await.ok();
    let id = sent["result"]["message_id"].as_i64().unwrap();
    let edit = async |params: Value| sim.bot("editMessageText", params).await;
    let edited = edit(json!({"chat_id":1001,"message_id":id,"text":"two"})).await.ok();
    assert_eq!(edited["result"]["text"], "two");
    assert!(edited["result"]["edit_date"].is_i64());
    let same = edit(json!({"chat_id":1001,"message_id":id,"text":"two"})).await;
    assert!(same.json["description"].as_str().unwrap().starts_with("Bad Request: message is not modified"));
    let missing = edit(json!({"chat_id":1001,"message_id":id + 50,"text":"x"})).await;
    assert_eq!(missing.json["description"], "Bad Request: message to edit not found");
    let theirs = sim.say(1001, "hello").await["message_id"].clone();
    let foreign = edit(json!({"chat_id":1001,"message_id":theirs,"text":"x"})).await;
    assert_eq!(foreign.json["description"], "Bad Request: message can't be edited");
    assert_eq!(sim.chat(1001).await[0]["text"], "two");
    sim.stop().await;
}

#[actix_web::test]
async fn photos_come_as_multipart_and_can_be_seen() {
    let sim = Simulator::start().await;
    let url = sim.url(&format!("/bot{DEFAULT_BOT_TOKEN}/sendPhoto"));
    let picture = png(800, 400);
    let (kind, body) =
        multipart(&[("chat_id", "1001"), ("caption", "<i>chart</i>"), ("parse_mode", "HTML")], &[("photo", &picture)]);
    let sent = read(sim.client.post(&url).content_type(kind).send_body(body).await.unwrap()).await.ok();
    let photo = &sent["result"]["photo"][0];
    assert_eq!(
        (&photo["width"], &photo["height"], &photo["file_size"]),
        (&json!(800), &json!(400), &json!(picture.len()))
    );
    assert_eq!(sent["result"]["caption_entities"][0]["type"], "italic");
    let id = photo["file_id"].as_str().unwrap();
    let mut seen = sim.client.get(sim.url(&format!("/control/telegram/photos/{id}"))).send().await.unwrap();
    assert_eq!(seen.headers().get("content-type").unwrap(), "image/png");
    assert_eq!(seen.body().await.unwrap(), picture);
    // As frankenstein attaches files, and again by its id.
    let (kind, body) = multipart(&[("chat_id", "1001"), ("photo", "attach://chart")], &[("chart", &picture)]);
    read(sim.client.post(&url).content_type(kind).send_body(body).await.unwrap()).await.ok();
    sim.bot("sendPhoto", json!({"chat_id":1001,"photo":id})).await.ok();

    for (fields, files, description) in [
        (vec![("chat_id", "1001")], vec![], "Bad Request: there is no photo in the request"),
        (vec![("chat_id", "1001")], vec![("photo", &b"not a picture"[..])], "Bad Request: IMAGE_PROCESS_FAILED"),
        (vec![("chat_id", "1001")], vec![("photo", &b""[..])], "Bad Request: file must be non-empty"),
        (vec![("chat_id", "5")], vec![("photo", &picture[..])], "Bad Request: chat not found"),
    ] {
        let (kind, body) = multipart(&fields, &files);
        let answer = read(sim.client.post(&url).content_type(kind).send_body(body).await.unwrap()).await;
        assert_eq!(answer.json["description"], description);
    }
    let long = "x".repeat(1025);
    let answer = sim.bot("sendPhoto", json!({"chat_id":1001,"photo":id,"caption":long})).await;
    assert_eq!(answer.json["description"], "Bad Request: message caption is too long");
    sim.stop().await;
}

#[actix_web::test]
async fn captions_and_buttons_are_edited_and_counted() {
    let sim = Simulator::start().await;
    let buttons = |text: &str| json!({"inline_keyboard":[[{"text":text,"callback_data":"x"}]]});
    let url = sim.url(&format!("/bot{DEFAULT_BOT_TOKEN}/sendPhoto"));
    let (kind, body) = multipart(
        &[("chat_id", "1001"), ("caption", "chart"), ("reply_markup", &buttons("Why?").to_string())],
        &[("photo", &png(800, 400))],
    );
    let sent = read(sim.client.post(&url).content_type(kind).send_body(body).await.unwrap()).await.ok();
    let (photo, id) = (sent["result"]["photo"].clone(), sent["result"]["message_id"].clone());
    assert_eq!(sent["result"]["reply_markup"], buttons("Why?"));
    let caption = |text: &str| json!({"chat_id":1001,"message_id":id,"caption":text,"parse_mode":"HTML"});
    let edited = sim.bot("editMessageCaption", caption("<b>better</b>")).await.ok()["result"].clone();
    assert_eq!((&edited["caption"], &edited["caption_entities"][0]["type"]), (&json!("better"), &json!("bold")));
    assert_eq!((&edited["photo"], edited.get("reply_markup")), (&photo, None), "buttons go unless they come again");
    assert!(edited["edit_date"].is_i64());
    let again = sim.bot("editMessageCaption", caption("<b>better</b>")).await;
    assert!(again.json["description"].as_str().unwrap().starts_with("Bad Request: message is not modified"));
    let markup = json!({"chat_id":1001,"message_id":id,"reply_markup":buttons("Trace")});
    let edited = sim.bot("editMessageReplyMarkup", markup.clone()).await.ok()["result"].clone();
    assert_eq!((&edited["reply_markup"], &edited["caption"]), (&buttons("Trace"), &json!("better")));
    let none = json!({"chat_id":1001,"message_id":id});
    assert!(sim.bot("editMessageReplyMarkup", none).await.ok()["result"].get("reply_markup").is_none());

    let text =
        sim.bot("sendMessage", json!({"chat_id":1001,"text":"plain"})).await.ok()["result"]["message_id"].clone();
    let theirs = sim.say(1001, "hello").await["message_id"].clone();
    for (method, params, description) in [
        (
            "editMessageCaption",
            json!({"chat_id":1001,"message_id":text,"caption":"x"}),
            "there is no caption in the message to edit",
        ),
        (
            "editMessageText",
            json!({"chat_id":1001,"message_id":id,"text":"x"}),
            "there is no text in the message to edit",
        ),
        ("editMessageCaption", caption(&"x".repeat(1025)), "MEDIA_CAPTION_TOO_LONG"),
        (
            "editMessageReplyMarkup",
            json!({"chat_id":1001,"message_id":theirs,"reply_markup":buttons("x")}),
            "message can't be edited",
        ),
        (
            "editMessageReplyMarkup",
            json!({"chat_id":1001,"message_id":4711,"reply_markup":buttons("x")}),
            "message to edit not found",
        ),
        (
            "editMessageReplyMarkup",
            json!({"chat_id":1001,"reply_markup":buttons("x")}),
            "message identifier is not specified",
        ),
        (
            "editMessageReplyMarkup",
            json!({"chat_id":1001,"message_id":id,"reply_markup":{"keyboard":[["a"]]}}),
            "inline keyboard expected",
        ),
    ] {
        let answer = sim.bot(method, params).await;
        assert_eq!(answer.json["description"], format!("Bad Request: {description}"), "{method}");
    }
    let chat = sim.chat(1001).await;
    let counts: Vec<u64> = chat.iter().map(|message| message["edit_count"].as_u64().unwrap()).collect();
    assert_eq!((counts, &chat[0]["photo"]), (vec![3, 0, 0], &photo));
    sim.stop().await;
}

#[actix_web::test]
async fn commands_and_actions() {
    let sim = Simulator::start().await;
    let commands = json!([{"command":"start","description":"Begin"}]);
    sim.bot("setMyCommands", json!({"commands":commands})).await.ok();
    assert_eq!(sim.bot("getMyCommands", json!({})).await.ok()["result"], commands);
    assert_eq!(sim.get("/control/telegram").await.ok()["commands"], commands);
    let bad = sim.bot("setMyCommands", json!({"commands":[{"command":"UPPER CASE","description":"x"}]})).await;
    assert_eq!(bad.json["description"], "Bad Request: BOT_COMMAND_INVALID");
    sim.bot("sendChatAction", json!({"chat_id":1001,"action":"typing"})).await.ok();
    assert_eq!(sim.bot("sendChatAction", json!({"chat_id":1001,"action":"sleeping"})).await.status, 400);
    sim.stop().await;
}
