//! The parts of a request that cost processor time, each by itself, so that a regression has an
//! address. `bench/run` measures the whole.
//!
//! A read's answer is the stored text, so there is nothing to measure of it; `view` measures what is
//! made: the document of a write, an answer with the secret in it, a line of an export.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate};
use customer_accounts::domain::profile::{Audit, Profile};
use customer_accounts::domain::{Actor, ActorType};
use customer_accounts::wire::customer::{self, Context};
use customer_accounts::wire::{document, json};
use divan::{Bencher, black_box};
use uuid::Uuid;

fn main() {
    divan::main();
}

/// The example object of the reference.
const EXAMPLE: &str = include_str!("../bench/reference-example.json");

/// A customer.
const ID: Uuid = Uuid::from_u128(0x0e01_f271_80b1_4724_b5dc_6959_c7cd_88dc);

static PROFILE: LazyLock<Profile> = LazyLock::new(|| {
    let today = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
    let context = Context { today, stored: None, null_is_absent: false };
    customer::parse(json::parse(EXAMPLE.as_bytes()).ok().unwrap(), &context).ok().unwrap()
});

static DOCUMENT: LazyLock<String> = LazyLock::new(|| written(&PROFILE));

fn written(profile: &Profile) -> String {
    let actor = Actor { kind: ActorType::ServiceAccount, id: ID };
    let at = DateTime::UNIX_EPOCH;
    let audit =
        Audit { id: ID, created_by: actor, created_at: at, updated_by: actor, updated_at: at };
    document::write(profile, &audit, None).unwrap()
}

mod parse {
    use super::{Bencher, Context, EXAMPLE, NaiveDate, black_box, customer, json};

    /// The bytes of a body to JSON.
    #[divan::bench]
    fn json_alone() -> serde_json::Value {
        json::parse(black_box(EXAMPLE).as_bytes()).ok().unwrap()
    }

    /// The bytes of a body to a checked customer.
    #[divan::bench]
    fn whole_body(bencher: Bencher<'_, '_>) {
        let today = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
        let context = Context { today, stored: None, null_is_absent: false };
        customer_accounts::domain::phone::warm_up();
        bencher.bench(|| {
            let body = json::parse(black_box(EXAMPLE).as_bytes()).ok().unwrap();
            customer::parse(body, &context).ok().unwrap()
        });
    }
}

mod view {
    use super::{Bencher, DOCUMENT, PROFILE, black_box, document, written};

    /// What a write stores and answers.
    #[divan::bench]
    fn document_of_a_write(bencher: Bencher<'_, '_>) {
        let profile = &*PROFILE;
        bencher.bench(|| written(black_box(profile)));
    }

    /// What a caller with `customers:secrets` reads.
    #[divan::bench]
    fn with_security_answer(bencher: Bencher<'_, '_>) {
        let document = DOCUMENT.as_str();
        bencher.bench(|| {
            document::with_security_answer(black_box(document), "Barbara Gowdy").unwrap()
        });
    }

    /// A line of an export.
    #[divan::bench]
    fn exported(bencher: Bencher<'_, '_>) {
        let document = DOCUMENT.as_str();
        bencher.bench(|| document::exported(black_box(document), 7, None, None).unwrap());
    }
}

mod phone {
    use customer_accounts::domain::phone::{PhoneNumber, warm_up};
    use customer_accounts::domain::text::Clean;

    use super::{Bencher, black_box};

    /// With `+`: its form alone is checked. Without: it must be valid under its plan.
    #[divan::bench(args = ["+1 (415) 555-2671", "0041 44 668 18 00", "14155552671"])]
    fn number(bencher: Bencher<'_, '_>, number: &str) {
        warm_up();
        bencher.bench(|| {
            let text = Clean::of(black_box(number)).unwrap().unwrap();
            PhoneNumber::try_from(text).unwrap()
        });
    }
}

mod seal {
    use customer_accounts::vault::keyring::Keyring;
    use customer_accounts::vault::{Field, Vault};

    use super::{Bencher, ID, black_box};

    const CLEAR: &str = "123-45-6789";

    #[divan::bench]
    fn seal(bencher: Bencher<'_, '_>) {
        let vault = Vault::new(&Keyring::generate().unwrap());
        bencher.bench(|| vault.seal(ID, Field::SocialId, black_box(CLEAR)).unwrap());
    }

    #[divan::bench]
    fn open(bencher: Bencher<'_, '_>) {
        let vault = Vault::new(&Keyring::generate().unwrap());
        let sealed = vault.seal(ID, Field::SocialId, CLEAR).unwrap();
        bencher.bench(|| vault.open(ID, Field::SocialId, black_box(&sealed)).unwrap());
    }
}

mod token {
    use std::io::Write;

    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    };
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
    use customer_accounts::auth::{TokenRules, Verifier};
    use serde_json::{Value, json};
    use tempfile::NamedTempFile;
    use tokio::runtime::Runtime;

    use super::{Bencher, ID, Uuid, black_box};

    const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

    enum Key {
        Rsa(RsaKeyPair),
        P256(EcdsaKeyPair),
        Ed25519(Ed25519KeyPair),
    }

    /// An issuer with one key, and who verifies its tokens.
    struct Issuer {
        algorithm: &'static str,
        key: Key,
        verifier: Verifier,
        runtime: Runtime,
        _jwks: NamedTempFile,
    }

    impl Issuer {
        fn new(algorithm: &'static str) -> Self {
            let (key, mut jwk) = match algorithm {
                "RS256" => {
                    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                    let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                    let (n, e) = (BASE64.encode(public.n), BASE64.encode(public.e));
                    (Key::Rsa(pair), json!({ "kty": "RSA", "n": n, "e": e }))
                }
                "ES256" => {
                    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                    // 4, and the two coordinates.
                    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                    let (x, y) = (BASE64.encode(x), BASE64.encode(y));
                    (Key::P256(pair), json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }))
                }
                _ => {
                    let pair = Ed25519KeyPair::generate().unwrap();
                    let x = BASE64.encode(pair.public_key());
                    (Key::Ed25519(pair), json!({ "kty": "OKP", "crv": "Ed25519", "x": x }))
                }
            };
            jwk["kid"] = json!("a");
            let mut jwks = NamedTempFile::new().unwrap();
            write!(jwks, "{}", json!({ "keys": [jwk] })).unwrap();
            let source = jwks.path().to_str().unwrap().parse().unwrap();
            let rules = TokenRules::development();
            let verifier = Verifier::from_issuer(source, rules);
            let runtime = Runtime::new().unwrap();
            Self { algorithm, key, verifier, runtime, _jwks: jwks }
        }

        /// A token unlike every other.
        fn token(&self) -> String {
            let rules = TokenRules::development();
            let header = json!({ "alg": self.algorithm, "kid": "a", "typ": "at+jwt" });
            let claims = json!({
                "iss": rules.issuer, "aud": rules.audience, "sub": ID, "exp": 4_102_444_800_u64,
                "jti": Uuid::new_v4(), "actor_type": "employee", "scope": "customers:read"
            });
            let encode = |part: &Value| BASE64.encode(part.to_string());
            let message = format!("{}.{}", encode(&header), encode(&claims));
            let signature = self.signature(message.as_bytes());
            format!("{message}.{}", BASE64.encode(signature))
        }

        fn signature(&self, message: &[u8]) -> Vec<u8> {
            let random = SystemRandom::new();
            match &self.key {
                Key::Rsa(pair) => {
                    let mut signature = vec![0; pair.public_modulus_len()];
                    pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                    signature
                }
                Key::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
                Key::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            }
        }

        fn verify(&self, token: &str) {
            self.runtime.block_on(self.verifier.verify(token)).unwrap();
        }
    }

    /// A token that was not seen before.
    #[divan::bench(args = ALGORITHMS)]
    fn fresh(bencher: Bencher<'_, '_>, algorithm: &'static str) {
        let issuer = Issuer::new(algorithm);
        // The first one fetches the keys.
        issuer.verify(&issuer.token());
        bencher.with_inputs(|| issuer.token()).bench_local_refs(|token| issuer.verify(token));
    }

    /// A token that was.
    #[divan::bench(args = ALGORITHMS)]
    fn cached(bencher: Bencher<'_, '_>, algorithm: &'static str) {
        let issuer = Issuer::new(algorithm);
        let token = issuer.token();
        issuer.verify(&token);
        bencher.bench_local(|| issuer.verify(black_box(&token)));
    }
}
