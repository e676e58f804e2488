//! What is said arrives once, in order, whatever happens; and an order's life is one message.

use std::time::Duration;

use chrono::Utc;
use notifier::outbox::{Content, Draft, Memory, Said, SenderSettings, Subject};
use serde_json::json;
use storage::testing::TestDatabase;
use storage::{Database, QueryType, Statement};
use telegram::Error;
use telemetry::testing::{attribute, finished_spans};
use tracing::Instrument as _;
use web::CancellationToken;

use crate::postman::{Act, Postman, Process, impatient};
use crate::world::eventually;

fn draft(chat_id: i64, text: &str) -> Draft {
    Draft::new(chat_id, None, Content::text(text))
}

/// Words about a subject.
fn about(chat_id: i64, subject: &str, rank: i64, text: &str) -> Draft {
    let subject = Subject { name: subject.to_owned(), rank, message_id: None };
    Draft { subject: Some(subject), ..draft(chat_id, text) }
}

async fn say(process: &Process, key: &str, drafts: &[Draft]) {
    assert_eq!(process.outbox.say(key, drafts).await, Ok(Said::Now), "{key}");
}

async fn until(postman: &Postman, chat_id: i64, texts: &[&str]) {
    eventually(&format!("{texts:?} in {chat_id}"), || async { (postman.texts(chat_id) == texts).then_some(()) }).await;
}

pub(crate) async fn through_an_outage_each_message_arrives_once_and_in_order(database: TestDatabase) {
    let outage = (0..60).map(|n| {
        Act::Refuse(match n % 3 {
            0 => Error::Network { detail: "connection refused".to_owned() },
            1 => Error::Server { status: 502 },
            _ => Error::Unauthorized,
        })
    });
    // A token that is not known is waited for, too: what was to be said is not lost by a mistake in a setting.
    let acts: Vec<Act> = outage.filter(|act| !matches!(act, Act::Refuse(Error::Unauthorized))).collect();
    let postman = Postman::acting(acts);
    let process = Process::start(&database, &postman, impatient()).await;
    let texts: Vec<String> = (0..15).map(|n| format!("message {n}")).collect();
    for (n, text) in texts.iter().enumerate() {
        for chat_id in [1, 2, -3, 4] {
            say(&process, &format!("{chat_id}:{n}"), &[draft(chat_id, text)]).await;
        }
    }
    let wanted: Vec<&str> = texts.iter().map(String::as_str).collect();
    for chat_id in [1, 2, -3, 4] {
        until(&postman, chat_id, &wanted).await;
    }
    assert!(postman.attempts.lock().unwrap().len() >= 60 + 40, "the outage was met");
    process.stop().await;
}

/// Words that nobody waits for.
fn told(chat_id: i64, text: &str) -> Draft {
    draft(chat_id, text).as_notice()
}

pub(crate) async fn what_somebody_waits_for_goes_first_and_each_kind_in_its_order(database: TestDatabase) {
    let mut process = Process::silent(&database).await;
    let postman = Postman::default();
    let notices: Vec<String> = (0..30).map(|n| format!("notice {n}")).collect();
    for text in &notices {
        say(&process, text, &[told(1, text), told(2, text)]).await;
    }
    // An order that is told, and is to be confirmed a moment later: its newest words are awaited.
    say(&process, "new", &[about(1, "order:1", 2, "new").as_notice()]).await;
    for text in ["reply 1", "reply 2"] {
        say(&process, text, &[draft(1, text)]).await;
    }
    say(&process, "confirm", &[about(1, "order:2", 2, "to be confirmed")]).await;
    say(&process, "confirm 1", &[about(1, "order:1", 4, "to be confirmed, too")]).await;
    // Whoever waits for older words waits for these.
    say(&process, "later", &[about(1, "order:2", 6, "expired").as_notice()]).await;
    process.send(&postman, impatient());
    let notices: Vec<&str> = notices.iter().map(String::as_str).collect();
    until(&postman, 1, &[&["to be confirmed, too", "reply 1", "reply 2", "expired"], &notices[..]].concat()).await;
    until(&postman, 2, &notices).await;
    assert!(postman.came().iter().all(|came| came.edited.is_none()), "none was edited before it was there");
    process.stop().await;
}

pub(crate) async fn what_is_urgent_waits_for_telegram_and_for_what_is_on_its_way(database: TestDatabase) {
    let wait = Duration::from_millis(700);
    let postman = Postman::acting([Act::Refuse(Error::TooManyRequests { retry_after: wait }), Act::TakeWhenLet]);
    let process = Process::start(&database, &postman, impatient()).await;
    say(&process, "a", &[about(1, "order:1", 2, "new").as_notice()]).await;
    eventually("the refusal", || async { (postman.attempts.lock().unwrap().len() == 1).then_some(()) }).await;
    say(&process, "b", &[told(1, "notice"), draft(1, "reply")]).await;
    // The reply goes first once the chat may be written to, and what comes then waits until it is there.
    postman.hanging.notified().await;
    let attempts: Vec<_> = postman.attempts.lock().unwrap().iter().map(|(_, at)| *at).collect();
    assert_eq!(attempts.len(), 2);
    assert!(attempts[1] - attempts[0] >= wait, "{:?}", attempts[1] - attempts[0]);
    say(&process, "c", &[about(1, "order:1", 4, "to be confirmed")]).await;
    say(&process, "d", &[draft(1, "another reply")]).await;
    postman.let_go.notify_one();
    until(&postman, 1, &["reply", "to be confirmed", "another reply", "notice"]).await;
    process.stop().await;
}

pub(crate) async fn an_orders_urgent_words_come_after_its_first_ones(database: TestDatabase) {
    let postman = Postman::acting([Act::TakeWhenLet]);
    let process = Process::start(&database, &postman, impatient()).await;
    say(&process, "a", &[about(1, "order:1", 2, "new").as_notice()]).await;
    postman.hanging.notified().await;
    say(&process, "b", &[told(1, "notice")]).await;
    say(&process, "c", &[about(1, "order:1", 4, "to be confirmed")]).await;
    postman.let_go.notify_one();
    until(&postman, 1, &["new", "to be confirmed", "notice"]).await;
    let edited: Vec<Option<i32>> = postman.came().iter().map(|came| came.edited).collect();
    assert_eq!(edited, [None, Some(1), None]);
    process.stop().await;
}

pub(crate) async fn what_was_urgent_survives_a_kill_and_is_first_again(database: TestDatabase) {
    let first = Process::silent(&database).await;
    say(&first, "a", &[told(1, "notice 1"), told(1, "notice 2")]).await;
    say(&first, "b", &[draft(1, "reply")]).await;
    first.kill();
    // On its way when the next process dies: it comes twice, and nothing goes out beside it.
    let postman = Postman::acting([Act::TakeAndHang]);
    let second = Process::start(&database, &postman, impatient()).await;
    postman.hanging.notified().await;
    second.kill();
    let third = Process::start(&database, &postman, impatient()).await;
    say(&third, "c", &[draft(1, "another reply")]).await;
    until(&postman, 1, &["reply", "reply", "another reply", "notice 1", "notice 2"]).await;
    third.stop().await;
}

/// A finished order as a notice.
fn finished(number: usize) -> Draft {
    let (subject, text) = (format!("order:{number}"), format!("message of {number}"));
    let memories = vec![remembered(&subject, "cancelled")];
    Draft { digest: Some(format!("line of {number}")), memories, ..about(1, &subject, 6, &text).as_notice() }
}

/// An order, as it is remembered.
fn remembered(subject: &str, status: &str) -> Memory {
    Memory { subject: subject.to_owned(), detail: json!({"status": status}), trace_id: None }
}

async fn opened(process: &Process, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let draft = about(1, &format!("order:{number}"), 2, &format!("open {number}")).as_notice();
        say(process, &format!("open {number}"), &[draft]).await;
    }
}

pub(crate) async fn orders_that_finish_while_many_wait_are_lines_of_one_message(database: TestDatabase) {
    let mut process = Process::silent(&database).await;
    let postman = Postman::default();
    // One that stays open, one that finishes later, and as many as have a message each.
    opened(&process, 100..102).await;
    let mut wanted = vec!["open 100".to_owned()];
    for number in 0..19 {
        say(&process, &format!("o{number}"), &[finished(number)]).await;
        wanted.push(format!("message of {number}"));
    }
    // Of these each is told in a line; what waits of an earlier state of one of them is told no more.
    let mut lines = Vec::new();
    for number in (30..60).chain([101]) {
        say(&process, &format!("o{number}"), &[finished(number)]).await;
        assert_eq!(process.outbox.say(&format!("o{number}"), &[finished(number)]).await, Ok(Said::Before));
        lines.push(format!("line of {number}"));
    }
    say(&process, "older", &[about(1, "order:30", 5, "older").as_notice()]).await;
    say(&process, "other", &[Draft { chat_id: 2, ..finished(30) }]).await;
    process.send(&postman, impatient());
    eventually("all", || async { (postman.texts(1).len() == wanted.len() + 1).then_some(()) }).await;
    let texts = postman.texts(1);
    assert_eq!(texts[..wanted.len()], wanted);
    let digest = texts.last().unwrap();
    assert!(digest.starts_with("📋 <b>Orders that finished</b> since ") && digest.contains(" UTC: 31\n"), "{digest}");
    assert_eq!(digest.lines().skip(1).collect::<Vec<_>>(), lines, "each once, in order");
    until(&postman, 2, &["message of 30"]).await;
    // The chat has caught up: whatever comes has its message again, and so has another status of one that was a line. A
    // fee of such a one has been told of already, as far as anybody wants to know.
    let news = |number: usize, rank: i64, status: &str, text: &str| {
        let subject = format!("order:{number}");
        let memories = vec![remembered(&subject, status)];
        Draft { digest: Some("line".to_owned()), memories, ..about(1, &subject, rank, text).as_notice() }
    };
    say(&process, "fee", &[news(30, 8, "cancelled", "a fee of 30")]).await;
    say(&process, "next", &[finished(70)]).await;
    say(&process, "status", &[news(31, 8, "filled", "31 is filled")]).await;
    say(&process, "fee again", &[news(30, 9, "cancelled", "another fee of 30")]).await;
    say(&process, "last", &[told(1, "the end")]).await;
    eventually("the end", || async { (postman.texts(1).last()? == "the end").then_some(()) }).await;
    assert_eq!(postman.texts(1)[wanted.len() + 1..], ["message of 70", "31 is filled", "the end"]);
    assert!(postman.came().iter().all(|came| came.edited.is_none()), "no message became another's");
    process.stop().await;
}

pub(crate) async fn lines_that_are_too_many_for_a_message_begin_another(database: TestDatabase) {
    let mut process = Process::silent(&database).await;
    opened(&process, 0..21).await;
    let lines: Vec<String> = (100..130).map(|number| format!("{number} {}", "ü".repeat(290))).collect();
    for (number, line) in (100..).zip(&lines) {
        say(&process, line, &[Draft { digest: Some(line.clone()), ..finished(number) }]).await;
    }
    let postman = Postman::default();
    process.send(&postman, impatient());
    eventually("three lists", || async { (postman.texts(1).len() == 21 + 3).then_some(()) }).await;
    let lists = postman.texts(1)[21..].to_vec();
    assert!(lists.iter().all(|text| text.chars().count() < 4_096));
    let told: Vec<&str> = lists.iter().flat_map(|text| text.lines().skip(1)).collect();
    assert_eq!(told, lines, "each once, in order");
    process.stop().await;
}

pub(crate) async fn lines_are_added_by_edits_and_an_order_on_its_way_keeps_its_message(database: TestDatabase) {
    let postman = Postman::acting([Act::TakeWhenLet]);
    let mut process = Process::silent(&database).await;
    opened(&process, 0..25).await;
    process.send(&postman, impatient());
    postman.hanging.notified().await;
    // The first is on its way: it finishes as an edit of its own message. The others have none yet.
    for number in 0..3 {
        say(&process, &format!("f{number}"), &[finished(number)]).await;
    }
    postman.let_go.notify_one();
    let mut wanted = vec!["open 0".to_owned(), "message of 0".to_owned()];
    wanted.extend((3..25).map(|number| format!("open {number}")));
    eventually("the lines", || async { (postman.texts(1).len() == wanted.len() + 1).then_some(()) }).await;
    assert_eq!(postman.texts(1)[..wanted.len()], wanted);
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let place = wanted.len() + 1;
    assert_eq!(lines(&postman.texts(1)[place - 1]), ["line of 1", "line of 2"]);

    // Many wait again, soon after: one line more in the same message; an order that has a message has it edited.
    postman.acts.lock().unwrap().push_back(Act::TakeWhenLet);
    opened(&process, 300..301).await;
    postman.hanging.notified().await;
    opened(&process, 301..325).await;
    for number in [400, 3] {
        say(&process, &format!("g{number}"), &[finished(number)]).await;
    }
    postman.let_go.notify_one();
    eventually("the rest", || async { (postman.texts(1).len() == place + 27).then_some(()) }).await;
    let rest = &postman.came()[place + 25..];
    assert_eq!(lines(&rest[0].text), ["line of 1", "line of 2", "line of 400"]);
    assert_eq!(rest[0].edited, Some(i32::try_from(place).unwrap()));
    assert_eq!((rest[1].text.as_str(), rest[1].edited), ("message of 3", Some(3)));
    process.stop().await;
}

pub(crate) async fn what_waited_before_an_upgrade_is_said_after_it(database: TestDatabase) {
    let stop = CancellationToken::new();
    let mut migrations = notifier::outbox::migrations();
    migrations.truncate(1);
    let before = Database::open(notifier::NAME, &database.settings(), migrations).unwrap();
    let kept_up = actix_web::rt::spawn(before.clone().keep_up(stop.clone()));
    eventually("the database", || async { before.ready().await.ok() }).await;
    for text in ["one", "two"] {
        let statement = Statement::new(
            QueryType::Insert,
            "telegram_outbox",
            "INSERT INTO telegram_outbox (chat_id, subject, rank, payload, context, created_at, not_before, attempts) \
             VALUES (1, $1, 1, $2, '{}', $3, $3, 0)",
        );
        let statement = statement.bind(format!("order:{text}")).bind(json!({"text": text}).to_string());
        assert_eq!(before.execute(statement.bind(Utc::now())).await, Ok(1));
    }
    stop.cancel();
    kept_up.await.unwrap();
    drop(before);
    let mut process = Process::silent(&database).await;
    say(&process, "a", &[told(1, "three"), draft(1, "reply")]).await;
    let postman = Postman::default();
    process.send(&postman, impatient());
    until(&postman, 1, &["reply", "one", "two", "three"]).await;
    process.stop().await;
}

pub(crate) async fn telegram_says_how_long_to_wait_and_only_that_chat_waits(database: TestDatabase) {
    let wait = Duration::from_millis(700);
    let postman = Postman::acting([Act::Refuse(Error::TooManyRequests { retry_after: wait })]);
    let process = Process::start(&database, &postman, impatient()).await;
    say(&process, "a", &[draft(1, "first")]).await;
    eventually("the refusal", || async { (postman.attempts.lock().unwrap().len() == 1).then_some(()) }).await;
    say(&process, "b", &[draft(1, "second"), draft(2, "other")]).await;
    until(&postman, 2, &["other"]).await;
    until(&postman, 1, &["first", "second"]).await;
    let attempts: Vec<_> =
        postman.attempts.lock().unwrap().iter().filter(|(chat, _)| *chat == 1).map(|(_, at)| *at).collect();
    assert!(attempts[1] - attempts[0] >= wait, "{:?}", attempts[1] - attempts[0]);
    process.stop().await;
}

pub(crate) async fn what_was_put_survives_a_kill(database: TestDatabase) {
    let first = Process::silent(&database).await;
    say(&first, "a", &[draft(1, "one"), draft(2, "two")]).await;
    say(&first, "b", &[draft(1, "three")]).await;
    first.kill();
    let postman = Postman::default();
    let second = Process::start(&database, &postman, impatient()).await;
    until(&postman, 1, &["one", "three"]).await;
    until(&postman, 2, &["two"]).await;
    // The cause that comes again after the kill is known.
    assert_eq!(second.outbox.say("b", &[draft(1, "three")]).await, Ok(Said::Before));
    assert_eq!(second.outbox.is_handled("a").await, Ok(true));
    second.stop().await;
    assert_eq!(postman.came().len(), 3);
}

pub(crate) async fn only_a_kill_between_telegrams_answer_and_the_commit_repeats_a_message(database: TestDatabase) {
    let postman = Postman::acting([Act::TakeAndHang]);
    let first = Process::start(&database, &postman, impatient()).await;
    say(&first, "a", &[draft(1, "taken, and nobody knows")]).await;
    say(&first, "b", &[draft(1, "behind it")]).await;
    postman.hanging.notified().await;
    first.kill();
    let second = Process::start(&database, &postman, impatient()).await;
    until(&postman, 1, &["taken, and nobody knows", "taken, and nobody knows", "behind it"]).await;
    second.stop().await;
}

pub(crate) async fn an_order_is_one_message_and_only_the_newest_words_that_wait_are_said(database: TestDatabase) {
    let mut process = Process::silent(&database).await;
    let postman = Postman::default();
    for (rank, text) in [(2, "new"), (6, "filled"), (4, "submitted")] {
        say(&process, text, &[about(1, "order:1", rank, text)]).await;
        if rank == 2 {
            say(&process, "other", &[draft(1, "something else")]).await;
        }
    }
    process.send(&postman, impatient());
    // In the place of the first, and what is older than what waits is not said.
    until(&postman, 1, &["filled", "something else"]).await;
    say(&process, "late", &[about(1, "order:1", 5, "older than what was told")]).await;
    say(&process, "same", &[about(1, "order:1", 6, "as new as what was told")]).await;
    say(&process, "newer", &[about(1, "order:1", 8, "cancelled"), about(2, "order:1", 8, "cancelled")]).await;
    until(&postman, 1, &["filled", "something else", "cancelled"]).await;
    until(&postman, 2, &["cancelled"]).await;
    let edited: Vec<Option<i32>> =
        postman.came().iter().filter(|came| came.chat_id == 1).map(|came| came.edited).collect();
    assert_eq!(edited, [None, None, Some(1)]);
    process.stop().await;
}

pub(crate) async fn words_that_come_while_older_ones_are_on_their_way_are_said_after_them(database: TestDatabase) {
    let postman = Postman::acting([Act::TakeWhenLet]);
    let process = Process::start(&database, &postman, impatient()).await;
    say(&process, "a", &[about(1, "order:1", 2, "new")]).await;
    postman.hanging.notified().await;
    say(&process, "b", &[about(1, "order:1", 4, "submitted")]).await;
    say(&process, "c", &[about(1, "order:1", 6, "filled")]).await;
    postman.let_go.notify_one();
    until(&postman, 1, &["new", "filled"]).await;
    assert_eq!(postman.came()[1].edited, Some(1));
    process.stop().await;
}

pub(crate) async fn edits_that_change_nothing_count_and_those_that_cannot_be_become_messages(database: TestDatabase) {
    let refused = |sentence: &str| {
        Act::Refuse(Error::BadRequest { description: format!("Bad Request: {sentence}"), migrate_to_chat_id: None })
    };
    let postman = Postman::default();
    let process = Process::start(&database, &postman, impatient()).await;
    say(&process, "a", &[about(1, "order:1", 2, "new")]).await;
    until(&postman, 1, &["new"]).await;
    postman.acts.lock().unwrap().push_back(refused("message is not modified: specified new message content"));
    say(&process, "b", &[about(1, "order:1", 4, "the same")]).await;
    eventually("the edit", || async { (postman.attempts.lock().unwrap().len() == 2).then_some(()) }).await;
    say(&process, "c", &[about(1, "order:1", 6, "filled")]).await;
    until(&postman, 1, &["new", "filled"]).await;
    // Somebody deleted it: a new message takes its place, and is edited from then on.
    postman.acts.lock().unwrap().push_back(refused("message to edit not found"));
    say(&process, "d", &[about(1, "order:1", 8, "cancelled")]).await;
    until(&postman, 1, &["new", "filled", "cancelled"]).await;
    say(&process, "e", &[about(1, "order:1", 10, "really")]).await;
    until(&postman, 1, &["new", "filled", "cancelled", "really"]).await;
    let edited: Vec<Option<i32>> = postman.came().iter().map(|came| came.edited).collect();
    assert_eq!(edited, [None, Some(1), None, Some(3)]);
    process.stop().await;
}

pub(crate) async fn what_can_never_be_said_or_is_too_old_is_dropped_and_the_next_goes(database: TestDatabase) {
    let blocked = Error::Forbidden { description: "Forbidden: bot was blocked by the user".to_owned() };
    let postman = Postman::acting([Act::Refuse(blocked)]);
    let process = Process::start(&database, &postman, impatient()).await;
    say(&process, "a", &[draft(1, "to somebody who left"), draft(1, "next")]).await;
    until(&postman, 1, &["next"]).await;
    process.stop().await;

    let postman = Postman::acting((0..3).map(|_| Act::Refuse(Error::Timeout)));
    let settings = SenderSettings { give_up_after: Duration::ZERO, ..impatient() };
    let process = Process::start(&database, &postman, settings).await;
    say(&process, "b", &[draft(2, "old"), draft(2, "old too"), draft(2, "and this"), draft(2, "fresh")]).await;
    until(&postman, 2, &["fresh"]).await;
    process.stop().await;
}

pub(crate) async fn words_follow_a_group_to_its_new_id(database: TestDatabase) {
    let postman = Postman { moved: Some((-5, -1001)), ..Postman::default() };
    let process = Process::start(&database, &postman, impatient()).await;
    say(&process, "a", &[about(-5, "order:1", 2, "new"), draft(-5, "hello")]).await;
    until(&postman, -1001, &["new", "hello"]).await;
    assert!(postman.texts(-5).is_empty());
    process.stop().await;
}

pub(crate) async fn what_is_said_later_is_said_in_the_trace_of_its_cause(database: TestDatabase) {
    telemetry::testing::init();
    let first = Process::silent(&database).await;
    let cause = async {
        say(&first, "a", &[draft(1, "later")]).await;
        telemetry::trace_id().unwrap()
    };
    let trace_id = cause.instrument(tracing::info_span!("cause_of_a_message")).await;
    first.kill();
    let postman = Postman::acting([Act::Refuse(Error::Timeout)]);
    let second = Process::start(&database, &postman, impatient()).await;
    until(&postman, 1, &["later"]).await;
    let attempts = eventually("both attempts", || async {
        let spans = finished_spans();
        let is_ours = |span: &&opentelemetry_sdk::trace::SpanData| span.span_context.trace_id().to_string() == trace_id;
        let cause = spans.iter().filter(is_ours).find(|span| span.name == "cause_of_a_message")?;
        let below: Vec<_> = spans
            .iter()
            .filter(|span| span.name == "telegram delivery" && span.parent_span_id == cause.span_context.span_id())
            .cloned()
            .collect();
        (below.len() == 2).then_some(below)
    })
    .await;
    let told = |key: &str| attempts.iter().map(|span| attribute(span, key).unwrap()).collect::<Vec<_>>();
    assert_eq!(told("telegram.delivery.attempt"), ["1", "2"]);
    assert_eq!(told("telegram.delivery.outcome"), ["later", "sent"]);
    second.stop().await;
}

pub(crate) async fn what_a_chat_was_told_is_remembered_there_and_nowhere_else(database: TestDatabase) {
    let postman = Postman::default();
    let process = Process::start(&database, &postman, impatient()).await;
    let memory = |subject: &str| Memory { subject: subject.to_owned(), detail: json!({"of": subject}), trace_id: None };
    let told = |subject: &str| Draft { memories: vec![memory(subject)], ..about(1, subject, 1, subject) };
    say(&process, "a", &[told("decision:1")]).await;
    say(&process, "b", &[told("order:2")]).await;
    until(&postman, 1, &["decision:1", "order:2"]).await;
    let outbox = &process.outbox;
    assert_eq!(outbox.recall_latest(1).await.unwrap().unwrap().subject, "order:2");
    assert_eq!(outbox.recall(1, "1").await.unwrap().unwrap().detail, json!({"of": "decision:1"}));
    assert_eq!(outbox.recall(1, "3").await, Ok(None));
    assert_eq!(outbox.recall_latest(2).await, Ok(None));
    let message =
        eventually("what the message is about", || async { outbox.recall_message(1, 1).await.unwrap() }).await;
    assert_eq!(message.subject, "decision:1");
    process.stop().await;
}
