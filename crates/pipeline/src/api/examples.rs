//! The example pipelines: made on the first start, and never again.

use std::time::Duration;

use domain::pipeline::PipelineRequest;
use web::CancellationToken;

use crate::store::{Store, now};

/// Under which word they are known to be loaded.
const EXAMPLES: &str = "examples";

const TEXTS: [&str; 3] = [
    include_str!("../../examples/golden_cross.json"),
    include_str!("../../examples/tradingview_second_opinion.json"),
    include_str!("../../examples/periodic_look.json"),
];

/// First wait before a database that is away is asked again, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

fn examples() -> Result<Vec<PipelineRequest>, serde_json::Error> {
    TEXTS.into_iter().map(serde_json::from_str).collect()
}

/// Makes them as soon as the database is there, unless that has been done before.
pub(crate) async fn load(store: Store, stop: CancellationToken) {
    let examples = match examples() {
        Ok(examples) => examples,
        Err(error) => return tracing::error!(error = %error, "the example pipelines cannot be read"),
    };
    let mut wait = WAITS.0;
    loop {
        match store.load_once(EXAMPLES, &examples, now()).await {
            Ok(Some(made)) => return tracing::info!(pipelines = made, "the example pipelines are made"),
            Ok(None) => return,
            Err(error) if error.is_passing() => {}
            Err(error) => return tracing::error!(error = %error, "the example pipelines cannot be made"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(WAITS.1);
    }
}

#[cfg(test)]
mod tests {
    use domain::pipeline::{Agent, Trigger};

    use super::*;
    use crate::api::body;

    #[test]
    fn they_are_sound_and_only_the_first_is_enabled() {
        let examples = examples().unwrap();
        assert_eq!(examples.iter().map(|example| example.enabled).collect::<Vec<_>>(), [true, false, false]);
        for (text, example) in TEXTS.into_iter().zip(&examples) {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(body::pipeline(&value).ok().as_ref(), Some(example), "{}", example.name);
            assert!(!example.description.is_empty());
        }
        let orders =
            |example: &PipelineRequest| example.steps.iter().any(|step| matches!(step.agent, Agent::PlaceOrder { .. }));
        assert_eq!(examples.iter().map(orders).collect::<Vec<_>>(), [true, false, false]);
        assert!(matches!(&examples[2].trigger, Trigger::Periodic(_)));
    }
}
