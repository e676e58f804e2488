//! Secrets of a service's settings.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use crate::StartError;

/// A secret from its file, or else from its variable; an empty variable is none, an empty file a mistake.
///
/// # Errors
/// [`StartError::Setting`] when the file cannot be read or is empty.
pub fn secret(
    setting: &'static str,
    value: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<Option<SecretString>, StartError> {
    let Some(file) = file else {
        return Ok(value.filter(|value| !value.expose_secret().trim().is_empty()).cloned());
    };
    let refused = |reason: String| StartError::Setting { setting, reason };
    let text = std::fs::read_to_string(file)
        .map_err(|error| refused(format!("file {} cannot be read: {error}", file.display())))?;
    match text.trim() {
        "" => Err(refused(format!("file {} is empty; it has to hold the secret", file.display()))),
        secret => Ok(Some(SecretString::from(secret))),
    }
}
