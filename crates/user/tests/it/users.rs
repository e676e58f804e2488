//! Profiles.

use opentelemetry::trace::TraceId;
use serde_json::json;
use storage::testing::TestDatabase;
use telemetry::testing::{attribute, finished_spans};
use web::RunningServer;
use web::testing::{eventually, get, post, post_text, ready, url};

pub(crate) async fn alone(database: &TestDatabase) -> RunningServer {
    telemetry::testing::init();
    let server = user::start(user::Config::ephemeral(database.settings(), None)).await.unwrap();
    ready(&server).await;
    server
}

pub(crate) async fn a_profile_is_made_and_brought_up_to_date(database: TestDatabase) {
    let server = alone(&database).await;
    let first = post(&url(&server, "/process"), &json!({"user_id": 1001, "action": "test"})).await.ok();
    let user = &first["parts"][0]["data"]["user"];
    assert_eq!((user["name"].is_null(), user["request_count"].as_i64()), (true, Some(1)));
    let named =
        json!({"user_id": 1001, "user_name": "John Doe", "user_email": "john@example.com", "action": "purchase"});
    post(&url(&server, "/process"), &named).await.ok();
    // What is not given stays.
    post(&url(&server, "/process"), &json!({"user_id": 1001, "user_name": "Johnny", "action": "x"})).await.ok();
    let kept = get(&url(&server, "/users/1001")).await.ok();
    assert_eq!((kept["name"].as_str(), kept["email"].as_str()), (Some("Johnny"), Some("john@example.com")));
    assert_eq!(kept["request_count"], 3);
    assert!(kept["first_seen_at"].as_str().unwrap() < kept["last_seen_at"].as_str().unwrap());
    // Also after a restart.
    server.stop().await;
    let server = alone(&database).await;
    assert_eq!(get(&url(&server, "/users/1001")).await.ok()["name"], "Johnny");
    server.stop().await;
}

pub(crate) async fn users_are_read_in_pages(database: TestDatabase) {
    let server = alone(&database).await;
    for id in [5, 3, 9, 1, 7] {
        post(&url(&server, "/process"), &json!({"user_id": id, "action": "x"})).await.ok();
    }
    let page = get(&url(&server, "/users?limit=3")).await.ok();
    let ids = |page: &serde_json::Value| -> Vec<i64> {
        page["items"].as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids(&page), [9, 7, 5]);
    let rest =
        get(&url(&server, &format!("/users?limit=3&cursor={}", page["next_cursor"].as_str().unwrap()))).await.ok();
    assert_eq!((ids(&rest), rest["next_cursor"].is_null()), (vec![3, 1], true));
    server.stop().await;
}

pub(crate) async fn bad_input_gets_a_sentence(database: TestDatabase) {
    let server = alone(&database).await;
    let json_type = [("content-type", "application/json")];
    for body in [
        "",
        "{",
        "[]",
        r#"{"user_id": 1}"#,
        r#"{"action": "x"}"#,
        r#"{"user_id": 0, "action": "x"}"#,
        r#"{"user_id": 1.5, "action": "x"}"#,
        r#"{"user_id": 9223372036854775808, "action": "x"}"#,
        r#"{"user_id": 1, "action": "x", "user_email": "nobody"}"#,
        r#"{"user_id": 1, "action": "x", "user_name": "a\u0000b"}"#,
        r#"{"user_id": 1, "action": "two words"}"#,
        r#"{"user_id": 1, "action": "x", "unknown": true}"#,
        r#"[1, "Ann", null, "x"]"#,
        r#"{"user_id": 1, "action": "x", "items": [["BTCUSDT", "1"]]}"#,
        "{\"user_id\": 1, \"action\": \"x\", \"user_name\": \"Ann\u{202e}\"}",
        "{\"user_id\": 1, \"action\": \"x\", \"user_email\": \"a\u{200b}nn@example.com\"}",
    ] {
        let reply = post_text(&url(&server, "/process"), &json_type, body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text);
        assert!(reply.json()["detail"].as_str().unwrap().len() > 15, "{body}: {}", reply.text);
    }
    get(&url(&server, "/users/1")).await.problem(404, "unknown_user");
    for path in ["/users/0", "/users/x", "/users/99999999999999999999"] {
        let problem = get(&url(&server, path)).await.problem(400, "bad_path");
        assert!(problem["detail"].as_str().unwrap().contains("user_id is a whole number"), "{problem}");
    }
    for limit in ["0", "201", "999999", "-1", "x", ""] {
        let problem = get(&url(&server, &format!("/users?limit={limit}"))).await.problem(400, "bad_limit");
        assert_eq!(problem["detail"], "The limit is a whole number from 1 to 200.", "{limit}");
    }
    get(&url(&server, "/users?cursor=x")).await.problem(400, "bad_cursor");
    // What can come is described, what the services behind refuse too.
    let described = get(&url(&server, "/openapi.json")).await.ok();
    let answers = described["paths"]["/process"]["post"]["responses"].as_object().unwrap();
    let statuses: Vec<&str> = answers.keys().map(String::as_str).collect();
    assert_eq!(statuses, ["200", "400", "403", "404", "408", "409", "413", "415", "422", "502", "503", "504"]);
    assert_eq!(get(&url(&server, "/users")).await.ok()["items"], json!([]), "nothing of it was written");
    server.stop().await;
}

pub(crate) async fn names_are_on_spans_only_where_that_is_switched_on(database: TestDatabase) {
    telemetry::testing::init();
    for switched_on in [false, true] {
        let mut config = user::Config::ephemeral(database.settings(), None);
        config.chain.trace_personal_data = switched_on;
        let server = user::start(config).await.unwrap();
        ready(&server).await;
        let id = if switched_on { 2 } else { 1 };
        let request = json!({"user_id": id, "user_name": "Ann Secret", "user_email": "ann@example.com", "action": "x"});
        post(&url(&server, "/process"), &request).await.ok();
        let spans = eventually("the span", async || {
            let spans = finished_spans();
            let own = spans.iter().rfind(|span| {
                span.name == "UserService.process" && attribute(span, "user.id") == Some(id.to_string())
            })?;
            let trace: TraceId = own.span_context.trace_id();
            let server_ended =
                spans.iter().any(|span| span.name == "POST /process" && span.span_context.trace_id() == trace);
            server_ended
                .then(|| spans.iter().filter(|span| span.span_context.trace_id() == trace).cloned().collect::<Vec<_>>())
        })
        .await;
        let told = format!("{spans:?}");
        assert_eq!(told.contains("Ann Secret") && told.contains("ann@example.com"), switched_on, "{told}");
        server.stop().await;
    }
}

/// A page of somebody else's, whose name suddenly leads to this machine, asks for nothing in a user's name.
pub(crate) async fn only_names_of_this_machine_are_answered(database: TestDatabase) {
    let server = alone(&database).await;
    let foreign = [("host", "rebound.example.org:5001"), ("content-type", "application/json")];
    let body = json!({"user_id": 1001, "action": "test"}).to_string();
    let reply = post_text(&url(&server, "/process"), &foreign, &body).await;
    let _ = reply.problem(403, "foreign_host");
    server.stop().await;
}
