//! Bodies that arrive piece by piece, without a length said beforehand.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::Frame;

/// What comes after the last piece.
#[derive(Clone, Copy)]
pub enum End {
    /// The end of the body.
    Done,
    /// Nothing, ever.
    Silence,
    /// The connection breaks.
    Broken,
}

/// A body of these pieces.
pub fn body(pieces: &[&[u8]], end: End) -> Body {
    let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
    Body::new(Pieces { pieces, end })
}

struct Pieces {
    pieces: VecDeque<Bytes>,
    end: End,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match (self.pieces.pop_front(), self.end) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, End::Done) => Poll::Ready(None),
            (None, End::Silence) => Poll::Pending,
            (None, End::Broken) => {
                Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
            }
        }
    }
}
