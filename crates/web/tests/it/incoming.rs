//! What callers of a service see.

use actix_web::http::Method;
use opentelemetry::trace::{SpanKind, Status};
use telemetry::testing::{attribute, finished_spans, metric_values};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use web::Readiness;

use crate::support::{call, call_with, service};

const JSON: &str = "application/json";

#[actix_web::test]
async fn every_error_is_a_problem_with_a_sentence_and_the_trace_id() {
    let (server, _) = service(Readiness::new());
    let large = vec![b' '; 2_000];
    type Body<'a> = Option<(&'a str, Vec<u8>)>;
    let cases: [(Method, &str, Body<'_>, u16, &str); 10] = [
        (Method::GET, "/nowhere", None, 404, "not_found"),
        (Method::GET, "/echo", None, 405, "method_not_allowed"),
        (Method::POST, "/echo", Some((JSON, b"{".to_vec())), 400, "bad_json"),
        (Method::POST, "/echo", Some((JSON, Vec::new())), 400, "bad_json"),
        (Method::POST, "/echo", Some((JSON, br#"{"number":"x"}"#.to_vec())), 400, "bad_body"),
        (Method::POST, "/echo", Some(("text/plain", b"{}".to_vec())), 415, "unsupported_media_type"),
        (Method::POST, "/echo", Some((JSON, large)), 413, "body_too_large"),
        (Method::GET, "/number/x", None, 400, "bad_path"),
        (Method::GET, "/slow", None, 504, "request_timeout"),
        (Method::GET, "/refuse", None, 404, "unknown_symbol"),
    ];
    for (method, path, body, status, code) in cases {
        let answer = call(&server, method, path, body).await;
        let problem = answer.json();
        assert_eq!((answer.status, problem["code"].as_str()), (status, Some(code)), "{path}: {}", answer.text);
        assert_eq!(answer.content_type, "application/problem+json", "{path}");
        assert_eq!(problem["status"], status, "{path}");
        assert!(problem["detail"].as_str().unwrap().len() > 10, "{path}: {}", answer.text);
        assert_eq!(problem["type"], format!("urn:crypto-telemetry:problem:{code}"));
        let trace_id = problem["trace_id"].as_str().unwrap();
        assert!(
            finished_spans().iter().any(|span| span.span_context.trace_id().to_string() == trace_id),
            "{path}: the trace id leads to no span"
        );
    }
    let metrics = telemetry::metrics::render().unwrap();
    let errors = metric_values("http_server_errors_total", &[("code", "unknown_symbol"), ("upstream", "binance")]);
    assert!(errors.iter().sum::<f64>() >= 1.0, "{metrics}");
    let labels = [("method", "GET"), ("route", "unmatched"), ("status_code", "404")];
    assert_eq!(metric_values("http_server_request_duration_seconds_count", &labels), [1.0]);
    assert_eq!(metric_values("http_server_active_requests", &[("method", "POST"), ("route", "/echo")]), [0.0]);
    assert!(!metrics.contains("/nowhere"), "a path from outside became a label");
    server.stop().await;
}

#[actix_web::test]
async fn a_body_written_on_purpose_is_left_alone() {
    let (server, _) = service(Readiness::new());
    let answer = call(&server, Method::GET, "/own-error", None).await;
    assert_eq!((answer.status, answer.json()["code"].as_i64()), (400, Some(-1121)));
    server.stop().await;
}

#[actix_web::test]
async fn the_callers_trace_and_baggage_go_on() {
    let (server, _) = service(Readiness::new());
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-01");
    let headers = [("traceparent", traceparent.as_str()), ("baggage", "user.id=u1")];
    let answer = call_with(&server, Method::GET, "/headers", None, &headers).await.json();
    assert_eq!(answer["trace_id"], trace_id);
    assert_eq!(answer["baggage_user"], "u1");
    server.stop().await;
    let spans = finished_spans();
    let span = spans.iter().find(|span| span.span_context.trace_id().to_string() == trace_id).unwrap();
    assert_eq!(span.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!((span.span_kind.clone(), span.name.as_ref()), (SpanKind::Server, "GET /headers"));
    assert_eq!(attribute(span, "http.route").as_deref(), Some("/headers"));
    assert_eq!(attribute(span, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(span.status, Status::Unset);
}

#[actix_web::test]
async fn an_unsampled_caller_is_respected() {
    let (server, _) = service(Readiness::new());
    let trace_id = "11112222333344445555666677778888";
    let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-00");
    let answer = call_with(&server, Method::GET, "/headers", None, &[("traceparent", &traceparent)]).await.json();
    assert_eq!(answer["trace_id"], trace_id);
    server.stop().await;
    let kept = finished_spans()
        .into_iter()
        .any(|span| span.span_context.trace_id().to_string() == trace_id && span.span_context.is_sampled());
    assert!(!kept, "a trace its caller did not sample was kept");
}

#[actix_web::test]
async fn readiness_names_what_is_missing_and_live_does_not_care() {
    let readiness = Readiness::new()
        .check("database", || async { Ok(()) })
        .check("exchange", || async { Err("the exchange does not answer".to_owned()) });
    let (server, _) = service(readiness);
    for path in ["/health/ready", "/health"] {
        let answer = call(&server, Method::GET, path, None).await;
        assert_eq!(answer.status, 503);
        let report = answer.json();
        assert_eq!(report["checks"][0]["status"], "ok");
        assert_eq!(report["checks"][1]["name"], "exchange");
        assert_eq!(report["checks"][1]["detail"], "the exchange does not answer");
        assert_eq!(call(&server, Method::HEAD, path, None).await.status, 503);
    }
    assert_eq!(call(&server, Method::HEAD, "/health/live", None).await.status, 200);
    assert_eq!(call(&server, Method::GET, "/health/live", None).await.status, 200);
    assert_eq!(call(&server, Method::GET, "/openapi.json", None).await.json()["openapi"], "3.1.0");
    server.stop().await;
}

#[actix_web::test]
async fn a_service_that_may_be_away_is_named_and_harms_nobody() {
    let nobody = web::UpstreamSettings::new("order-service", "http://127.0.0.1:1".parse().unwrap()).internal();
    let probe = web::Probe::new("order-probe", &web::Upstream::new(nobody));
    let (server, _) = service(Readiness::new().check("database", || async { Ok(()) }).noted("order-service", probe));
    let answer = call(&server, Method::GET, "/health/ready", None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let report = answer.json();
    assert_eq!((&report["status"], &report["checks"][0]["status"]), (&"ok".into(), &"ok".into()), "{report}");
    assert_eq!(
        (&report["checks"][1]["name"], &report["checks"][1]["status"]),
        (&"order-service".into(), &"away".into())
    );
    assert!(report["checks"][1]["detail"].as_str().unwrap().contains("127.0.0.1:1"), "{report}");
    server.stop().await;
}

#[actix_web::test]
async fn a_taken_port_is_a_sentence() {
    let (server, _) = service(Readiness::new());
    let settings = web::ServerSettings { port: Some(server.addr().port()), ..web::ServerSettings::ephemeral() };
    let openapi = utoipa::openapi::OpenApiBuilder::new().build();
    let second = web::Service { name: "second", default_port: 0, openapi, readiness: Readiness::new() };
    let error = web::start(&settings, second, web::Background::new(), |_| {}).err().unwrap().to_string();
    assert!(error.contains(&server.addr().to_string()) && error.contains("--port"), "{error}");
    server.stop().await;
}

#[actix_web::test]
async fn more_than_it_can_work_on_is_refused_at_once_and_probes_are_not() {
    telemetry::testing::init();
    let settings = web::ServerSettings { max_in_flight: 1, ..web::ServerSettings::ephemeral() };
    let openapi = utoipa::openapi::OpenApiBuilder::new().build();
    let service = web::Service { name: "busy", default_port: 0, openapi, readiness: Readiness::new() };
    let (entered, mut inside) = tokio::sync::mpsc::unbounded_channel::<()>();
    let release = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let gate = release.clone();
    let server = web::start(&settings, service, web::Background::new(), move |config| {
        let (entered, gate) = (entered.clone(), gate.clone());
        config.route(
            "/wait",
            actix_web::web::get().to(move || {
                let (entered, gate) = (entered.clone(), gate.clone());
                async move {
                    entered.send(()).unwrap();
                    gate.acquire().await.unwrap().forget();
                    "done"
                }
            }),
        );
    })
    .unwrap();
    let url = format!("http://{}/wait", server.addr());
    let first = actix_web::rt::spawn(async move { awc::Client::default().get(url).send().await.unwrap().status() });
    inside.recv().await.unwrap();
    let refused = call(&server, Method::GET, "/wait", None).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("overloaded")));
    assert_eq!(call(&server, Method::GET, "/health/ready", None).await.status, 200);
    release.add_permits(1);
    assert_eq!(first.await.unwrap(), 200);
    release.add_permits(1);
    assert_eq!(call(&server, Method::GET, "/wait", None).await.status, 200, "the place was given back");
    server.stop().await;
}

#[actix_web::test]
async fn a_token_in_a_path_reaches_no_span_no_event_and_no_answer() {
    let (server, _) = service(Readiness::new());
    for (method, path, status) in [
        (Method::GET, "/hook/s3cret-t0ken/run", 200),
        (Method::POST, "/hook/s3cret-t0ken/run", 405),
        (Method::PUT, "/hook/s3cret-t0ken/walk", 404),
        (Method::PUT, "/bots3cret-t0ken/getMe", 404),
    ] {
        let answer = call(&server, method, path, None).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.text.contains("s3cret-t0ken"), "{}", answer.text);
    }
    server.stop().await;
    let spans = finished_spans();
    for method in ["GET", "POST"] {
        let name = format!("{method} /hook/{{token}}/run");
        let span = spans.iter().find(|span| span.name == name).unwrap();
        assert_eq!(attribute(span, "url.path").as_deref(), Some("/hook/{token}/run"));
    }
    let unmatched = spans.iter().filter(|span| span.name == "PUT unmatched").collect::<Vec<_>>();
    assert!(
        unmatched.len() >= 2
            && unmatched.iter().all(|span| attribute(span, "url.path").as_deref() == Some("unmatched"))
    );
    // Attributes and events, which are the log's lines too.
    assert!(!format!("{spans:?}").contains("s3cret-t0ken"));
}

#[actix_web::test]
async fn a_body_that_comes_slowly_gives_its_place_back() {
    telemetry::testing::init();
    let settings = web::ServerSettings { max_in_flight: 1, body_timeout_ms: 200, ..web::ServerSettings::ephemeral() };
    let openapi = utoipa::openapi::OpenApiBuilder::new().build();
    let service = web::Service { name: "slow-body", default_port: 0, openapi, readiness: Readiness::new() };
    let server = web::start(&settings, service, web::Background::new(), |config| {
        let json = async |_: actix_web::web::Json<serde_json::Value>| "read";
        let bytes = async |_: actix_web::web::Bytes| "read";
        config.route("/json", actix_web::web::post().to(json)).route("/bytes", actix_web::web::post().to(bytes));
    })
    .unwrap();
    for path in ["/json", "/bytes"] {
        let mut socket = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        // It sends nothing more: without a limit of its own the body would wait for the request's 30 s.
        let mut answer = String::new();
        let read = tokio::time::timeout(std::time::Duration::from_secs(10), socket.read_to_string(&mut answer)).await;
        read.unwrap_or_else(|_| panic!("{path}: still open after {answer}")).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"code\":\"body_timeout\""), "{answer}");
        let next = call(&server, Method::POST, path, Some((JSON, b"{}".to_vec()))).await;
        assert_eq!((next.status, next.text.as_str()), (200, "read"), "the place was given back");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_body_is_a_json_object_and_what_is_wrong_is_said_in_plain_words() {
    let (server, _) = service(Readiness::new());
    let post = async |content_type: &str, encoding: &str, body: &str| {
        let body = Some((content_type, body.as_bytes().to_vec()));
        let headers: &[(&str, &str)] = if encoding.is_empty() { &[] } else { &[("content-encoding", encoding)] };
        call_with(&server, Method::POST, "/echo", body, headers).await
    };
    let good = r#"{"number": 1}"#;
    for (content_type, encoding) in
        [(JSON, ""), ("application/json; charset=utf-8", ""), ("Application/JSON", ""), (JSON, "identity")]
    {
        assert_eq!(post(content_type, encoding, good).await.status, 200, "{content_type} {encoding}");
    }
    for (content_type, encoding, body, status, code, says) in [
        ("application/vnd.api+json", "", good, 415, "unsupported_media_type", "application/json"),
        ("text/json", "", good, 415, "unsupported_media_type", "application/json"),
        (JSON, "gzip", good, 415, "unsupported_media_type", "Content-Encoding"),
        (JSON, "identity, gzip", good, 415, "unsupported_media_type", "Content-Encoding"),
        (JSON, "", "[1]", 400, "bad_body", "a JSON object"),
        (JSON, "", " \n[]", 400, "bad_body", "a JSON object"),
        (JSON, "", "1", 400, "bad_body", "a JSON object"),
        (JSON, "", "null", 400, "bad_body", "a JSON object"),
        (JSON, "", "{}", 400, "bad_body", "number is missing"),
        (JSON, "", r#"{"number": "x"}"#, 400, "bad_body", "number is a whole number"),
        (JSON, "", r#"{"number": -1}"#, 400, "bad_body", "number is a whole number"),
        (JSON, "", r#"{"number": 5000000000}"#, 400, "bad_body", "number is a whole number"),
        (JSON, "", r#"{"number": [{"a": "b"}]}"#, 400, "bad_body", "number is a whole number"),
        (JSON, "", r#"{"number": null}"#, 400, "bad_body", "number is a whole number"),
        (JSON, "", r#"{"number": 1, "number": 2}"#, 400, "bad_body", "number is given twice"),
        (JSON, "", "nonsense", 400, "bad_json", "line 1"),
        (JSON, "", "", 400, "bad_json", "empty"),
        (JSON, "", r#"{"number": 1} x"#, 400, "bad_json", "line 1"),
    ] {
        let answer = post(content_type, encoding, body).await;
        let problem = answer.json();
        let case = format!("{content_type} {encoding} {body}: {}", answer.text);
        assert_eq!((answer.status, problem["code"].as_str()), (status, Some(code)), "{case}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{case}");
        for internal in ["u32", "struct", "invalid type", "sequence", "Deserialize", "Echo", "`"] {
            assert!(!detail.contains(internal), "{internal}: {case}");
        }
    }
    for path in
        ["/number/x", "/number/-1", "/number/99999999999", "/listed?limit=x", "/listed?limit=1&limit=2", "/listed?x=1"]
    {
        let answer = call(&server, Method::GET, path, None).await;
        assert_eq!(answer.status, 400, "{path}");
        for internal in ["u32", "u16", "digit", "struct", "eserialize", "parse", "`"] {
            assert!(!answer.text.contains(internal), "{internal}: {}", answer.text);
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn head_is_get_without_the_body() {
    let (server, _) = service(Readiness::new());
    for (path, status) in [
        ("/openapi.json", 200),
        ("/number/5", 200),
        ("/headers", 200),
        ("/metrics", 200),
        ("/health/live", 200),
        ("/own-error", 400),
        ("/nowhere", 404),
        ("/echo", 405),
    ] {
        let mut socket = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert_eq!(body, "", "{path}");
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
        assert!(length.unwrap() > 0, "the length that a GET would have: {head}");
    }
    // An answer without an end is not waited for.
    let mut socket = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
    socket.write_all(b"HEAD /endless HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    server.stop().await;
    let labels = [("method", "HEAD"), ("route", "/number/{number}"), ("status_code", "200")];
    assert_eq!(metric_values("http_server_request_duration_seconds_count", &labels), [1.0]);
}
