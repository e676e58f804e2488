//! The pace of a bot with many chats. The clock is tokio's paused one.

use std::time::Duration;

use telegram::{PaceSettings, Pacer};
use tokio::time::Instant;

/// When each of `count` messages to a chat goes, in milliseconds after the first, when all of them wait.
fn times_ms(pacer: &mut Pacer, chat_id: i64, count: usize) -> Vec<u128> {
    let start = Instant::now();
    let mut now = start;
    (0..count)
        .map(|_| {
            now = pacer.due(chat_id, now);
            pacer.spend(chat_id, now);
            (now - start).as_millis()
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_person_gets_a_burst_and_then_one_a_second() {
    let mut pacer = Pacer::new(PaceSettings::default());
    assert_eq!(times_ms(&mut pacer, 5, 6), [0, 0, 0, 1_000, 2_000, 3_000]);
}

#[tokio::test(start_paused = true)]
async fn a_group_never_gets_more_than_twenty_in_a_minute() {
    let mut pacer = Pacer::new(PaceSettings::default());
    let times = times_ms(&mut pacer, -5, 100);
    let most = times.iter().map(|from| times.iter().filter(|at| (*from..from + 60_000).contains(*at)).count()).max();
    assert_eq!(most, Some(20));
}

#[tokio::test(start_paused = true)]
async fn many_chats_share_thirty_a_second() {
    let mut pacer = Pacer::new(PaceSettings::default());
    let start = Instant::now();
    let mut now = start;
    for chat_id in 1..=90 {
        now = pacer.due(chat_id, now);
        pacer.spend(chat_id, now);
    }
    let took = (now - start).as_millis();
    assert!((1_999..=2_000).contains(&took), "thirty at once, then one every thirtieth of a second: {took} ms");
    // A chat that got nothing yet waits for the others' sake only.
    assert!(pacer.due(1_000, now) - now <= Duration::from_millis(34));
}
