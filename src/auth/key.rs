//! One public key of an issuer, checked before it is held, and the set of them.
//!
//! A key set is read key by key: one that this service cannot use is skipped with its reason in
//! the debug log, so that an issuer may publish keys for others beside ours.

use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use super::token::TokenError;

/// RSA keys outside are skipped: shorter ones are weak (NIST SP 800-131A), longer ones cost every
/// request too much.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A coordinate of a P-256 point, in bytes (RFC 7518, section 6.2.1.2: always in full).
const P256_COORDINATE: usize = 32;

/// An algorithm that a token may be signed with. There is no symmetric one and no `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// The algorithm by its name in a header or a key (RFC 7518, RFC 8037), case and all.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The same algorithm in the words of the JWT library.
    pub(super) const fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// A public key that was found fit to verify signatures of one algorithm.
pub(super) struct VerifyingKey {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl VerifyingKey {
    /// An Ed25519 key from its 32 bytes.
    ///
    /// # Errors
    /// Why the key is not taken, fit for a log.
    pub(super) fn ed25519(id: Option<String>, public: &[u8]) -> Result<Self, &'static str> {
        ParsedPublicKey::new(&ED25519, public).map_err(|_| "not an Ed25519 key")?;
        let key = DecodingKey::from_ed_der(public);
        Ok(Self { id, algorithm: Algorithm::EdDsa, key })
    }

    /// A P-256 key from the coordinates of its point.
    fn p256(id: Option<String>, x: &[u8], y: &[u8]) -> Result<Self, &'static str> {
        if x.len() != P256_COORDINATE || y.len() != P256_COORDINATE {
            return Err("a coordinate is not of 32 bytes");
        }
        // SEC 1, section 2.3.3: 4 marks an uncompressed point.
        let point = [&[4], x, y].concat();
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
            .map_err(|_| "not a point of the curve P-256")?;
        let key = DecodingKey::from_ec_der(&point);
        Ok(Self { id, algorithm: Algorithm::Es256, key })
    }

    /// An RSA key from its modulus and exponent.
    fn rsa(id: Option<String>, modulus: &[u8], exponent: &[u8]) -> Result<Self, &'static str> {
        // Some issuers write the sign byte of ASN.1; the library would then refuse every signature.
        let (n, e) = (without_leading_zeros(modulus), without_leading_zeros(exponent));
        let bits = n.first().map_or(0, |top| n.len() * 8 - top.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err("an RSA key of fewer than 2048 or more than 8192 bits");
        }
        RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| "not an RSA key")?;
        let key = DecodingKey::from_rsa_raw_components(n, e);
        Ok(Self { id, algorithm: Algorithm::Rs256, key })
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// The members of a JSON Web Key that matter here (RFC 7517, RFC 7518, RFC 8037).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl TryFrom<Jwk> for VerifyingKey {
    type Error = &'static str;

    fn try_from(jwk: Jwk) -> Result<Self, &'static str> {
        if jwk.usage.is_some_and(|usage| usage != "sig") {
            return Err("not for signatures");
        }
        if jwk.key_ops.is_some_and(|operations| !operations.iter().any(|what| what == "verify")) {
            return Err("not for verifying");
        }
        let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Self::rsa(jwk.kid, &decoded(jwk.n)?, &decoded(jwk.e)?)?,
            ("EC", Some("P-256")) => Self::p256(jwk.kid, &decoded(jwk.x)?, &decoded(jwk.y)?)?,
            ("OKP", Some("Ed25519")) => Self::ed25519(jwk.kid, &decoded(jwk.x)?)?,
            _ => return Err("of a type or curve that is not taken"),
        };
        if jwk.alg.is_some_and(|name| Algorithm::named(&name) != Some(key.algorithm)) {
            return Err("for an algorithm that is not taken");
        }
        Ok(key)
    }
}

fn decoded(member: Option<String>) -> Result<Vec<u8>, &'static str> {
    let text = member.ok_or("a member is missing")?;
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| "a member is not base64url")
}

/// The keys of an issuer that are fit to verify tokens.
#[derive(Clone)]
pub(super) struct KeySet(Vec<Arc<VerifyingKey>>);

impl KeySet {
    /// The set of the one Ed25519 key that `public` is the public half of.
    pub(super) fn of_ed25519(id: &str, public: &[u8]) -> Result<Self, &'static str> {
        let key = VerifyingKey::ed25519(Some(id.to_owned()), public)?;
        Ok(Self(vec![Arc::new(key)]))
    }

    /// Reads a JSON Web Key Set. Keys that cannot be used are skipped; a set without any that can
    /// is a set all the same, for an issuer may withdraw its last key.
    ///
    /// # Errors
    /// Where the text is not JSON of the form `{"keys": [...]}`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }

        let document: Document = serde_json::from_slice(text)?;
        let mut taken = Vec::with_capacity(document.keys.len());
        for (position, value) in document.keys.into_iter().enumerate() {
            let key = serde_json::from_value::<Jwk>(value)
                .map_err(|_| "not a JSON Web Key")
                .and_then(VerifyingKey::try_from);
            match key {
                Ok(key) => taken.push(Arc::new(key)),
                Err(reason) => tracing::debug!(position, reason, "a key of the issuer is skipped"),
            }
        }
        Ok(Self(taken))
    }

    /// How many keys can be used.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key that a token's header names. A header without a key id names the only key of its
    /// algorithm, where there is exactly one.
    ///
    /// # Errors
    /// [`TokenError::UnknownKey`], or [`TokenError::WrongAlgorithm`] where the key that the header
    /// names is for another algorithm.
    pub(super) fn find(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> Result<Arc<VerifyingKey>, TokenError> {
        let mut of_algorithm = self.0.iter().filter(|key| key.algorithm == algorithm);
        let Some(id) = id else {
            return match (of_algorithm.next(), of_algorithm.next()) {
                (Some(only), None) => Ok(Arc::clone(only)),
                _ => Err(TokenError::UnknownKey),
            };
        };
        if let Some(key) = of_algorithm.find(|key| key.id.as_deref() == Some(id)) {
            return Ok(Arc::clone(key));
        }
        let named = self.0.iter().any(|key| key.id.as_deref() == Some(id));
        Err(if named { TokenError::WrongAlgorithm } else { TokenError::UnknownKey })
    }
}
