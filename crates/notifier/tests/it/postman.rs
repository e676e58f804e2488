//! Somebody who takes words to Telegram as a test wants it, and writes down what was taken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notifier::outbox::{Outbox, Sender, SenderSettings};
use storage::Database;
use storage::testing::TestDatabase;
use telegram::{Deliver, Error, Outgoing, PaceSettings, Taken};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use web::CancellationToken;

/// What came to Telegram: the chat, the message that was edited, the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) chat_id: i64,
    pub(crate) edited: Option<i32>,
    pub(crate) text: String,
}

/// What is done with a message.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Refuse(Error),
    /// It is taken, and the answer never comes.
    TakeAndHang,
    /// It is taken once the test lets it.
    TakeWhenLet,
}

#[derive(Clone, Default)]
pub(crate) struct Postman {
    pub(crate) came: Arc<Mutex<Vec<Came>>>,
    /// When each attempt was made, refused ones too.
    pub(crate) attempts: Arc<Mutex<Vec<(i64, Instant)>>>,
    /// What is done with the next attempts; then all are taken.
    pub(crate) acts: Arc<Mutex<VecDeque<Act>>>,
    /// A group that became another one.
    pub(crate) moved: Option<(i64, i64)>,
    pub(crate) hanging: Arc<Notify>,
    pub(crate) let_go: Arc<Notify>,
}

impl Postman {
    pub(crate) fn acting(acts: impl IntoIterator<Item = Act>) -> Self {
        Self { acts: Arc::new(Mutex::new(acts.into_iter().collect())), ..Self::default() }
    }

    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    pub(crate) fn texts(&self, chat_id: i64) -> Vec<String> {
        self.came().into_iter().filter(|came| came.chat_id == chat_id).map(|came| came.text).collect()
    }
}

fn read(outgoing: &Outgoing) -> Came {
    let json = match outgoing {
        Outgoing::Message(message) => serde_json::to_value(message),
        Outgoing::Edit(edit) => serde_json::to_value(edit),
        Outgoing::Photo(photo) => serde_json::to_value(photo),
    }
    .unwrap();
    let text = json["text"].as_str().or_else(|| json["caption"].as_str()).unwrap_or_default();
    Came {
        chat_id: json["chat_id"].as_i64().unwrap(),
        edited: json["message_id"].as_i64().map(|id| id.try_into().unwrap()),
        text: text.to_owned(),
    }
}

impl Deliver for Postman {
    async fn deliver(&self, outgoing: &Outgoing) -> Result<Taken, Error> {
        let words = read(outgoing);
        self.attempts.lock().unwrap().push((words.chat_id, Instant::now()));
        if let Some((old, new)) = self.moved
            && words.chat_id == old
        {
            return Err(Error::BadRequest { description: "upgraded".to_owned(), migrate_to_chat_id: Some(new) });
        }
        let act = self.acts.lock().unwrap().pop_front();
        if let Some(Act::Refuse(error)) = act {
            return Err(error);
        }
        if let Some(Act::TakeWhenLet) = act {
            self.hanging.notify_one();
            self.let_go.notified().await;
        }
        let message_id = {
            let mut came = self.came.lock().unwrap();
            came.push(words.clone());
            words.edited.unwrap_or_else(|| i32::try_from(came.len()).unwrap())
        };
        if let Some(Act::TakeAndHang) = act {
            self.hanging.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(Taken { message_id: Some(message_id) })
    }
}

/// A process of the service, as far as what it says goes: its database and its sender.
pub(crate) struct Process {
    pub(crate) outbox: Outbox,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// Waits that tests do not notice, and a claim that is over soon.
pub(crate) fn impatient() -> SenderSettings {
    let moment = Duration::from_millis(1);
    SenderSettings {
        pace: PaceSettings {
            overall_per_second: 10_000,
            chat_interval: moment,
            group_interval: moment,
            chat_burst: 10,
        },
        retry_base: moment,
        retry_cap: Duration::from_millis(20),
        claim: Duration::from_millis(300),
        ..SenderSettings::default()
    }
}

impl Process {
    /// Its database alone: nobody sends yet.
    pub(crate) async fn silent(database: &TestDatabase) -> Self {
        let stop = CancellationToken::new();
        let database = Database::open(notifier::NAME, &database.settings(), notifier::outbox::migrations()).unwrap();
        let kept_up = actix_web::rt::spawn(database.clone().keep_up(stop.clone()));
        crate::world::eventually("the database", || async { database.ready().await.ok() }).await;
        Self { outbox: Outbox::new(database), stop, tasks: vec![kept_up] }
    }

    pub(crate) async fn start(database: &TestDatabase, postman: &Postman, settings: SenderSettings) -> Self {
        let mut process = Self::silent(database).await;
        process.send(postman, settings);
        process
    }

    pub(crate) fn send(&mut self, postman: &Postman, settings: SenderSettings) {
        let sender = Sender::new(self.outbox.clone(), postman.clone(), settings);
        self.tasks.push(actix_web::rt::spawn(sender.run(self.stop.clone())));
    }

    /// Dies where it stands: nothing is brought to an end.
    pub(crate) fn kill(self) {
        for task in self.tasks {
            task.abort();
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}
