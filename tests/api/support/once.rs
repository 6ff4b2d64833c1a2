//! Requests of one moment: polled by one task, before the lane that they wake can run. So they are of
//! one batch in each run, which tests read off the rows (`xmin`, the transaction that wrote them).

use std::pin::pin;
use std::task::Poll;

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

/// Polls a request once, as far as it comes without waiting, and hangs up.
pub async fn hang_up(request: impl Future<Output = Reply>) {
    let mut request = pin!(request);
    std::future::poll_fn(|context| {
        assert!(request.as_mut().poll(context).is_pending(), "it waits for nothing");
        Poll::Ready(())
    })
    .await;
}
