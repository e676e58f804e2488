//! What every route can answer beside what it says itself, in the description of an API.

use utoipa::PartialSchema as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use crate::ProblemBody;

const SCHEMA: &str = "ProblemBody";

/// The description with the answers that [`crate::start`] gives for every route: 503 and 504, and 408 and 413 where
/// there is a body. What an operation says itself of a status stays.
#[must_use]
pub fn described(mut description: OpenApi) -> OpenApi {
    let schemas = &mut description.components.get_or_insert_default().schemas;
    schemas.entry(SCHEMA.to_owned()).or_insert_with(ProblemBody::schema);
    description.paths.paths.values_mut().flat_map(operations).for_each(complete);
    description
}

/// Adds an answer to every operation of a path that says nothing of this status itself.
pub(crate) fn add(item: &mut PathItem, status: &str, words: &str) {
    for operation in operations(item) {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(words)));
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let operations = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.options,
        &mut item.head,
        &mut item.patch,
    ];
    operations.into_iter().flatten()
}

fn complete(operation: &mut Operation) {
    let always = [
        ("503", "`overloaded`: as many requests are worked on as can be; `Retry-After` says when to come again"),
        ("504", "`request_timeout`: the work took too long and was given up"),
    ];
    let with_body = [
        ("408", "`body_timeout`: the body took too long to arrive"),
        ("413", "`body_too_large`: the body is larger than what is taken"),
    ];
    let bodied = operation.request_body.is_some();
    let known = &mut operation.responses.responses;
    for (status, words) in always.into_iter().chain(with_body.into_iter().filter(|_| bodied)) {
        known.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(words)));
    }
}

fn problem(words: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(SCHEMA)));
    ResponseBuilder::new().description(words).content("application/problem+json", content).build()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use utoipa::OpenApi as _;

    use super::*;

    #[utoipa::path(post, path = "/taken", request_body = String, responses((status = 503, description = "Its own words")))]
    #[expect(dead_code, reason = "only its description is looked at")]
    fn taken() {}

    #[utoipa::path(get, path = "/read", responses((status = 200, description = "It")))]
    #[expect(dead_code, reason = "only its description is looked at")]
    fn read() {}

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(taken, read))]
    struct Api;

    #[test]
    fn what_every_route_can_answer_is_added_and_nothing_is_replaced() {
        let described: Value = serde_json::to_value(described(Api::openapi())).unwrap();
        let statuses = |path: &str, method: &str| -> Vec<String> {
            described["paths"][path][method]["responses"].as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(statuses("/read", "get"), ["200", "503", "504"]);
        assert_eq!(statuses("/taken", "post"), ["408", "413", "503", "504"]);
        assert_eq!(described["paths"]["/taken"]["post"]["responses"]["503"]["description"], "Its own words");
        let schema = &described["paths"]["/read"]["get"]["responses"]["504"]["content"]["application/problem+json"];
        assert_eq!(schema["schema"]["$ref"], "#/components/schemas/ProblemBody");
        assert!(described["components"]["schemas"]["ProblemBody"]["properties"]["code"].is_object());
    }
}
