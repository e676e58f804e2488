//! A stall shows in the percentiles as its users feel it, whoever stalls. What is counted follows from the schedule: every
//! bound is one that holds however slow the machine is.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{ServiceConfig, post};
use web::CancellationToken;

use super::{ANSWER, Count, Fake, plan, run};

const LONG: Duration = Duration::from_millis(250);

fn answering(handler: impl AsyncFn() + Clone + 'static) -> impl Fn(&mut ServiceConfig) + Clone {
    move |config| {
        let handler = handler.clone();
        let answer = move || {
            let handler = handler.clone();
            async move {
                handler().await;
                HttpResponse::Ok().content_type("application/json").body(ANSWER)
            }
        };
        config.route("/v1/ask", post().to(answer));
    }
}

#[actix_web::test]
async fn users_go_on_arriving_while_the_server_stalls() {
    let (arrived, over) = (Count::default(), CancellationToken::new());
    let server = Fake::start({
        let arrived = arrived.clone();
        answering(async move || match arrived.up() {
            // Whoever comes from the hundredth on gets no answer until the two hundredth has come. A generator that
            // waited for answers would never send that one.
            100..200 => over.cancelled().await,
            200 => over.cancel(),
            _ => {}
        })
    });
    let report = run(&plan(&["--url", &server.url, "--rate", "200", "--for", "2s"])).await;
    let all = &report.tally.all;
    assert_eq!((all.sent, all.answered(), all.failed(), arrived.get()), (400, 400, 0, 400));
    // The two hundredth is due 250 ms after the hundred and fiftieth, and 99 at most were answered before.
    let slow = all.latencies.at_least(LONG);
    assert!(slow >= 51, "{slow} felt a stall that 51 felt at least");
    assert!(all.latencies.quantile(0.9) >= LONG, "51 of 400 are more than a tenth");
    assert!(report.tally.walks[0].latencies.at_least(LONG) >= 51);
}

#[actix_web::test]
async fn those_who_are_held_back_count_from_when_they_were_due() {
    let (arrived, slow_answers) = (Count::default(), Count::default());
    let server = Fake::start({
        let (arrived, slow_answers) = (arrived.clone(), slow_answers.clone());
        answering(async move || {
            if arrived.up() == 20 {
                slow_answers.up();
                tokio::time::sleep(2 * LONG).await;
            }
        })
    });
    let one = ["--max-in-flight", "1"];
    let report = run(&plan(&[&["--url", &server.url, "--rate", "200", "--for", "1s"][..], &one].concat())).await;
    let all = &report.tally.all;
    assert_eq!((all.answered(), all.failed(), slow_answers.get()), (200, 0, 1));
    // One answer was slow; fifty more users were due in the first half of it and waited for the second half at least.
    // Latencies that counted from sending would show the one.
    let slow = all.latencies.at_least(LONG);
    assert!(slow >= 51, "{slow} felt a stall that 51 felt at least");
    assert!(report.tally.held_back >= 50, "{}", report.tally.held_back);
    assert!(report.tally.send_lateness.at_least(LONG) >= 50);
}

#[actix_web::test]
async fn a_generator_that_falls_behind_blames_itself() {
    let arrived = Count::default();
    let server = Fake::start({
        let arrived = arrived.clone();
        answering(async move || {
            arrived.up();
        })
    });
    let plan = plan(&["--url", &server.url, "--rate", "200", "--for", "2s"]);
    let blocked = async {
        arrived.reaches(20).await;
        // The generator's own thread: nothing is sent and no answer is read meanwhile.
        std::thread::sleep(2 * LONG);
    };
    let (report, ()) = tokio::join!(run(&plan), blocked);
    let all = &report.tally.all;
    assert_eq!((all.answered(), all.failed(), arrived.get()), (400, 0, 400));
    // Due in the first 250 of these 500 ms are 49 at least, each 5 ms after the one before.
    let slow = all.latencies.at_least(LONG);
    assert!(slow >= 49, "{slow} were late, of 49 at least");
    assert!(report.tally.send_lateness.at_least(LONG) >= 49);
    // The first who was due in that time was due within 5 ms of its beginning; three digits are kept.
    assert!(report.tally.send_lateness.max() >= Duration::from_millis(494), "{:?}", report.tally.send_lateness.max());
}
