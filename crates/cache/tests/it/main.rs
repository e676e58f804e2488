//! The shared cache, on a real server.

use cache::testing::{Kept, Server};
use cache::{Cache, CacheSettings, Shelf};
use chrono::{DateTime, TimeDelta, Utc};
use telemetry::testing::{attribute, finished_spans, metric_values};
use tracing::Instrument as _;
use web::testing::eventually;

const SHELF: Shelf = Shelf::new("things");

fn in_an_hour() -> DateTime<Utc> {
    Utc::now() + TimeDelta::hours(1)
}

async fn get(kept: &Kept, key: &str) -> Option<String> {
    kept.cache.get(SHELF, key).await
}

async fn set(kept: &Kept, key: &str, value: &str) {
    kept.cache.set(SHELF, key, &value, in_an_hour()).await;
}

#[actix_web::test]
async fn what_one_puts_there_another_finds() {
    let Some(server) = Server::start() else { return };
    let one = Kept::open(&server.settings()).connected().await;
    let other = Kept::open(&server.settings()).connected().await;
    assert_eq!(get(&other, "a").await, None);
    set(&one, "a", "first").await;
    set(&one, "b", "second").await;
    assert_eq!(get(&other, "a").await.as_deref(), Some("first"));
    let keys = ["b", "c", "a"].map(str::to_owned);
    let found: Vec<Option<String>> = other.cache.get_many(SHELF, &keys).await;
    assert_eq!(found, [Some("second".to_owned()), None, Some("first".to_owned())]);
    assert_eq!(server.keys(), ["crypto-telemetry:things:a", "crypto-telemetry:things:b"]);
    let left: i64 = server.ask(&["PTTL", "crypto-telemetry:things:a"]);
    assert!((1..=3_600_000).contains(&left), "{left}");
    // Another shelf, another deployment and another database are other places.
    assert_eq!(other.cache.get::<String>(Shelf::new("others"), "a").await, None);
    let elsewhere = CacheSettings { redis_prefix: "elsewhere".to_owned(), ..server.settings() };
    assert_eq!(get(&Kept::open(&elsewhere).connected().await, "a").await, None);
    let second = CacheSettings { redis_timeout_ms: 2_000, ..CacheSettings::at(&format!("{}?db=1", server.url())) };
    assert_eq!(get(&Kept::open(&second).connected().await, "a").await, None);
}

#[actix_web::test]
async fn what_is_over_is_not_found_whatever_the_server_s_clock_says() {
    let Some(server) = Server::start() else { return };
    let kept = Kept::open(&server.settings()).connected().await;
    kept.cache.set(SHELF, "a", &"old", Utc::now() - TimeDelta::milliseconds(1)).await;
    assert!(server.keys().is_empty(), "what is over is not put there");
    kept.cache.set(SHELF, "a", &"new", Utc::now() + TimeDelta::minutes(1)).await;
    assert_eq!(get(&kept, "a").await.as_deref(), Some("new"));
    let stands: String = server.ask(&["GET", "crypto-telemetry:things:a"]);
    let over = stands.replace(&stands[..22], r#"{"until":1500000000000"#);
    let _: String = server.ask(&["SET", "crypto-telemetry:things:a", &over]);
    assert!(over.contains("new"), "{over}");
    assert_eq!(get(&kept, "a").await, None);
}

#[actix_web::test]
async fn garbage_is_as_nothing_and_is_counted() {
    let Some(server) = Server::start() else { return };
    let kept = Kept::open(&server.settings()).connected().await;
    const GARBAGE: Shelf = Shelf::new("garbage");
    let unreadable = || -> f64 {
        metric_values("cache_lookups_total", &[("cache", "garbage"), ("outcome", "unreadable")]).iter().sum()
    };
    for garbage in ["", "garbage", "{}", "null", r#"{"until":1,"value":"a""#, "\u{0}", "[1]"] {
        kept.cache.set(GARBAGE, "a", &"good", in_an_hour()).await;
        assert!(kept.cache.get::<String>(GARBAGE, "a").await.is_some());
        server.spoil(garbage);
        let before = unreadable();
        assert_eq!(kept.cache.get::<String>(GARBAGE, "a").await, None, "{garbage}");
        assert_eq!(unreadable(), before + 1.0, "{garbage}");
    }
    // Of another type within, and of another type in Redis.
    kept.cache.set(GARBAGE, "a", &7, in_an_hour()).await;
    assert_eq!(kept.cache.get::<String>(GARBAGE, "a").await, None);
    let _: i64 = server.ask(&["LPUSH", "crypto-telemetry:garbage:list", "x"]);
    assert_eq!(kept.cache.get::<String>(GARBAGE, "list").await, None);
    // That is no outage.
    assert_eq!(kept.cache.get::<i64>(GARBAGE, "a").await, Some(7));
    kept.cache.ready().await.unwrap();
}

#[actix_web::test]
async fn what_is_too_large_or_for_what_no_room_is_left_does_not_come_to_stand_there() {
    let Some(server) = Server::start() else { return };
    let kept = Kept::open(&server.settings()).connected().await;
    set(&kept, "large", &"x".repeat(1024 * 1024)).await;
    assert!(server.keys().is_empty());
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    set(&kept, "a", "x").await;
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert!(server.keys().is_empty());
    // A server without room is there all the same.
    set(&kept, "a", "x").await;
    assert_eq!(get(&kept, "a").await.as_deref(), Some("x"));
}

#[actix_web::test]
async fn a_server_that_dies_is_done_without_and_found_again() {
    let Some(server) = Server::start() else { return };
    let kept = Kept::open(&server.settings()).connected().await;
    set(&kept, "a", "before").await;
    server.crash();
    assert_eq!(get(&kept, "a").await, None);
    set(&kept, "a", "lost").await;
    let reason = kept.cache.ready().await.unwrap_err();
    assert!(reason.contains("shared cache"), "{reason}");
    server.start_again();
    eventually("the cache is back", async || kept.cache.ready().await.ok()).await;
    assert_eq!(get(&kept, "a").await, None, "it came back empty");
    set(&kept, "a", "after").await;
    assert_eq!(get(&kept, "a").await.as_deref(), Some("after"));
}

/// A server that hangs costs its callers one wait, not one each.
#[actix_web::test]
async fn a_server_that_hangs_is_waited_for_once() {
    const FROZEN: Shelf = Shelf::new("frozen");
    let looks = |outcome| -> f64 {
        metric_values("cache_lookups_total", &[("cache", "frozen"), ("outcome", outcome)]).iter().sum()
    };
    let Some(server) = Server::start() else { return };
    let kept = Kept::open(&CacheSettings { redis_timeout_ms: 200, ..server.settings() }).connected().await;
    kept.cache.set(FROZEN, "a", &"kept", in_an_hour()).await;
    server.freeze();
    for _ in 0..100 {
        assert_eq!(kept.cache.get::<String>(FROZEN, "a").await, None);
    }
    assert_eq!((looks("failed"), looks("away")), (1.0, 99.0));
    assert!(kept.cache.ready().await.unwrap_err().contains("did not answer within"), "the reason is told");
    server.thaw();
    eventually("the cache is back", async || kept.cache.ready().await.ok()).await;
    assert_eq!(eventually("it is found again", async || kept.cache.get::<String>(FROZEN, "a").await).await, "kept");
}

#[actix_web::test]
async fn a_server_that_was_not_there_at_the_start_is_found() {
    let Some(server) = Server::start() else { return };
    server.crash();
    let kept = Kept::open(&server.settings());
    assert_eq!(get(&kept, "a").await, None);
    server.start_again();
    let kept = kept.connected().await;
    set(&kept, "a", "x").await;
    assert_eq!(get(&kept, "a").await.as_deref(), Some("x"));
}

#[actix_web::test]
async fn without_a_url_there_is_none_and_nothing_is_said_of_it() {
    let kept = Kept::open(&CacheSettings::none());
    set(&kept, "a", "x").await;
    assert_eq!(get(&kept, "a").await, None);
    assert!(!kept.cache.is_on());
    kept.cache.ready().await.unwrap();
    let looks = metric_values("cache_lookups_total", &[("cache", "things"), ("outcome", "off")]);
    assert!(looks.is_empty(), "{looks:?}");
}

#[actix_web::test]
async fn a_password_is_needed_where_the_server_wants_one() {
    let Some(server) = Server::start_with(&["--requirepass", "s3cret word"]) else { return };
    let wrong = CacheSettings { redis_timeout_ms: 2_000, ..CacheSettings::at(&format!("{}?pass=wr0ng", server.url())) };
    for settings in [server.settings(), wrong] {
        let kept = Kept::open(&settings);
        let reason = eventually("a reason", async || {
            kept.cache.ready().await.err().filter(|reason| !reason.contains("has not been reached"))
        })
        .await;
        assert!(!reason.contains("s3cret") && !reason.contains("wr0ng"), "{reason}");
    }
    let right = CacheSettings::at(&format!("{}?pass=s3cret%20word", server.url()));
    let kept = Kept::open(&CacheSettings { redis_timeout_ms: 2_000, ..right }).connected().await;
    set(&kept, "a", "x").await;
    assert_eq!(get(&kept, "a").await.as_deref(), Some("x"));
}

/// As it is over the network: a host, a port, TLS, and a certificate of an authority of one's own.
#[actix_web::test]
async fn tls_is_spoken_and_certificates_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
    let port = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port().to_string()
    };
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let arguments = [
        ["--tls-port", &port],
        ["--bind", "127.0.0.1"],
        ["--tls-cert-file", &cert],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &cert],
        ["--tls-auth-clients", "no"],
    ];
    let Some(_server) = Server::start_with(&arguments.concat()) else { return };
    let url = format!("rediss://localhost:{port}/0");
    let stranger = CacheSettings { redis_timeout_ms: 2_000, ..CacheSettings::at(&url) };
    let known = CacheSettings { redis_ca_file: Some(cert.into()), ..stranger.clone() };
    let kept = Kept::open(&known).connected().await;
    set(&kept, "a", "x").await;
    assert_eq!(get(&kept, "a").await.as_deref(), Some("x"));
    let kept = Kept::open(&stranger);
    let reason = eventually("a reason", async || {
        kept.cache.ready().await.err().filter(|reason| !reason.contains("has not been reached"))
    })
    .await;
    assert!(reason.contains("certificate"), "{reason}");
}

#[actix_web::test]
async fn commands_are_spans_that_tell_neither_keys_nor_values() {
    let Some(server) = Server::start() else { return };
    let kept = Kept::open(&server.settings()).connected().await;
    let count = || -> f64 { metric_values("redis_command_duration_seconds_count", &[("command", "set")]).iter().sum() };
    let before = count();
    let root = tracing::info_span!(parent: None, "a request");
    let trace_id = async {
        set(&kept, "my-k3y", "my-valu3").await;
        get(&kept, "my-k3y").await.unwrap();
        kept.cache.quietly().get::<String>(SHELF, "my-k3y").await.unwrap();
        let _: i64 = server.ask(&["LPUSH", "crypto-telemetry:things:list", "x"]);
        assert_eq!(get(&kept, "list").await, None);
        telemetry::trace_id().unwrap()
    }
    .instrument(root)
    .await;
    let spans: Vec<_> = finished_spans()
        .into_iter()
        .filter(|span| span.span_context.trace_id().to_string() == trace_id && span.name.starts_with("redis"))
        .collect();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["redis SET", "redis GET", "redis GET"], "the quiet one has none");
    for span in &spans {
        assert_eq!(attribute(span, "db.system.name").as_deref(), Some("redis"));
        assert_eq!(attribute(span, "db.namespace").as_deref(), Some("0"));
        assert!(attribute(span, "server.address").unwrap().ends_with("/socket"));
        assert_eq!(Some(span.name.replace("redis ", "")), attribute(span, "db.operation.name"));
        let shown = format!("{span:?}");
        assert!(!shown.contains("my-k3y") && !shown.contains("my-valu3"), "{shown}");
    }
    let refused = spans.last().unwrap();
    assert_eq!(attribute(refused, "db.response.status_code").as_deref(), Some("WRONGTYPE"));
    assert_eq!(attribute(refused, "error.type").as_deref(), Some("refused"));
    assert!(count() > before);
    let failed = metric_values("redis_commands_failed_total", &[("command", "get")]);
    assert!(failed.iter().sum::<f64>() >= 1.0, "{failed:?}");
}

#[test]
fn settings_that_cannot_be_used_are_told_without_the_secret() {
    let none = CacheSettings::none;
    let at = |url: &str| CacheSettings::at(url);
    for (settings, setting) in [
        (at("amqp://me:s3cret@host"), "REDIS_URL"),
        (at("redis://me:s3cret@host:port"), "REDIS_URL"),
        (
            CacheSettings { redis_url_file: Some("/nowhere/redis-url".into()), ..at("redis://s3cret@host") },
            "REDIS_URL_FILE",
        ),
        (CacheSettings { redis_prefix: String::new(), ..none() }, "REDIS_PREFIX"),
        (CacheSettings { redis_prefix: "a b".to_owned(), ..none() }, "REDIS_PREFIX"),
        (
            CacheSettings { redis_ca_file: Some("/nowhere/ca.pem".into()), ..at("rediss://s3cret@host") },
            "REDIS_CA_FILE",
        ),
        (CacheSettings { redis_ca_file: Some("/dev/null".into()), ..at("rediss://s3cret@host") }, "REDIS_CA_FILE"),
        (CacheSettings { redis_ca_file: Some("/dev/null".into()), ..at("redis://s3cret@host") }, "REDIS_CA_FILE"),
    ] {
        let refused = Cache::open(&settings).map(drop).unwrap_err().to_string();
        assert!(refused.starts_with(setting) && !refused.contains("s3cret"), "{refused}");
    }
    let shown = format!("{:?}", at("redis://me:s3cret@host"));
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(!Cache::open(&at(" ")).unwrap().is_on(), "an empty variable is none");
}
