//! Addresses as people may see them.

use url::Url;

/// Scheme, host, port and path of a URL, for logs, errors and health reports: what stands before `@`, after `?` and after
/// `#` may be a secret.
#[must_use]
pub fn shown_url(url: &Url) -> String {
    let Some(host) = url.host_str() else {
        // `mailto:` and the like: all of it may be anything.
        return format!("{}:…", url.scheme());
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let shown = |text: &str| shown_url(&text.parse().unwrap());
        assert_eq!(shown("https://user:pw@example.org:8443/a/b?key=pw#pw"), "https://example.org:8443/a/b");
        assert_eq!(shown("wss://pw@example.org"), "wss://example.org/");
        assert_eq!(shown("http://[::1]:80/x"), "http://[::1]/x");
        assert_eq!(shown("redis:pw"), "redis:…");
        assert_eq!(shown("ftp://u:pw@example.org/x"), "ftp://example.org/x");
    }
}
