//! Reading.

use std::time::Duration;

use crate::kafka::KafkaConsumer;
use crate::log::LogConsumer;
use crate::{Batch, BusError, Standing};

/// What a consumer reads, and how much at once.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    /// The topic; it is made if there is none.
    pub topic: String,
    /// The group: its members share the topic's partitions, and it remembers how far it has read.
    pub group: String,
    /// Most messages of a batch; it has fewer where they are large: no further one once it has 8 MiB.
    pub max_batch: usize,
    /// Longest wait for the first message of a batch.
    pub max_wait: Duration,
}

/// A member of a group. Dropped, it leaves like one that has died: its partitions go to others once its session is over;
/// [`Consumer::close`] gives them back at once.
///
/// A consumer that asks for no batch for five minutes counts as stuck, and its partitions go to others.
pub struct Consumer {
    engine: Engine,
}

enum Engine {
    Log(LogConsumer),
    Kafka(KafkaConsumer),
}

impl Consumer {
    pub(crate) const fn log(log: LogConsumer) -> Self {
        Self { engine: Engine::Log(log) }
    }

    pub(crate) const fn kafka(kafka: KafkaConsumer) -> Self {
        Self { engine: Engine::Kafka(kafka) }
    }

    /// The next messages: waits up to `max_wait` for the first, and then takes what is there. May be empty. Whoever drops
    /// this future loses no message.
    ///
    /// Reading goes on behind what was read, committed or not; [`Consumer::rewind`] goes back. The commit of a later
    /// message is that of all before it in its partition, so nothing that is still to be done may be left behind.
    ///
    /// # Errors
    /// As [`BusError`] says. While the bus is away the error comes at once: wait a little before asking again.
    pub async fn next(&mut self) -> Result<Batch, BusError> {
        match &mut self.engine {
            Engine::Log(log) => log.next().await,
            Engine::Kafka(kafka) => kafka.next().await,
        }
    }

    /// Says that everything in the batch is done, and whatever is before it in its partitions. It will not come again to
    /// this group. When this returns `Ok` that is durable.
    ///
    /// # Errors
    /// [`BusError::Fenced`] where a partition has gone to somebody else meanwhile, who gets those messages again; and as
    /// [`BusError`] says.
    pub async fn commit(&self, batch: &Batch) -> Result<(), BusError> {
        match &self.engine {
            Engine::Log(log) => log.commit(batch).await,
            Engine::Kafka(kafka) => kafka.commit(batch).await,
        }
    }

    /// Goes back to what is committed: everything else that was read comes again.
    ///
    /// # Errors
    /// As [`BusError`] says.
    pub async fn rewind(&mut self) -> Result<(), BusError> {
        match &mut self.engine {
            Engine::Log(log) => {
                log.rewind();
                Ok(())
            }
            Engine::Kafka(kafka) => kafka.rewind().await,
        }
    }

    /// How far it is in the partitions that are its own now.
    ///
    /// # Errors
    /// As [`BusError`] says.
    pub async fn standing(&self) -> Result<Standing, BusError> {
        match &self.engine {
            Engine::Log(log) => log.standing().await,
            Engine::Kafka(kafka) => kafka.standing().await,
        }
    }

    /// Leaves the group and gives its partitions back at once.
    ///
    /// # Errors
    /// As [`BusError`] says; they go to others all the same, when the session is over.
    pub async fn close(self) -> Result<(), BusError> {
        match self.engine {
            Engine::Log(log) => log.close().await,
            Engine::Kafka(kafka) => kafka.close().await,
        }
    }
}
