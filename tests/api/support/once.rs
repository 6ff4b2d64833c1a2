//! Requests of one moment: polled by one task, before the lane that they wake can run. So they are of
//! one batch in each run, which tests read off the rows (`xmin`, the transaction that wrote them).

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::Reply;

/// Polls all of them before any of them can go on; their outcomes in order.
pub async fn at_once<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, outcome) in &mut running {
            if outcome.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(done) => *outcome = Some(done),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().map(|(_, outcome)| outcome.unwrap()).collect()
}

/// Polls a request once, as far as it comes without waiting.
pub fn poll_once<T>(request: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    pin!(request).poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets a request come as far as it does without waiting, and hangs up.
pub fn hang_up(request: impl Future<Output = Reply>) {
    assert!(poll_once(&mut Box::pin(request)).is_pending(), "it waits for nothing");
}
