//! Who vouches for a component: minisign signatures, Ed25519 over its bytes.
//!
//! <https://jedisct1.github.io/minisign/>

use crate::domain::sanitize_text;
use minisign_verify::{Error, PublicKey, Signature};

/// Beside a component `x.wasm`, its signature is `x.wasm.minisig`.
pub(super) const EXTENSION: &str = "minisig";
/// A signature has four lines.
pub(super) const SIGNATURE_BYTES_MAX: u64 = 4 << 10;
const COMMENT_BYTES_MAX: usize = 200;

/// The keys of those who are trusted.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    keys: Vec<(String, PublicKey)>,
}

/// What a signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureState {
    None,
    /// `comment`: what the signer says; it is signed, too.
    Good {
        key: String,
        comment: String,
    },
    /// By a key that is not among those that are trusted.
    Unknown,
    /// It is damaged, or the component is not the one that was signed.
    Bad(String),
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no minisign public key: give the line that begins with RW of its .pub file")]
pub struct BadKey(String);

impl Keys {
    /// Public keys, in base64.
    pub fn parse(texts: &[String]) -> Result<Self, BadKey> {
        let parse = |text: &String| match PublicKey::from_base64(text.trim()) {
            Ok(key) => Ok((text.trim().to_owned(), key)),
            Err(_) => Err(BadKey(sanitize_text(text, 100))),
        };
        Ok(Self { keys: texts.iter().map(parse).collect::<Result<_, _>>()? })
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn check(&self, component: &[u8], signature: Option<&str>) -> SignatureState {
        let Some(text) = signature else { return SignatureState::None };
        let bad = |error: &Error| SignatureState::Bad(error.to_string());
        let signature = match Signature::decode(text) {
            Ok(signature) => signature,
            Err(error) => return bad(&error),
        };
        for (text, key) in &self.keys {
            match key.verify(component, &signature, false) {
                Ok(()) => {
                    let comment =
                        sanitize_text(signature.trusted_comment(), COMMENT_BYTES_MAX).replace(['\n', '\t'], " ");
                    return SignatureState::Good { key: text.clone(), comment };
                }
                Err(Error::UnexpectedKeyId) => {}
                Err(error) => return bad(&error),
            }
        }
        SignatureState::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minisign::KeyPair;
    use std::io::Cursor;

    const COMPONENT: &[u8] = b"component";

    fn signed(pair: &KeyPair, bytes: &[u8], comment: &str) -> String {
        minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(bytes), Some(comment), None).unwrap().into_string()
    }

    fn pair() -> (KeyPair, Keys) {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let keys = Keys::parse(&[pair.pk.to_base64()]).unwrap();
        (pair, keys)
    }

    #[test]
    fn a_signature_is_good_by_a_trusted_key_over_the_same_bytes() {
        let ((ours, keys), (theirs, _)) = (pair(), pair());
        let signature = signed(&ours, COMPONENT, "release\u{1b}[31m 1.0");
        let expected = SignatureState::Good { key: ours.pk.to_base64(), comment: "release [31m 1.0".into() };
        assert_eq!(keys.check(COMPONENT, Some(&signature)), expected);
        assert_eq!(keys.check(COMPONENT, None), SignatureState::None);
        assert!(matches!(keys.check(b"c0mponent", Some(&signature)), SignatureState::Bad(_)));
        assert_eq!(keys.check(COMPONENT, Some(&signed(&theirs, COMPONENT, ""))), SignatureState::Unknown);
        let both = Keys::parse(&[theirs.pk.to_base64(), ours.pk.to_base64()]).unwrap();
        assert_eq!(both.check(COMPONENT, Some(&signature)), expected);
    }

    #[test]
    fn what_was_changed_in_a_signature_makes_it_bad() {
        let (ours, keys) = pair();
        let signature = signed(&ours, COMPONENT, "release 1.0");
        for changed in
            [signature.replace("release 1.0", "release 2.0"), signature[..60].to_owned(), "x".into(), String::new()]
        {
            assert!(matches!(keys.check(COMPONENT, Some(&changed)), SignatureState::Bad(_)), "{changed}");
        }
    }

    #[test]
    fn a_text_that_is_no_key_is_told() {
        let error = Keys::parse(&["RWxyz".into()]).unwrap_err().to_string();
        assert!(error.contains("`RWxyz`") && error.contains(".pub"), "{error}");
    }
}
