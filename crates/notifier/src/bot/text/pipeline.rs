//! What a step of a pipeline tells.

use domain::trading::PipelineNotice;

use super::{escape, shorten, trace_line};

/// Characters of a pipeline's name that are shown.
const MAX_NAME: usize = 100;
/// Characters of its words that are shown.
const MAX_TEXT: usize = 1_500;

/// The words, who says them, and about what.
pub(crate) fn pipeline(told: &PipelineNotice, trace_id: Option<&str>) -> String {
    let mut lines = vec![
        format!("🧩 <b>{}</b> · {}", escape(&shorten(&told.pipeline, MAX_NAME)), told.symbol),
        format!("💬 {}", escape(&shorten(&told.text, MAX_TEXT))),
        format!("🆔 <code>{}</code>", told.execution_id),
    ];
    lines.extend(trace_id.map(trace_line));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MAX_LENGTH;
    use super::super::samples::{id, is_well_formed, shown};
    use super::*;

    fn told(pipeline: &str, text: &str) -> PipelineNotice {
        PipelineNotice {
            pipeline: pipeline.to_owned(),
            execution_id: id(),
            symbol: "BTCUSDT".parse().unwrap(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn who_says_what_about_which_market() {
        assert_eq!(
            pipeline(&told("golden <cross>", "judge: BUY"), Some("4bf92f3577b34da6a3ce929d0e0e4736")),
            "🧩 <b>golden &lt;cross&gt;</b> · BTCUSDT\n\
             💬 judge: BUY\n\
             🆔 <code>0123456789abcdef0123456789abcdef</code>\n\
             🔎 Trace <code>4bf92f3577b34da6a3ce929d0e0e4736</code>"
        );
    }

    proptest! {
        #[test]
        fn never_longer_than_telegram_takes_and_nothing_from_outside_is_a_tag(words in "\\PC{0,3000}") {
            let text = pipeline(&told(&words, &words), Some(&words));
            prop_assert!(shown(&text) <= MAX_LENGTH && is_well_formed(&text), "{text}");
        }
    }
}
