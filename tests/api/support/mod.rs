//! What the tests stand on: a service over a database of its own, and callers with real tokens.

pub mod binary;
pub mod bodies;
pub mod cluster;
pub mod collector;
pub mod contract;
pub mod crowd;
pub mod desk;
pub mod gate;
pub mod holder;
pub mod leaks;
pub mod once;
pub mod pages;
pub mod pieces;
pub mod program;
pub mod property;
pub mod stored;
pub mod traced;

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use customer_accounts::app::{App, Limits};
use customer_accounts::auth::{DevelopmentKey, Principal, Rate, RateLimit, TokenRules, Verifier};
use customer_accounts::domain::clock::Clock;
use customer_accounts::domain::{Actor, ActorType};
use customer_accounts::store::{Joining, Settings, Store};
use customer_accounts::telemetry::metrics::Metrics;
use customer_accounts::vault::Vault;
use customer_accounts::vault::keyring::Keyring;
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::Value;
use tower::ServiceExt;
use uuid::Uuid;

/// Every scope.
pub const ALL_SCOPES: &str =
    "customers:read customers:write customers:erase customers:reveal customers:secrets";
/// Reading and writing, without the right to see secrets.
pub const READ_WRITE: &str = "customers:read customers:write";
/// The caller of requests that name none.
pub const CALLER: Uuid = Uuid::from_u128(0x3fa8_5f64_5717_4562_b3fc_2c96_3f66_afa6);

static KEY: LazyLock<DevelopmentKey> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    DevelopmentKey::load_or_create(folder.path()).unwrap()
});

pub fn rules() -> TokenRules {
    TokenRules::development()
}

/// A token of the development mode.
pub fn token(actor_type: ActorType, subject: Uuid, scope: &str) -> String {
    let actor = Actor { kind: actor_type, id: subject };
    let principal = Principal { actor, scopes: scope.split(' ').collect() };
    KEY.mint(&principal, Duration::from_hours(1), &rules()).unwrap()
}

/// The service, over a fresh database.
pub struct Service {
    pub router: Router,
    /// What the router shares, for a test that builds another router over it.
    pub app: Arc<App>,
    pub database: Arc<cluster::Database>,
    /// The service's clock, in milliseconds since 1970; it stands still unless a test moves it.
    pub clock: Arc<AtomicI64>,
    pub keyring: Arc<Keyring>,
    token: String,
}

/// What a test may set.
#[derive(Default)]
pub struct Setup {
    pub require_if_match: bool,
    pub limits: Limits,
    pub rate: Option<Rate>,
    pub cors_origins: &'static [&'static str],
    pub joining: Option<Joining>,
    /// How long a request waits for its turn and for a connection: so long that it decides nothing,
    /// where it is left out.
    pub acquire_timeout: Option<Duration>,
    /// What the service connects to, where something stands between it and its database.
    pub url: Option<String>,
}

impl Service {
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub async fn start_with(setup: Setup) -> Self {
        let database = Arc::new(cluster::fresh_database().await);
        let keyring = Arc::new(Keyring::generate().unwrap());
        Self::over(database, keyring, setup).await
    }

    /// A service over a database that may have another.
    pub async fn over(
        database: Arc<cluster::Database>,
        keyring: Arc<Keyring>,
        setup: Setup,
    ) -> Self {
        let vault = Arc::new(Vault::new(&keyring));
        Self::with_vault(database, keyring, vault, setup).await
    }

    /// A service whose vault may be another than the keyring makes.
    pub async fn with_vault(
        database: Arc<cluster::Database>,
        keyring: Arc<Keyring>,
        vault: Arc<Vault>,
        setup: Setup,
    ) -> Self {
        // 2026-06-15T12:00:00.123Z
        let clock = Arc::new(AtomicI64::new(1_781_524_800_123));
        let url = setup.url.as_deref().unwrap_or(database.url());
        let defaults = settings(url);
        let settings = Settings {
            joining: setup.joining.unwrap_or(defaults.joining),
            acquire_timeout: setup.acquire_timeout.unwrap_or(defaults.acquire_timeout),
            ..defaults
        };
        let store = Store::new(&settings, vault).unwrap();
        assert!(store.is_migrated().await.unwrap(), "the template is migrated");
        let app = Arc::new(App {
            store,
            verifier: Verifier::development(&KEY, rules()),
            clock: Clock::Set(Arc::clone(&clock)),
            limits: setup.limits,
            metrics: Some(Metrics::start()),
            require_if_match: setup.require_if_match,
            rate_limit: setup
                .rate
                .map(|rate| RateLimit::new(rate, &Clock::Set(Arc::clone(&clock)))),
            cors_origins: setup.cors_origins.iter().map(|origin| (*origin).to_owned()).collect(),
        });
        Self {
            router: customer_accounts::http::router(Arc::clone(&app)),
            app,
            database,
            clock,
            keyring,
            token: token(ActorType::ServiceAccount, CALLER, READ_WRITE),
        }
    }

    /// A request of the usual caller.
    pub fn request(&self, method: Method, path: &str) -> Call<'_> {
        let builder = Request::builder().method(method).uri(path);
        Call { service: self, builder, token: Some(self.token.clone()), body: Body::empty() }
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Call<'_> {
        self.request(Method::POST, path).json(body)
    }

    pub fn put(&self, path: &str, body: &Value) -> Call<'_> {
        self.request(Method::PUT, path).json(body)
    }

    pub fn patch(&self, path: &str, body: &Value) -> Call<'_> {
        self.request(Method::PATCH, path)
            .header("content-type", "application/merge-patch+json")
            .text(body.to_string())
    }

    /// An erasure, by the usual caller with the scope for it.
    pub fn delete(&self, path: &str) -> Call<'_> {
        self.request(Method::DELETE, path).scopes("customers:erase")
    }

    /// Creates a customer that must be taken.
    pub async fn create(&self, body: &Value) -> Created {
        let reply = self.post("/customers", body).send().await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
        let body = reply.json();
        Created {
            path: reply.header("location").to_owned(),
            id: body["id"].as_str().unwrap().to_owned(),
            body,
        }
    }

    /// Moves the clock.
    pub fn wait(&self, milliseconds: i64) {
        self.clock.fetch_add(milliseconds, std::sync::atomic::Ordering::SeqCst);
    }
}

/// A store over a database; several over one are several instances.
pub fn store(url: &str, keyring: &Keyring) -> Store {
    store_with(url, Arc::new(Vault::new(keyring)))
}

/// As the service has it by default, on a small machine.
pub const JOINING: Joining = Joining { lanes: 1, batch: 64, queue: 4096 };

/// A store over a database and a vault.
pub fn store_with(url: &str, vault: Arc<Vault>) -> Store {
    Store::new(&settings(url), vault).unwrap()
}

fn settings(url: &str) -> Settings {
    Settings {
        url: SecretString::from(url),
        max_connections: 8,
        acquire_timeout: Duration::from_mins(5),
        statement_timeout: Duration::from_secs(20),
        joining: JOINING,
    }
}

/// A customer that a test created.
pub struct Created {
    /// `/customers/{id}`
    pub path: String,
    pub id: String,
    pub body: Value,
}

/// A request on its way.
pub struct Call<'a> {
    service: &'a Service,
    builder: axum::http::request::Builder,
    token: Option<String>,
    body: Body,
}

impl Call<'_> {
    pub fn header(self, name: &str, value: &str) -> Self {
        self.header_bytes(name, value.as_bytes())
    }

    /// A header that need not be text.
    pub fn header_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// Of another caller.
    pub fn token(mut self, token: String) -> Self {
        self.token = Some(token);
        self
    }

    /// Of the usual caller with these scopes.
    pub fn scopes(self, scopes: &str) -> Self {
        self.token(token(ActorType::ServiceAccount, CALLER, scopes))
    }

    pub fn no_token(mut self) -> Self {
        self.token = None;
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").text(body.to_string())
    }

    pub fn text(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it, and lets the contract judge the answer.
    pub async fn send(self) -> Reply {
        let mut builder = self.builder;
        if let Some(token) = self.token {
            builder = builder.header("authorization", format!("Bearer {token}"));
        }
        let request = builder.body(self.body).unwrap();
        let method = request.method().to_string();
        let path = request.uri().to_string();
        let response = self.service.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let reply = Reply {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).expect("answers are UTF-8"),
        };
        contract::judge(&method, &path, &reply);
        reply
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().unwrap()
    }

    /// Asserts a problem of this status and code.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{}", self.text);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("/docs/problems/{code}"));
        assert_eq!(problem["requestId"], self.header("x-request-id"));
    }

    /// Asserts a 422 with exactly these violations, in any order.
    #[track_caller]
    pub fn is_invalid(&self, expected: &[(&str, &str)]) {
        self.is_problem(422, "validation_failed");
        let problem = self.json();
        let mut found: Vec<(&str, &str)> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| (e["pointer"].as_str().unwrap(), e["code"].as_str().unwrap()))
            .collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{}", self.text);
    }
}
