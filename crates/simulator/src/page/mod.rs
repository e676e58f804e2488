//! The chat page: one person's view of the bot, served from files that are embedded in the binary.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::{self, ServiceConfig};

/// Everything comes from here: no other host, no inline script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: [(&str, &str, &str); 4] = [
    ("/", HTML, include_str!("chat.html")),
    ("/page/chat.css", CSS, include_str!("chat.css")),
    ("/page/chat.js", JAVASCRIPT, include_str!("chat.js")),
    ("/page/text.js", JAVASCRIPT, include_str!("text.js")),
];

pub(crate) fn configure(config: &mut ServiceConfig) {
    for (path, media_type, content) in FILES {
        let handler = async move || file(media_type, content);
        config.service(web::resource(path).route(web::get().to(handler)).route(web::head().to(handler)));
    }
}

fn file(media_type: &'static str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(content)
}
