//! The web page: files embedded in the binary, served with a policy that lets in nothing else.

use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};

/// Scripts, styles and calls of this very origin; nothing inline, nothing from elsewhere, in nobody's frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct File {
    path: &'static str,
    media_type: &'static str,
    body: &'static str,
}

const FILES: [File; 10] = [
    File { path: "/", media_type: "text/html; charset=utf-8", body: include_str!("index.html") },
    File { path: "/page/style.css", media_type: "text/css; charset=utf-8", body: include_str!("style.css") },
    File { path: "/page/trace.css", media_type: "text/css; charset=utf-8", body: include_str!("trace.css") },
    File { path: "/page/chain.css", media_type: "text/css; charset=utf-8", body: include_str!("chain.css") },
    File { path: "/page/api.js", media_type: "text/javascript; charset=utf-8", body: include_str!("api.js") },
    File { path: "/page/chain.js", media_type: "text/javascript; charset=utf-8", body: include_str!("chain.js") },
    File { path: "/page/app.js", media_type: "text/javascript; charset=utf-8", body: include_str!("app.js") },
    File {
        path: "/page/waterfall.js",
        media_type: "text/javascript; charset=utf-8",
        body: include_str!("waterfall.js"),
    },
    File { path: "/page/dom.js", media_type: "text/javascript; charset=utf-8", body: include_str!("dom.js") },
    File { path: "/page/icon.svg", media_type: "image/svg+xml", body: include_str!("icon.svg") },
];

/// Adds the page's routes.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    for file in &FILES {
        let tag = entity_tag(file.body);
        let handler = move |request: HttpRequest| serve(request, file, tag.clone());
        config.service(web::resource(file.path).route(web::get().to(handler)));
    }
}

async fn serve(request: HttpRequest, file: &'static File, tag: String) -> HttpResponse {
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CONTENT_TYPE, file.media_type))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        // Asked again each time, answered with 304 unless the binary changed.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ETAG, tag));
    if known { response.finish() } else { response.body(file.body) }
}

/// Changes with the text; need not be strong.
fn entity_tag(text: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_nothing_inline() {
        for file in &FILES {
            let text = file.body.replace("http://www.w3.org/2000/svg", "");
            for foreign in
                ["http://", "https://", "@import", "url(//", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval("]
            {
                assert!(!text.contains(foreign), "{} contains {foreign}", file.path);
            }
            if file.path == "/" {
                for inline in ["<style", " style=", " onclick=", "<script>"] {
                    assert!(!text.contains(inline), "the policy forbids {inline}");
                }
            }
        }
    }

    #[test]
    fn every_file_that_is_named_is_served() {
        let names = FILES.iter().flat_map(|file| file.body.split(['"', '\'']));
        let named: Vec<&str> = names.filter(|name| name.starts_with("/page/")).collect();
        assert!(named.len() >= 9, "{named:?}");
        for name in named {
            assert!(FILES.iter().any(|file| file.path == name), "{name}");
        }
    }
}
