//! Where an issuer's keys come from, and one fetch of them. When to fetch is `jwks`' matter.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url, redirect};
use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;

use super::key::KeySet;
use crate::telemetry::traces;

/// How long a fetch may take, connecting included.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest key set that is read, in bytes. Real ones have a few thousand.
const MAX_KEY_SET: usize = 1024 * 1024;

/// Where an issuer's JSON Web Key Set is: an `https` URL, an `http` URL of this machine, or a file.
///
/// `Display` shows a URL without its query, which may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySource(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Url(Url),
    File(PathBuf),
}

/// A text that names no [`KeySource`]. It may hold a secret, so the error does not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySource {
    /// Neither a URL nor a path.
    #[error("must be an https: URL, a file: URL or a path")]
    Malformed,
    /// An `http` URL of another machine: whoever sits between could hand us keys of their own.
    #[error("must be an https: URL; http: is taken only for a loopback address")]
    Insecure,
    /// A URL with a user's name or password, which would reach the logs.
    #[error("must not hold a user name or a password")]
    Credentials,
}

impl FromStr for KeySource {
    type Err = InvalidKeySource;

    /// Reads `https://…`, `http://localhost…`, `file:///…` or a path.
    fn from_str(text: &str) -> Result<Self, InvalidKeySource> {
        if text.is_empty() {
            return Err(InvalidKeySource::Malformed);
        }
        if !text.contains("://") {
            // "file:keys.json" has no agreed meaning, so it is refused rather than guessed.
            return if text.starts_with("file:") {
                Err(InvalidKeySource::Malformed)
            } else {
                Ok(Self(Place::File(PathBuf::from(text))))
            };
        }
        let url = Url::parse(text).map_err(|_| InvalidKeySource::Malformed)?;
        match url.scheme() {
            "file" => url
                .to_file_path()
                .map(|path| Self(Place::File(path)))
                .map_err(|()| InvalidKeySource::Malformed),
            "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
                Err(InvalidKeySource::Credentials)
            }
            "http" if !is_loopback(&url) => Err(InvalidKeySource::Insecure),
            "http" | "https" => Ok(Self(Place::Url(url))),
            _ => Err(InvalidKeySource::Malformed),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Url(url) => {
                let mut shown = url.clone();
                shown.set_query(None);
                shown.set_fragment(None);
                shown.fmt(f)
            }
            Place::File(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySource({self})")
    }
}

/// Why the issuer's keys could not be fetched. The issuer's fault or ours, never the caller's.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The HTTP client could not be made: most often no certificate authorities on this machine.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
    /// No connection, no answer within 5 s, or an answer that broke off.
    #[error("the issuer did not answer")]
    Request(#[source] reqwest::Error),
    /// An answer other than 200. Redirects are not followed: set the address they lead to.
    #[error("the issuer answered {0}")]
    Status(StatusCode),
    /// The file could not be read.
    #[error("the file of keys could not be read")]
    File(#[from] std::io::Error),
    /// More than 1 MiB.
    #[error("the key set has more than 1 MiB")]
    TooLarge,
    /// Not a JSON Web Key Set (RFC 7517).
    #[error("the answer is not a JSON Web Key Set")]
    NotAKeySet(#[from] serde_json::Error),
    /// The fetch ended without an outcome: the service is shutting down.
    #[error("the fetch was given up")]
    Abandoned,
}

/// Fetches the keys of one [`KeySource`].
pub(super) struct KeyFetcher {
    pub(super) source: KeySource,
    /// Made at the first fetch, because reading the certificate authorities can fail, and a
    /// verifier must not fail to be made.
    client: OnceCell<Client>,
}

impl KeyFetcher {
    pub(super) fn new(source: KeySource) -> Self {
        Self { source, client: OnceCell::new() }
    }

    /// Fetches the keys, in at most 5 s where they come by HTTP.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let text = match &self.source.0 {
            Place::Url(url) => self.download(url).await?,
            Place::File(path) => {
                let file = tokio::fs::File::open(path).await?;
                let mut text = Vec::new();
                // One byte past the limit tells "too large" from "just as large as may be".
                file.take(MAX_KEY_SET as u64 + 1).read_to_end(&mut text).await?;
                text
            }
        };
        if text.len() > MAX_KEY_SET {
            return Err(FetchError::TooLarge);
        }
        Ok(KeySet::parse(&text)?)
    }

    /// The body of the answer; where it is too large, its beginning, one chunk past the limit.
    async fn download(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let client = self.client.get_or_try_init(async || client_for(url)).await?;
        let span = traces::Span::of_outgoing("GET", url.host_str(), url.port_or_known_default());
        // `without_url`: a query may hold a secret, and the log names the source anyway.
        let failed = |error: reqwest::Error| {
            span.failed("no_answer");
            FetchError::Request(error.without_url())
        };
        let request = client.get(url.clone()).headers(span.traceparent().into_iter().collect());
        let mut answer = request.send().await.map_err(failed)?;
        span.was_answered(answer.status().as_u16());
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            text.extend_from_slice(&chunk);
            if text.len() > MAX_KEY_SET {
                break;
            }
        }
        Ok(text)
    }
}

/// A client that follows no redirect, so that an `https` address stays one. It heeds the usual
/// proxy variables, but not for this machine's own addresses.
fn client_for(url: &Url) -> Result<Client, FetchError> {
    let client = Client::builder()
        .timeout(FETCH_TIMEOUT)
        .connect_timeout(FETCH_TIMEOUT)
        .redirect(redirect::Policy::none());
    let client = if is_loopback(url) { client.no_proxy() } else { client };
    client.build().map_err(FetchError::Client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, InvalidKeySource> {
        text.parse::<KeySource>().map(|source| source.to_string())
    }

    #[test]
    fn https_loopback_http_and_files_are_sources() {
        for text in [
            "https://issuer.example/jwks.json",
            "http://localhost:8080/jwks",
            "http://127.0.0.1/jwks",
            "http://127.9.9.9/jwks",
            "http://[::1]:9/jwks",
            "/etc/keys.json",
            "keys.json",
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(text));
        }
        assert_eq!(parsed("file:///etc/two%20words.json").as_deref(), Ok("/etc/two words.json"));
    }

    #[test]
    fn http_of_another_machine_is_refused() {
        for text in [
            "http://issuer.example/jwks",
            "http://localhost.example/jwks",
            "http://128.0.0.1/jwks",
            "http://0.0.0.0/jwks",
            "http://[::2]/jwks",
        ] {
            assert_eq!(parsed(text), Err(InvalidKeySource::Insecure), "{text}");
        }
    }

    #[test]
    fn what_is_no_source_is_refused() {
        for text in ["", "ftp://issuer.example/jwks", "https://", "file:keys.json", "file://host/k"]
        {
            assert_eq!(parsed(text), Err(InvalidKeySource::Malformed), "{text}");
        }
        for text in ["https://user@issuer.example/", "https://:secret@issuer.example/"] {
            assert_eq!(parsed(text), Err(InvalidKeySource::Credentials), "{text}");
        }
    }

    #[test]
    fn a_query_is_not_shown() {
        let source: KeySource = "https://issuer.example/jwks?key=secret#x".parse().unwrap();
        assert_eq!(format!("{source:?}"), "KeySource(https://issuer.example/jwks)");
    }
}
