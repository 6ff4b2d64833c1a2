//! Compression, around the routes that hold no personal data and no secret, and around no other.
//!
//! Answers about customers are never compressed. They hold secrets beside text that others chose,
//! and the length of the two compressed together tells of the one what the other has in common with
//! it, whatever encrypts the connection (BREACH). Their entity tags are strong, too, which two
//! encodings of one answer must not share. Problems are written outside of this layer.

use axum::http::StatusCode;
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use super::problem::Problem;

/// Gzip, which every client has. Fast, since an answer is compressed each time: documents carry an
/// entity tag, so that a browser asks for each of them once.
pub(super) fn layer() -> CompressionLayer {
    CompressionLayer::new().quality(CompressionLevel::Fastest)
}

/// The library answers 406 to who takes neither gzip nor plain bytes, with the plain bytes as the
/// body. Such a caller gets the answer as it is.
pub(super) async fn never_refuse(mut response: Response) -> Response {
    if response.status() == StatusCode::NOT_ACCEPTABLE {
        let problem = response.extensions().get::<Problem>();
        *response.status_mut() = problem.map_or(StatusCode::OK, Problem::status);
    }
    response
}
