//! A secret that is never printed.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use stepwell_core::{Error, ErrorKind};
use zeroize::Zeroizing;

/// What a provider signs with. It is wiped when it is dropped and never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The bytes as they are.
    ///
    /// # Errors
    /// `Setup` when it is empty: anybody could sign with it. An unset environment variable would
    /// otherwise open the endpoint.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        let bytes = bytes.as_ref();
        if bytes.is_empty() {
            let message = "a webhook secret is empty; set it to the one that the provider shows";
            return Err(Error::new(ErrorKind::Setup, message));
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The bytes that the text stands for in base64.
    ///
    /// # Errors
    /// `Setup` when it is empty or no base64. The message does not repeat the secret.
    pub fn base64(text: &str) -> Result<Self, Error> {
        let Ok(bytes) = STANDARD.decode(text).map(Zeroizing::new) else {
            let message = "a webhook secret is not base64; copy it as the provider shows it";
            return Err(Error::new(ErrorKind::Setup, message));
        };
        Self::new(bytes.as_slice())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2").expect("not empty");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let error = Secret::base64("hunter2 *").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
    }

    #[test]
    fn an_empty_secret_is_refused() {
        for error in [
            Secret::new("").unwrap_err(),
            Secret::base64("").unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Setup);
        }
    }
}
