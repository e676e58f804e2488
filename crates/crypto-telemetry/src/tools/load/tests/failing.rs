//! What fails is told apart.

use std::io::Read as _;
use std::net::TcpListener;

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{get, post};

use super::super::report::Report;
use super::{ANSWER, Count, Fake, plan, run};

fn failures(report: &Report) -> Vec<(&str, u64)> {
    report.tally.all.failures.iter().map(|(label, count)| (label.as_str(), *count)).collect()
}

#[actix_web::test]
async fn answers_are_judged_by_status_code_and_body() {
    let (arrived, led_astray) = (Count::default(), Count::default());
    let server = Fake::start({
        let led_astray = led_astray.clone();
        move |config| {
            let (arrived, led_astray) = (arrived.clone(), led_astray.clone());
            let answer = move || {
                let number = arrived.up();
                async move {
                    match number % 6 {
                        0 => HttpResponse::Ok().body(ANSWER),
                        1 => HttpResponse::GatewayTimeout()
                            .body(r#"{"code":"upstream_timeout","upstream":"binance","status":504}"#),
                        2 => HttpResponse::TooManyRequests().body(r#"{"code":"rate_limited"}"#),
                        3 => HttpResponse::Ok().body("<html>fine</html>"),
                        4 => HttpResponse::BadGateway().body("<html>bad gateway</html>"),
                        _ => HttpResponse::Found().insert_header((LOCATION, "/elsewhere")).finish(),
                    }
                }
            };
            let stray = move || {
                led_astray.up();
                async { HttpResponse::Ok().body(ANSWER) }
            };
            config.route("/v1/ask", post().to(answer)).route("/elsewhere", get().to(stray));
        }
    });
    let report = run(&plan(&["--url", &server.url, "--rate", "200", "--for", "300ms"])).await;
    let all = &report.tally.all;
    assert_eq!((all.sent, all.answered(), all.rate_limited, all.failed()), (60, 10, 10, 40));
    assert_eq!(
        failures(&report),
        [("302", 10), ("502", 10), ("504 upstream_timeout (binance)", 10), ("malformed_answer", 10)]
    );
    assert_eq!(led_astray.get(), 0, "a redirect is not followed");
    assert!(!report.is_clean());
    let walks = &report.tally.walks[0];
    assert_eq!((walks.begun, walks.latencies.count(), walks.failed), (60, 10, 50));
}

#[actix_web::test]
async fn nobody_there_is_told_from_somebody_who_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let plan = plan(&["--url", &url, "--rate", "100", "--for", "50ms"]);
    let hangs_up = std::thread::spawn(move || {
        for _ in 0..5 {
            let (mut stream, _) = listener.accept().unwrap();
            // Read first: a connection closed with unread data is reset, which is another error.
            assert!(stream.read(&mut [0; 4_096]).unwrap() > 0);
        }
    });
    let report = run(&plan).await;
    hangs_up.join().unwrap();
    assert_eq!(failures(&report), [("disconnected", 5)]);
    // The listener went with its thread.
    assert_eq!(failures(&run(&plan).await), [("refused", 5)]);
}
