//! The sender's promises: order, pace, patience, and giving up with a reason. The clock is tokio's paused one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telegram::api::methods::SendMessageParams;
use telegram::api::types::ChatId;
use telegram::{Deliver, Enqueued, Error, Sender, SenderSettings};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Milliseconds since the start, chat, text, and whether it was taken.
type Attempt = (u128, ChatId, String, bool);

/// Takes messages as scripted, and writes down when each attempt was made.
#[derive(Clone)]
struct Script {
    start: Instant,
    failures: Arc<Mutex<VecDeque<Error>>>,
    log: Arc<Mutex<Vec<Attempt>>>,
}

impl Script {
    fn new(failures: impl IntoIterator<Item = Error>) -> Self {
        Self {
            start: Instant::now(),
            failures: Arc::new(Mutex::new(failures.into_iter().collect())),
            log: Arc::default(),
        }
    }

    fn taken(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().filter(|(.., ok)| *ok).map(|(_, _, text, _)| text.clone()).collect()
    }

    fn times_ms(&self) -> Vec<u128> {
        self.log.lock().unwrap().iter().filter(|(.., ok)| *ok).map(|(at, ..)| *at).collect()
    }

    fn attempts(&self) -> usize {
        self.log.lock().unwrap().len()
    }
}

impl Deliver for Script {
    async fn deliver(&self, message: &SendMessageParams) -> Result<(), Error> {
        let failure = self.failures.lock().unwrap().pop_front();
        let at = self.start.elapsed().as_millis();
        self.log.lock().unwrap().push((at, message.chat_id.clone(), message.text.clone(), failure.is_none()));
        failure.map_or(Ok(()), Err)
    }
}

struct Running {
    sender: Sender,
    stop: oneshot::Sender<()>,
    worker: JoinHandle<()>,
}

fn run(script: &Script, settings: SenderSettings) -> Running {
    let (sender, worker) = Sender::new(script.clone(), settings);
    let (stop, stopped) = oneshot::channel();
    let worker = tokio::spawn(worker.run(async { drop(stopped.await) }));
    Running { sender, stop, worker }
}

impl Running {
    fn put(&self, chat: i64, text: &str) -> Enqueued {
        self.sender.enqueue(SendMessageParams::builder().chat_id(chat).text(text).build()).unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.worker.await.unwrap();
    }
}

async fn all(queued: Vec<Enqueued>) -> Vec<Option<Result<(), Error>>> {
    let mut outcomes = Vec::new();
    for one in queued {
        outcomes.push(one.outcome().await);
    }
    outcomes
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_out_and_every_message_arrives_once_in_order() {
    let script = Script::new([
        Error::TooManyRequests { retry_after: Duration::from_secs(7) },
        Error::Server { status: 502 },
        Error::Network { detail: "reset".to_owned() },
    ]);
    let running = run(&script, SenderSettings::default());
    let texts: Vec<String> = (0..8).map(|number| format!("message {number}")).collect();
    let outcomes = all(texts.iter().map(|text| running.put(1, text)).collect()).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Some(Ok(()))));
    assert_eq!(script.taken(), texts);
    assert_eq!(script.attempts(), 8 + 3);
    assert!(script.times_ms()[0] >= 7_000, "retry_after was not waited out: {:?}", script.times_ms());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_chat_gets_a_message_a_second_after_a_burst() {
    let script = Script::new([]);
    let running = run(&script, SenderSettings::default());
    all((0..6).map(|n| running.put(1, &n.to_string())).collect()).await;
    let seconds: Vec<u128> = script.times_ms().iter().map(|ms| ms / 1000).collect();
    assert_eq!(seconds, [0, 0, 0, 1, 2, 3]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn all_chats_together_get_thirty_a_second() {
    let script = Script::new([]);
    let running = run(&script, SenderSettings::default());
    all((1..=90).map(|chat| running.put(chat, "hello")).collect()).await;
    let times = script.times_ms();
    for window_start in times.iter().skip(30) {
        let in_window = times.iter().filter(|at| (*window_start..*window_start + 1000).contains(*at)).count();
        assert!(in_window <= 31, "{in_window} messages within a second from {window_start} ms");
    }
    // 30 at once, then 60 more at 30 a second.
    assert_eq!(times.last().map(|ms| ms / 1000), Some(2));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_chat_does_not_hold_up_another() {
    let script = Script::new([Error::TooManyRequests { retry_after: Duration::from_secs(60) }]);
    let running = run(&script, SenderSettings::default());
    let slow = running.put(1, "slow");
    // The first attempt takes the scripted failure before the second message is there.
    while script.attempts() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(running.put(2, "quick").outcome().await, Some(Ok(())));
    assert_eq!(script.taken(), ["quick"]);
    assert_eq!(slow.outcome().await, Some(Ok(())));
    assert_eq!(script.taken(), ["quick", "slow"]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_sent_is_dropped_and_the_next_one_goes() {
    let blocked = Error::Forbidden { description: "Forbidden: bot was blocked by the user".to_owned() };
    let script = Script::new([blocked.clone()]);
    let running = run(&script, SenderSettings::default());
    let outcomes = all(vec![running.put(1, "first"), running.put(1, "second")]).await;
    assert_eq!(outcomes, [Some(Err(blocked)), Some(Ok(()))]);
    assert_eq!(script.taken(), ["second"]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_follows_a_group_to_its_new_id() {
    let moved = Error::BadRequest { description: "upgraded".to_owned(), migrate_to_chat_id: Some(-1001) };
    let script = Script::new([moved]);
    let running = run(&script, SenderSettings::default());
    assert_eq!(running.put(-5, "hello").outcome().await, Some(Ok(())));
    assert_eq!(script.log.lock().unwrap().last().map(|(_, chat, ..)| chat.clone()), Some(ChatId::Integer(-1001)));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_old_is_given_up() {
    let script = Script::new((0..10_000).map(|_| Error::Server { status: 500 }));
    let settings = SenderSettings { give_up_after: Duration::from_secs(60), ..SenderSettings::default() };
    let running = run(&script, settings);
    assert_eq!(running.put(1, "old").outcome().await, Some(Err(Error::Server { status: 500 })));
    let age = script.start.elapsed();
    assert!(age >= Duration::from_secs(60) && age < Duration::from_secs(120), "{age:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded() {
    let script = Script::new((0..10_000).map(|_| Error::Server { status: 500 }));
    let running = run(&script, SenderSettings { capacity: 3, ..SenderSettings::default() });
    let kept: Vec<Enqueued> = (0..3).map(|n| running.put(1, &n.to_string())).collect();
    let params = SendMessageParams::builder().chat_id(1).text("too much").build();
    assert!(running.sender.enqueue(params).is_err());
    assert_eq!(running.sender.depth(), 3);
    drop(kept);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_sends_what_is_queued_and_ends_in_bounded_time() {
    let script = Script::new([]);
    let running = run(&script, SenderSettings::default());
    let queued: Vec<Enqueued> = (0..4).map(|n| running.put(1, &n.to_string())).collect();
    running.stop().await;
    assert!(all(queued).await.iter().all(|outcome| *outcome == Some(Ok(()))));

    let script = Script::new((0..10_000).map(|_| Error::Server { status: 500 }));
    let running = run(&script, SenderSettings::default());
    let queued = running.put(1, "never");
    let before = Instant::now();
    running.stop().await;
    assert!(before.elapsed() <= Duration::from_secs(4));
    assert_eq!(queued.outcome().await, None);
}
