//! The secret that opens the dashboard: made anew with each run, and told to nobody but whoever started it.

use std::fmt;
use subtle::ConstantTimeEq;

/// In bytes: 256 bits.
const LENGTH: usize = 32;

/// Written in hexadecimal digits, so that it can stand in an address and a cookie as it is.
#[derive(Clone)]
pub struct Token(String);

/// The system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers for the dashboard's token: {0}")]
pub struct NoToken(getrandom::Error);

impl Token {
    /// From the system's own random numbers.
    pub fn random() -> Result<Self, NoToken> {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes).map_err(NoToken)?;
        Ok(Self(hex::encode(bytes)))
    }

    /// Takes as long for every token of the right length.
    pub(super) fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// To be told.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Nowhere by accident.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_alone_and_stands_in_no_log() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_eq!(one.reveal().len(), 64);
        assert!(one.is(one.reveal()) && !one.is(other.reveal()));
        let shorter = &one.reveal()[1..];
        assert!(!one.is(shorter) && !one.is("") && !one.is(&format!("{}0", one.reveal())));
        assert!(!format!("{one:?}").contains(one.reveal()));
    }
}
