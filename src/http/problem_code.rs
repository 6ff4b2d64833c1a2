//! The kinds of problems: one table, from which the answers and the pages under `/docs/problems/`
//! are made.

use axum::http::StatusCode;

macro_rules! problem_codes {
    ($($variant:ident = $code:literal, $status:ident, $title:literal, $meaning:literal, $remedy:literal;)*) => {
        /// The kinds of problems; `as_str` is what callers see as `code`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemCode { $(#[doc = $meaning] $variant,)* }

        impl ProblemCode {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as callers see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The status it is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it is called.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What a caller can do.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

problem_codes! {
    MalformedJson = "malformed_json", BAD_REQUEST, "The body is not JSON",
        "The body is not JSON in UTF-8: it is empty, cut off, has something after its end, is nested too deeply, or holds a number no double can hold.",
        "Send one JSON value. The detail names the line and the column where reading stopped.";
    DuplicateMember = "duplicate_member", BAD_REQUEST, "A member stands twice",
        "An object of the body has the same member twice, so that it is not clear which of them is meant.",
        "Send each member once. The detail names the line and the column of the second.";
    InvalidQuery = "invalid_query", BAD_REQUEST, "The query is not understood",
        "A query parameter is unknown, stands twice, or has a value that cannot be read. Nothing is passed over, since a filter that is ignored would show what was not asked for.",
        "The detail names the parameter. A plus sign in a time is written %2B.";
    InvalidCursor = "invalid_cursor", BAD_REQUEST, "The cursor is not valid",
        "The cursor was altered, or was made for other filters or another order than those it came with.",
        "Send a nextCursor as it was given, with the same filters and order; or begin at the first page.";
    InvalidHeader = "invalid_header", BAD_REQUEST, "A header is not understood",
        "If-Match, If-None-Match or Idempotency-Key is there but cannot be read. What was meant as a safeguard is never passed over.",
        "Entity tags stand in quotes, with commas between. An Idempotency-Key has 1 to 255 printable ASCII characters and comes once.";
    Unauthorized = "unauthorized", UNAUTHORIZED, "An access token is needed",
        "The request has no bearer token in its Authorization header.",
        "Send Authorization: Bearer, and an access token of the configured issuer.";
    InvalidToken = "invalid_token", UNAUTHORIZED, "The access token is not valid",
        "The token is not of the configured issuer and audience, has expired, or its signature does not hold. The detail says which.",
        "Get a new token and try again.";
    InsufficientScope = "insufficient_scope", FORBIDDEN, "The access token lacks a scope",
        "The token is valid, but does not allow this. requiredScope names what it lacks.",
        "Get a token with that scope, if you may have it.";
    NotFound = "not_found", NOT_FOUND, "Not found",
        "No customer has the id, the customer has no such version or secret, or nothing is at the path.",
        "Check the id. A customer that was erased is a 410, not a 404.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here",
        "The path takes other methods; the Allow header lists them.",
        "Use one of those.";
    NotAcceptable = "not_acceptable", NOT_ACCEPTABLE, "No acceptable representation",
        "Answers are JSON, and the Accept header rules that out.",
        "Leave Accept away, or let it take application/json.";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request took too long to arrive",
        "The body did not arrive within the time that the service waits for it. Nothing was written.",
        "Send it again.";
    WriteConflict = "write_conflict", CONFLICT, "Other writes came first",
        "Other writes of the same customer came first again and again. Nothing was written.",
        "Try again after a moment.";
    Erased = "erased", GONE, "The customer was erased",
        "The customer's personal data were erased for good. Its history still tells who did what when.",
        "There is nothing to try again.";
    VersionMismatch = "version_mismatch", PRECONDITION_FAILED, "The customer has another version",
        "If-Match names none of the customer's current version, which currentVersion tells. Nothing was written.",
        "Read the customer again, decide whether the change still holds, and send it with the new ETag.";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large",
        "The body has more than 65,536 bytes.",
        "Send less; no valid customer is that large.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The content type is not supported",
        "The body is not declared as JSON in UTF-8 without a content encoding. Accept-Post or Accept-Patch names what is taken.",
        "Send Content-Type: application/json; for PATCH application/merge-patch+json.";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The idempotency key was used before",
        "The Idempotency-Key came with another request before. Nothing was written.",
        "Use a new key for a new request; send the same body under the same key.";
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "The body is not valid",
        "Members of the body break rules. errors lists all of them, each with the pointer to the member, a code and a sentence. Nothing was written.",
        "Mend the members that errors names.";
    PreconditionRequired = "precondition_required", PRECONDITION_REQUIRED, "If-Match is required",
        "This service takes changes only of a version that was read.",
        "Send If-Match with the ETag that you read.";
    TooManyTries = "too_many_tries", TOO_MANY_REQUESTS, "Too many wrong answers",
        "Five wrong answers were given for this customer within 15 minutes. Right ones are refused too, until the time is over.",
        "Wait as long as Retry-After says.";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests",
        "The caller (the token's subject and actor type) made more requests than this service takes from one. Nothing was done, and an Idempotency-Key was not used up.",
        "Wait as long as Retry-After says, then send it again. RateLimit, which every answer to a caller has, tells how many more requests may be made before that happens.";
    InternalError = "internal_error", INTERNAL_SERVER_ERROR, "Internal error",
        "The fault is the service's.",
        "Tell its operators the requestId; their log has the cause. A write under an Idempotency-Key can be sent again safely.";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "The service is overloaded",
        "There is more to do than the service can do at once, or the request took too long.",
        "Try again after Retry-After; writes with the same Idempotency-Key.";
    DatabaseUnavailable = "database_unavailable", SERVICE_UNAVAILABLE, "The database is not available",
        "The database cannot be reached or is not ready yet. A write may or may not have been done.",
        "Try again after Retry-After; writes with the same Idempotency-Key.";
    KeysUnavailable = "keys_unavailable", SERVICE_UNAVAILABLE, "The issuer's keys are not available",
        "The keys of the token issuer cannot be had, so tokens cannot be verified.",
        "Try again after Retry-After.";
}
