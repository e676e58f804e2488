//! How runs and searches end.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::post;

use super::super::arrivals::{self, Stop};
use super::super::find_highest;
use super::super::progress::Progress;
use super::{ANSWER, Count, Fake, plan};

/// Answers so many asks, by how they are counted, and fails all others.
fn answering(arrived: &Count, at_most: u64) -> Fake {
    let arrived = arrived.clone();
    Fake::start(move |config| {
        let arrived = arrived.clone();
        let answer = move || {
            let good = arrived.up() <= at_most;
            async move { if good { HttpResponse::Ok().body(ANSWER) } else { HttpResponse::ServiceUnavailable().finish() } }
        };
        config.route("/v1/ask", post().to(answer));
    })
}

#[actix_web::test]
async fn the_highest_rate_that_is_held_is_found() {
    // 10 requests of 50 a second, 20 of 100, and no more: the next attempt, of 200 a second, fails.
    let arrived = Count::default();
    let server = answering(&arrived, 30);
    let plan = plan(&["--url", &server.url, "--rate", "50", "--for", "200ms"]);
    // The latency is not what this server has too much of.
    let limit = Duration::from_secs(60);
    let stop = Stop::default();
    let report = find_highest(&plan, limit, true, &stop, Progress::Off, Duration::ZERO).await.unwrap();
    assert_eq!((report.rate_per_second, report.tally.all.answered(), report.is_clean()), (100, 20, true));
    // 10 + 20, 40 at 200, then half the gap each time until it is within five: 150, 125, 112, 106, 103.
    assert_eq!(arrived.get(), 10 + 20 + 40 + 30 + 25 + 22 + 21 + 20);

    let error = find_highest(&plan, limit, true, &stop, Progress::Off, Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().ends_with("10 failed (10 × 503)"), "{error}");
}

#[actix_web::test]
async fn a_run_that_is_stopped_tells_what_was_done() {
    let arrived = Count::default();
    let server = answering(&arrived, u64::MAX);
    let plan = plan(&["--url", &server.url, "--rate", "500", "--for", "10m"]);
    let stop = Stop::default();
    let interrupt = async {
        arrived.reaches(50).await;
        stop.gently.cancel();
    };
    let (report, ()) = tokio::join!(arrivals::run(&plan, &stop, Progress::Off), interrupt);
    let report = report.unwrap();
    let all = &report.tally.all;
    assert!(report.interrupted && all.sent >= 50 && all.sent < report.planned);
    assert_eq!((all.answered(), all.failed(), all.open()), (all.sent, 0, 0));
    assert_eq!(arrived.get(), all.sent, "nothing was sent that is not counted");

    // A search tells what it held until then.
    let stopped = Stop::default();
    stopped.gently.cancel();
    let search = find_highest(&plan, Duration::from_secs(60), true, &stopped, Progress::Off, Duration::ZERO);
    assert!(search.await.unwrap().interrupted);
}

#[actix_web::test]
async fn a_second_stop_waits_for_no_answer() {
    let arrived = Count::default();
    let server = Fake::start({
        let arrived = arrived.clone();
        move |config| {
            let arrived = arrived.clone();
            let silent = move || {
                arrived.up();
                std::future::pending::<HttpResponse>()
            };
            config.route("/v1/ask", post().to(silent));
        }
    });
    let plan = plan(&["--url", &server.url, "--rate", "100", "--for", "10m"]);
    let stop = Stop::default();
    let interrupt = async {
        arrived.reaches(5).await;
        stop.gently.cancel();
        stop.now.cancel();
    };
    let (report, ()) = tokio::join!(arrivals::run(&plan, &stop, Progress::Off), interrupt);
    let report = report.unwrap();
    let all = &report.tally.all;
    assert!(report.interrupted && all.sent >= 5);
    assert_eq!((all.answered(), all.failed(), all.open()), (0, 0, all.sent), "given up, and no failure of the server");
}
