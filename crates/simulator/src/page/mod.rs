//! The chat page: one person's view of the bot, served from files that are embedded in the binary.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::{self, ServiceConfig};

/// Everything comes from here: no other host, no inline script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn configure(config: &mut ServiceConfig) {
    config
        .route("/", web::get().to(async || file("text/html; charset=utf-8", include_str!("chat.html"))))
        .route("/page/chat.css", web::get().to(async || file("text/css; charset=utf-8", include_str!("chat.css"))))
        .route("/page/chat.js", web::get().to(async || file("text/javascript; charset=utf-8", include_str!("chat.js"))))
        .route(
            "/page/text.js",
            web::get().to(async || file("text/javascript; charset=utf-8", include_str!("text.js"))),
        );
}

fn file(media_type: &'static str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(content)
}
