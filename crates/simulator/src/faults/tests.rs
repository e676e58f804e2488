use super::*;

fn request(json: &str) -> FaultRequest {
    let request: FaultRequest = serde_json::from_str(json).unwrap();
    request.checked().unwrap()
}

#[test]
fn faults_hit_their_target_and_method_only_and_add_up() {
    let faults = Faults::new(1);
    faults.add(request(r#"{"target":"telegram","kind":"latency","duration_ms":60000,"latency_ms":20}"#), 5).unwrap();
    faults.add(request(r#"{"target":"telegram","kind":"latency","duration_ms":60000,"latency_ms":30}"#), 5).unwrap();
    faults.add(request(r#"{"target":"telegram","kind":"too_many_requests","duration_ms":60000,"retry_after_s":7,"method":"sendmessage"}"#), 5).unwrap();
    faults
        .add(request(r#"{"target":"telegram","kind":"drop","duration_ms":60000,"method":"sendMessage"}"#), 5)
        .unwrap();
    let verdict = faults.judge(FaultTarget::Telegram, Occasion::Call, "SendMessage");
    assert_eq!(verdict.latency, Some(Duration::from_millis(50)));
    assert_eq!(verdict.failure, Some(Failure::Refused(Refusal::TooManyRequests { status: 429, retry_after_s: 7 })));
    assert_eq!(faults.judge(FaultTarget::Telegram, Occasion::Call, "getUpdates").failure, None);
    assert_eq!(faults.judge(FaultTarget::Llm, Occasion::Call, "sendMessage"), Verdict::default());
    let listed = faults.list();
    assert_eq!(listed.iter().map(|fault| fault.injected).collect::<Vec<_>>(), [2, 2, 1, 0]);
    assert!(faults.remove(listed[2].id) && !faults.remove(listed[2].id));
    assert_eq!(faults.judge(FaultTarget::Telegram, Occasion::Call, "sendMessage").failure, Some(Failure::Dropped));
    assert_eq!(faults.clear(), 3);
    assert_eq!(faults.judge(FaultTarget::Telegram, Occasion::Call, "sendMessage"), Verdict::default());
}

#[test]
fn sockets_are_refused_at_the_handshake_and_hang_later() {
    let faults = Faults::new(1);
    faults
        .add(request(r#"{"target":"binance_ws","kind":"server_error","duration_ms":60000,"status":503}"#), 5)
        .unwrap();
    faults.add(request(r#"{"target":"binance_ws","kind":"freeze","duration_ms":60000}"#), 5).unwrap();
    let handshake = faults.judge(FaultTarget::BinanceWs, Occasion::Handshake, "/ws");
    assert_eq!(handshake.failure, Some(Failure::Refused(Refusal::ServerError { status: 503 })));
    assert_eq!(handshake.frozen_at_ms, None);
    let events = faults.judge(FaultTarget::BinanceWs, Occasion::Events, "btcusdt@trade");
    assert_eq!((events.failure, events.frozen_at_ms), (None, Some(5)));
}

#[test]
fn probability_is_seeded() {
    let hits = |seed| {
        let faults = Faults::new(seed);
        faults.add(request(r#"{"target":"llm","kind":"drop","duration_ms":60000,"probability":0.3}"#), 0).unwrap();
        (0..200)
            .map(|_| faults.judge(FaultTarget::Llm, Occasion::Call, "/v1/chat/completions").failure.is_some())
            .collect::<Vec<_>>()
    };
    assert_eq!(hits(1), hits(1));
    assert_ne!(hits(1), hits(2));
    let share = hits(1).iter().filter(|hit| **hit).count();
    assert!((30..90).contains(&share), "{share} of 200 at probability 0.3");
}

#[test]
fn a_fault_ends_by_itself_and_their_number_is_bounded() {
    let faults = Faults::new(1);
    faults.add(request(r#"{"target":"llm","kind":"drop","duration_ms":1}"#), 0).unwrap();
    let start = Instant::now();
    while !faults.list().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::yield_now();
    }
    for _ in 0..MOST_FAULTS {
        faults.add(request(r#"{"target":"llm","kind":"drop","duration_ms":60000}"#), 0).unwrap();
    }
    assert!(faults.add(request(r#"{"target":"llm","kind":"drop","duration_ms":60000}"#), 0).is_none());
}
