//! Server-sent events through the gateway.

use std::sync::{Arc, Mutex};

use actix_web::HttpResponse;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc::{self, error::TrySendError};
use web::testing::{eventually, get, url};

use crate::fake::Fake;
use crate::support::{Checked as _, client, gateway};

type Sender = mpsc::Sender<Result<Bytes, std::io::Error>>;

/// A fake market-data-service whose events are those that the test sends; a sender is closed once nobody listens.
fn events() -> (Fake, Arc<Mutex<Vec<Sender>>>) {
    let senders: Arc<Mutex<Vec<Sender>>> = Arc::default();
    let listening = Arc::clone(&senders);
    let fake = Fake::answering(move |asked| {
        let (sender, receiver) = mpsc::channel(8);
        let listens = asked.uri.starts_with("/v1/stream");
        if listens {
            listening.lock().unwrap().push(sender);
        }
        let body = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        async move {
            if !listens {
                return HttpResponse::NotFound().finish();
            }
            HttpResponse::Ok()
                .content_type("text/event-stream")
                .insert_header(("cache-control", "no-cache"))
                .insert_header(("x-accel-buffering", "no"))
                .streaming(body)
        }
    });
    (fake, senders)
}

async fn sender(senders: &Arc<Mutex<Vec<Sender>>>, at: usize) -> Sender {
    eventually("somebody listens", async || senders.lock().unwrap().get(at).cloned()).await
}

/// Sends events until nobody takes them: a server notices that its client is gone when it writes.
async fn nobody_listens(sender: &Sender) {
    eventually("the service is told that nobody listens", async || {
        let event = Ok(Bytes::from_static(b"data: to nobody\n\n"));
        // A full channel is no end: somebody may still read it.
        matches!(sender.try_send(event), Err(TrySendError::Closed(_))).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn an_event_arrives_when_it_is_sent_and_who_leaves_ends_the_call() {
    let (fake, senders) = events();
    let gateway = gateway(&["--market-data-url", &fake.url]).await;
    let request = client().get(url(&gateway, "/api/v1/stream?symbols=BTCUSDT")).header("last-event-id", "41");
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    for (name, value) in
        [("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
    {
        assert_eq!(response.headers()[name], value);
    }
    assert_eq!(response.headers()["x-request-id"].len(), 32);
    let asked = fake.only();
    assert_eq!((asked.uri.as_str(), asked.header("last-event-id")), ("/v1/stream?symbols=BTCUSDT", Some("41")));
    let sender = sender(&senders, 0).await;
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        // The stream goes on: an event that waited for its end would never come.
        sender.send(Ok(Bytes::from_static(event.as_bytes()))).await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), event);
    }
    drop(response);
    nobody_listens(&sender).await;
    gateway.stop().await;
}

#[actix_web::test]
async fn a_gateway_that_stops_does_not_wait_for_its_listeners() {
    let (fake, senders) = events();
    let gateway = gateway(&["--market-data-url", &fake.url]).await;
    let mut response = client().get(url(&gateway, "/api/v1/stream")).send().await.unwrap();
    let sender = sender(&senders, 0).await;
    sender.send(Ok(Bytes::from_static(b"data: 1\n\n"))).await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    gateway.stop().await;
    assert_eq!(response.chunk().await.unwrap(), None, "the stream ends as streams do");
    nobody_listens(&sender).await;
}

#[actix_web::test]
async fn listeners_are_counted_as_long_as_they_listen() {
    let (fake, senders) = events();
    let gateway = gateway(&["--market-data-url", &fake.url, "--max-stream-clients", "1"]).await;
    let address = url(&gateway, "/api/v1/stream");
    let first = client().get(&address).send().await.unwrap();
    let sender = sender(&senders, 0).await;
    let refused = get(&address).await;
    refused.refused(503, "too_many_clients");
    assert_eq!(refused.header("retry-after"), "5");
    drop(first);
    nobody_listens(&sender).await;
    eventually("the place is free again", async || {
        let response = client().get(&address).send().await.unwrap();
        (response.status().as_u16() == 200).then_some(())
    })
    .await;
    gateway.stop().await;
}
