//! Which model, where, and within which limits.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// What a [`crate::Client`] needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base URL, with or without the `/v1` at its end: `https://api.openai.com`.
    pub base_url: Url,
    /// Sent as a bearer token; local models need none.
    pub api_key: Option<SecretString>,
    /// The model's name as its server knows it.
    pub model: String,
    /// Who serves it, for spans and metrics: `openai` and whoever speaks like it.
    pub provider: String,
    /// Longest wait for an answer. There is one attempt: a second would cost twice.
    pub timeout: Duration,
    /// Most tokens of an answer.
    pub max_completion_tokens: u32,
    /// Sampling temperature; left to the model when absent (some models take no other than their own).
    pub temperature: Option<f64>,
    /// Whether prompts and answers are recorded on spans. Off unless somebody decides otherwise.
    pub capture_content: bool,
}

impl Settings {
    /// 8 s, 300 tokens, no key, no content on spans.
    #[must_use]
    pub fn new(base_url: Url, model: impl Into<String>) -> Self {
        Self {
            base_url,
            api_key: None,
            model: model.into(),
            provider: "openai".to_owned(),
            timeout: Duration::from_secs(8),
            max_completion_tokens: 300,
            temperature: None,
            capture_content: false,
        }
    }

    /// The base URL without the `/v1` that people copy along, since the client's paths begin with it.
    pub(crate) fn root_url(&self) -> Url {
        let mut url = self.base_url.clone();
        let path = url.path().trim_end_matches('/');
        let root = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        url.set_path(&root);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_url_may_carry_the_version() {
        let root = |base: &str| Settings::new(base.parse().unwrap(), "m").root_url().to_string();
        assert_eq!(root("https://api.openai.com"), "https://api.openai.com/");
        assert_eq!(root("https://api.openai.com/v1/"), "https://api.openai.com/");
        assert_eq!(root("https://openrouter.ai/api/v1"), "https://openrouter.ai/api");
        assert_eq!(root("http://127.0.0.1:8090/"), "http://127.0.0.1:8090/");
    }
}
