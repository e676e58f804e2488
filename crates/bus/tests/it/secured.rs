//! TLS to Kafka, and signing in.

use bus::testing::{Kafka, Kept, TestBus};
use bus::{BusSettings, KafkaSettings, NewMessage, SaslMechanism, SecurityProtocol};
use rcgen::{CertificateParams, KeyPair};
use web::testing::eventually;

use crate::support::{name, publish, read, text};

const PASSWORD: &str = "s3cret-of-the-bus";

fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    (CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem(), key.serialize_pem())
}

pub(crate) async fn who_has_the_password_is_let_in(test: TestBus) {
    let (authority, key) = certificate();
    let folder = tempfile::tempdir().unwrap();
    let (trusted, other) = (folder.path().join("trusted.pem"), folder.path().join("other.pem"));
    std::fs::write(&trusted, &authority).unwrap();
    std::fs::write(&other, certificate().0).unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let started = actix_web::rt::task::spawn_blocking(move || Kafka::start_secured(&authority, &key, PASSWORD));
    let server = started.await.unwrap();
    let defaults = BusSettings { bus_url: server.secured_url().into(), ..test.settings() };
    let settings = |mechanism, certificates: &std::path::Path| {
        let kafka = KafkaSettings {
            bus_kafka_security_protocol: SecurityProtocol::SaslSsl,
            bus_kafka_sasl_mechanism: mechanism,
            bus_kafka_sasl_username: Some("bus".to_owned()),
            bus_kafka_sasl_password_file: Some(password.clone()),
            bus_kafka_ca_file: Some(certificates.to_owned()),
            ..defaults.kafka.clone()
        };
        BusSettings { kafka, ..defaults.clone() }
    };
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha512] {
        let (kept, topic) = (Kept::open(&settings(mechanism, &trusted)), name("secured"));
        publish(&kept, &topic, &["k"], 0..1).await;
        assert_eq!(text(&read(&mut kept.consumer(&topic, "readers"), 1, true).await[0]), "k:0");
    }

    // A certificate that nobody has vouched for, and a password that is another: told, and not shown.
    let stranger = settings(SaslMechanism::Plain, &other);
    refused(&stranger, "TLS failed").await;
    std::fs::write(&password, "s3cret-of-another").unwrap();
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha512] {
        refused(&settings(mechanism, &trusted), "signing in failed").await;
    }
}

async fn refused(settings: &BusSettings, words: &str) {
    let kept = Kept::open(&BusSettings { bus_publish_timeout_ms: 2_000, ..settings.clone() });
    eventually("it is told why", async || {
        let reason = kept.bus.ready().await.unwrap_err();
        assert!(!reason.contains("s3cret"), "{reason}");
        reason.contains(words).then_some(())
    })
    .await;
    let error = kept.bus.publish("refused", NewMessage::new("k", "")).await.unwrap_err();
    assert!(error.is_passing() && !error.to_string().contains("s3cret"), "{error}");
}
