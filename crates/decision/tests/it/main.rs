//! decision-service in this process, on a free port, against a language model that misbehaves on demand.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
#[path = "../../../llm/tests/it/fake.rs"]
mod fake;
#[cfg(test)]
mod language_model;
#[cfg(test)]
mod market;
#[cfg(test)]
mod service;
#[cfg(test)]
mod strategies;
