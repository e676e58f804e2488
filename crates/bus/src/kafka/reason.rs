//! Kafka's codes as errors of the bus.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::BusError;

/// What a failure means. Whether it is about this consumer's membership is for [`is_fencing`].
pub(super) fn reason(error: &KafkaError) -> BusError {
    error.rdkafka_error_code().map_or_else(|| BusError::Broken { reason: "librdkafka refuses it".to_owned() }, of_code)
}

pub(super) fn of_code(code: Code) -> BusError {
    match code {
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::WaitingForCoordinator
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::NetworkException
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NotController
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::KafkaStorageError
        // Its connections break before that is said, so no broker answers.
        | Code::MessageTimedOut
        | Code::OperationTimedOut => BusError::unavailable(format!("no broker of Kafka does it now ({code})")),
        Code::RequestTimedOut | Code::TimedOutQueue | Code::QueueFull | Code::RebalanceInProgress | Code::PollExceeded => {
            BusError::Timeout { reason: format!("Kafka was not fast enough ({code})") }
        }
        Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => {
            BusError::refused(format!("the topic takes no messages of that size ({code})"))
        }
        _ => BusError::Broken { reason: format!("Kafka says: {code}") },
    }
}

/// Whether it says that this consumer is not the member that it was.
pub(super) fn is_fencing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::IllegalGeneration | Code::UnknownMemberId | Code::Fenced | Code::AssignmentLost)
    )
}

/// Whether the client cannot go on and has to be made anew.
pub(super) fn is_fatal(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_)) || error.rdkafka_error_code() == Some(Code::Fatal)
}
