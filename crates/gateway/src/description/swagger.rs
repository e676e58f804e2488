//! A page to try the API: Swagger UI, whose files are in the binary, under a policy that lets in nothing else.

use std::io::Read as _;
use std::sync::{Arc, LazyLock};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentEncoding};
use actix_web::web::{Path, ServiceConfig, get, resource};
use actix_web::{HttpRequest, HttpResponse};
use flate2::read::GzDecoder;
use utoipa_swagger_ui::Config;
use web::Problem;

/// As the page's, and pictures that stand in its style sheet.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // Nobody outside is asked whether the description is valid.
    let config =
        Config::from("/openapi.json").validator_url("none").try_it_out_enabled(true).display_request_duration(true);
    Arc::new(config)
});

/// Adds `/docs/`.
pub(super) fn routes(config: &mut ServiceConfig) {
    let to_folder = || async { HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish() };
    config
        .service(resource("/docs").route(get().to(to_folder)))
        .service(resource("/docs/{file:.*}").route(get().to(file)));
}

async fn file(request: HttpRequest, path: Path<String>) -> Result<HttpResponse, Problem> {
    let unreadable = |error: &dyn std::fmt::Display| {
        tracing::error!(error = %error, "a file of Swagger UI cannot be served");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong here.")
    };
    let found = utoipa_swagger_ui::serve(&path, Arc::clone(&CONFIG)).map_err(|error| unreadable(&error))?;
    let Some(file) = found else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such file. The page is at /docs/."));
    };
    let mut response = HttpResponse::Ok();
    response
        .content_type(file.content_type)
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::VARY, "accept-encoding"))
        .insert_header((header::CACHE_CONTROL, "max-age=3600"));
    if !file.gzpipped {
        return Ok(response.body(file.bytes.into_owned()));
    }
    if takes_gzip(&request) {
        return Ok(response.insert_header(ContentEncoding::Gzip).body(file.bytes.into_owned()));
    }
    let mut plain = Vec::new();
    GzDecoder::new(&*file.bytes).read_to_end(&mut plain).map_err(|error| unreadable(&error))?;
    Ok(response.body(plain))
}

fn takes_gzip(request: &HttpRequest) -> bool {
    let taken = request.headers().get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    taken.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        matches!(parts.next(), Some("gzip" | "*"))
            && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}
