//! The settings about callers: the origins whose pages may call, and how often each caller may.

use std::str::FromStr;

use clap::Args;
use reqwest::Url;

/// From where, and how often.
#[derive(Debug, Args)]
pub struct Callers {
    /// The origins (`https://app.example.com`) whose pages may call from a browser, separated by
    /// commas, or `*` for every one. When left out, browsers keep answers from pages of other origins.
    #[arg(long, env, value_name = "ORIGINS")]
    pub cors_allowed_origins: Option<AllowedOrigins>,
    /// How many requests a second each caller may make (429 over it). When left out, there is no limit.
    #[arg(long, env, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "N")]
    pub rate_limit_per_second: Option<u32>,
    /// How many requests each caller may make at once after a pause; when left out, as many as in a
    /// second.
    #[arg(
        long, env, requires = "rate_limit_per_second",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "N"
    )]
    pub rate_limit_burst: Option<u32>,
}

/// Origins as browsers send them, or `*` alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowedOrigins(pub Vec<String>);

/// A text that is no list of origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOrigins {
    /// `*` beside others.
    #[error("* stands alone")]
    Wildcard,
    /// No origin of the Web.
    #[error(
        "{0:?} is not an origin; write it as browsers send it, such as https://app.example.com or http://localhost:3000"
    )]
    NotAnOrigin(String),
    /// An origin with something that browsers leave away.
    #[error("{given:?} is not an origin as browsers send it; that is {origin}")]
    Spelling {
        /// What was given.
        given: String,
        /// What browsers send.
        origin: String,
    },
}

impl FromStr for AllowedOrigins {
    type Err = BadOrigins;

    fn from_str(text: &str) -> Result<Self, BadOrigins> {
        let origins: Vec<&str> = text.split(',').map(str::trim).collect();
        if origins.contains(&"*") {
            return if origins.len() == 1 {
                Ok(Self(vec!["*".to_owned()]))
            } else {
                Err(BadOrigins::Wildcard)
            };
        }
        origins.into_iter().map(origin).collect::<Result<_, _>>().map(Self)
    }
}

/// An `Origin` header is compared letter for letter, so one that no browser sends would allow nobody.
fn origin(text: &str) -> Result<String, BadOrigins> {
    let not_an_origin = || BadOrigins::NotAnOrigin(text.to_owned());
    let url = Url::parse(text).map_err(|_| not_an_origin())?;
    // A star within a name is a pattern to people, and to browsers no name.
    if !["http", "https"].contains(&url.scheme()) || text.contains('*') {
        return Err(not_an_origin());
    }
    let origin = url.origin().ascii_serialization();
    if origin == text {
        Ok(origin)
    } else {
        Err(BadOrigins::Spelling { given: text.to_owned(), origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_send_them() {
        let read = |text: &str| text.parse::<AllowedOrigins>().unwrap().0;
        assert_eq!(read("*"), ["*"]);
        assert_eq!(read("https://app.example.com"), ["https://app.example.com"]);
        assert_eq!(
            read("http://localhost:3000, http://[::1]:8080,https://xn--bcher-kva.example"),
            ["http://localhost:3000", "http://[::1]:8080", "https://xn--bcher-kva.example"]
        );
    }

    #[test]
    fn what_no_browser_sends_is_refused_with_what_it_would_send() {
        for (given, origin) in [
            ("https://app.example.com/", "https://app.example.com"),
            ("https://app.example.com/path", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("https://App.example.com", "https://app.example.com"),
            ("HTTPS://app.example.com", "https://app.example.com"),
            ("https://user:word@app.example.com", "https://app.example.com"),
            ("https://app.example.com?a=b", "https://app.example.com"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            let (given, origin) = (given.to_owned(), origin.to_owned());
            let refused = given.parse::<AllowedOrigins>();
            assert_eq!(refused, Err(BadOrigins::Spelling { given, origin }));
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in [
            "",
            "null",
            "app.example.com",
            "localhost:3000",
            "https://",
            "ftp://a.example",
            "https://*.example.com",
        ] {
            let whole = format!("https://app.example.com,{bad}");
            for text in [bad, &whole] {
                assert!(text.parse::<AllowedOrigins>().is_err(), "{text}");
            }
        }
        for text in ["*,https://app.example.com", "https://app.example.com, *", "*,*"] {
            assert_eq!(text.parse::<AllowedOrigins>(), Err(BadOrigins::Wildcard));
        }
    }
}
