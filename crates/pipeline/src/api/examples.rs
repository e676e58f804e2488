//! The example pipelines: made on the first start, and never again.

use std::time::Duration;

use domain::pipeline::{Agent, PipelineRequest};
use web::CancellationToken;

use crate::store::{Store, now};

/// Under which word they are known to be loaded.
const EXAMPLES: &str = "examples";

const TEXTS: [&str; 4] = [
    include_str!("../../examples/golden_cross.json"),
    include_str!("../../examples/golden_cross_paper_orders.json"),
    include_str!("../../examples/tradingview_second_opinion.json"),
    include_str!("../../examples/periodic_look.json"),
];

/// First wait before a database that is away is asked again, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

fn orders(example: &PipelineRequest) -> bool {
    example.steps.iter().any(|step| matches!(step.agent, Agent::PlaceOrder { .. }))
}

/// The examples. One that orders is enabled only where somebody has asked for that: with live trading it spends money.
fn examples(with_orders: bool) -> Result<Vec<PipelineRequest>, serde_json::Error> {
    let mut examples = TEXTS.into_iter().map(serde_json::from_str).collect::<Result<Vec<PipelineRequest>, _>>()?;
    examples.iter_mut().filter(|example| orders(example)).for_each(|example| example.enabled = with_orders);
    Ok(examples)
}

/// Makes them as soon as the database is there, unless that has been done before.
pub(crate) async fn load(store: Store, with_orders: bool, stop: CancellationToken) {
    let examples = match examples(with_orders) {
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
    use super::*;
    use crate::api::body;

    #[test]
    fn they_are_sound_and_none_that_is_enabled_orders() {
        let examples = examples(false).unwrap();
        assert_eq!(examples.iter().map(|example| example.enabled).collect::<Vec<_>>(), [true, false, false, false]);
        for (text, example) in TEXTS.into_iter().zip(&examples) {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(body::pipeline(&value).ok().as_ref(), Some(example), "{}", example.name);
            let said = if example.enabled { "Enabled. " } else { "Not enabled" };
            assert!(example.description.starts_with(said), "{}", example.description);
        }
        assert_eq!(examples.iter().map(orders).collect::<Vec<_>>(), [false, true, false, false]);
    }

    #[test]
    fn who_asks_for_it_has_the_one_that_orders_enabled_and_no_other() {
        let (usual, asked) = (examples(false).unwrap(), examples(true).unwrap());
        for (usual, asked) in usual.iter().zip(&asked) {
            assert_eq!(asked.enabled, usual.enabled || orders(usual), "{}", asked.name);
            assert_eq!(&PipelineRequest { enabled: usual.enabled, ..asked.clone() }, usual);
        }
    }
}
