//! Who sends: the resource attributes of spec B8.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;

/// `service.name`, `service.version`, `service.instance.id`, and the environment under its old and its new name.
///
/// `OTEL_RESOURCE_ATTRIBUTES` adds to them and does not replace them.
pub(crate) fn resource(service_name: &str, environment: &str, instance_id: &str) -> Resource {
    Resource::builder_empty()
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attributes([
            KeyValue::new("service.name", service_name.to_owned()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance_id.to_owned()),
            KeyValue::new("deployment.environment", environment.to_owned()),
            KeyValue::new("deployment.environment.name", environment.to_owned()),
        ])
        .build()
}
