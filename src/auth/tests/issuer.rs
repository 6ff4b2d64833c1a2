//! An issuer on a loopback socket that says what the test tells it to, and counts.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::super::{KeySource, TokenRules, Verifier};
use super::rules;

pub(super) struct Issuer {
    source: KeySource,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    /// The whole HTTP answer.
    answer: Mutex<String>,
    asked: AtomicUsize,
    /// A permit for each answer: taken away, the issuer is asked but does not answer yet.
    answers: Semaphore,
    /// A permit for each time that the issuer was asked.
    questions: Semaphore,
}

impl Issuer {
    /// An issuer of these keys.
    pub(super) async fn of(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            answer: Mutex::default(),
            asked: AtomicUsize::new(0),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
            questions: Semaphore::new(0),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        let source = format!("http://{address}/jwks.json").parse().unwrap();
        let issuer = Self { source, state, server };
        issuer.publishes(keys);
        issuer
    }

    pub(super) fn verifier(&self) -> Verifier {
        self.verifier_under(rules())
    }

    pub(super) fn verifier_under(&self, rules: TokenRules) -> Verifier {
        Verifier::from_issuer(self.source.clone(), rules)
    }

    /// Where the keys are.
    pub(super) fn address(&self) -> String {
        self.source.to_string()
    }

    /// Closes the socket.
    pub(super) async fn goes_away(mut self) {
        self.server.abort();
        // Its end is the news, not how it ended: an abort reads as an error.
        _ = (&mut self.server).await;
    }

    pub(super) fn publishes(&self, keys: &[Value]) {
        self.says("200 OK", &json!({ "keys": keys }).to_string());
    }

    pub(super) fn says(&self, status: &str, body: &str) {
        self.says_with(status, "", body);
    }

    /// `headers`: whole lines.
    pub(super) fn says_with(&self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        *self.state.answer.lock().unwrap() = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
    }

    /// How often the keys were fetched.
    pub(super) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// Keeps the issuer from answering until [`Self::answers_again`].
    pub(super) fn falls_silent(&self) {
        self.state.answers.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn answers_again(&self) {
        self.state.answers.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Waits until the issuer was asked once more.
    pub(super) async fn is_asked(&self) {
        self.state.questions.acquire().await.unwrap().forget();
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        state.asked.fetch_add(1, Ordering::SeqCst);
        state.questions.add_permits(1);
        drop(state.answers.acquire().await.unwrap());
        let answer = state.answer.lock().unwrap().clone();
        // Who is sent too much hangs up before the end.
        if let Err(error) = stream.write_all(answer.as_bytes()).await {
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset));
        }
    }
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
}
