//! A TCP door before a database: shut, it refuses connections as a machine without the server does,
//! and all that came through it is cut. So a test takes a database away while it looks at it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The door; it works while the test's runtime does.
pub struct Gate {
    socket: PathBuf,
    url: String,
    address: SocketAddr,
    withholds: Arc<AtomicBool>,
    next_write: Arc<AtomicBool>,
    /// Whether callers are kept at the door.
    keeps: watch::Sender<bool>,
    passing: Option<JoinHandle<()>>,
}

/// How the database says that a write of the service is done: each ends in the row of the history.
const WRITTEN: &[u8] = b"INSERT 0 1";

impl Gate {
    /// An open door before the database that a URL names by its socket.
    pub async fn before(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().expect("a URL");
        let folder = options.get_socket().expect("the tests' servers have sockets");
        let socket = folder.join(format!(".s.PGSQL.{}", options.get_port()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (user, rest) = url.split_once('@').expect("a user");
        let (_, database) = rest.split_once('/').expect("a database");
        let url = format!("{user}@{address}/{database}");
        let mut gate = Self {
            socket,
            url,
            address,
            withholds: Arc::default(),
            next_write: Arc::default(),
            keeps: watch::Sender::default(),
            passing: None,
        };
        gate.pass(listener);
        gate
    }

    /// The database's URL through the door.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Cuts every connection and refuses new ones.
    pub async fn shut(&mut self) {
        let passing = self.passing.take().expect("it is open");
        passing.abort();
        passing.await.expect_err("it is aborted");
    }

    /// Lets connections through again, with all that is said on them.
    pub async fn open(&mut self) {
        self.next_write.store(false, Ordering::SeqCst);
        self.withholds.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        self.pass(listener);
    }

    /// Keeps new callers at the door: they are connected, and nobody hears them.
    pub fn keep_callers(&self) {
        self.keeps.send_replace(true);
    }

    /// How many callers wait at the door, or were there.
    pub fn callers_kept(&self) -> usize {
        self.keeps.receiver_count()
    }

    /// Lets in who waits at the door.
    pub fn let_callers_in(&self) {
        self.keeps.send_replace(false);
    }

    /// From now on the database hears, but what it answers reaches nobody.
    pub fn withhold_answers(&self) {
        self.withholds.store(true, Ordering::SeqCst);
    }

    /// From the next write on the database hears, but what it answers reaches nobody: neither that
    /// the write is done nor anything after.
    pub fn withhold_answers_from_the_next_write(&self) {
        self.next_write.store(true, Ordering::SeqCst);
    }

    fn pass(&mut self, listener: TcpListener) {
        let socket = self.socket.clone();
        let silence = Silence {
            withholds: Arc::clone(&self.withholds),
            next_write: Arc::clone(&self.next_write),
        };
        let keeps = self.keeps.clone();
        self.passing = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                let (socket, silence) = (socket.clone(), silence.clone());
                if !*keeps.borrow() {
                    connections.spawn(relay(caller, socket, silence));
                    continue;
                }
                let mut kept = keeps.subscribe();
                connections.spawn(async move {
                    if kept.wait_for(|keeps| !keeps).await.is_ok() {
                        relay(caller, socket, silence).await;
                    }
                });
            }
        }));
    }
}

/// What the database says and nobody hears.
#[derive(Clone)]
struct Silence {
    withholds: Arc<AtomicBool>,
    next_write: Arc<AtomicBool>,
}

impl Silence {
    fn swallows(&self, answer: &[u8]) -> bool {
        let written = || answer.windows(WRITTEN.len()).any(|part| part == WRITTEN);
        if self.next_write.load(Ordering::SeqCst) && written() {
            self.withholds.store(true, Ordering::SeqCst);
        }
        self.withholds.load(Ordering::SeqCst)
    }
}

async fn relay(caller: TcpStream, socket: PathBuf, silence: Silence) {
    let Ok(server) = UnixStream::connect(socket).await else { return };
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::select! {
        _ = tokio::io::copy(&mut from_caller, &mut to_server) => {}
        () = async {
            while let Some(answer) = chunk(&mut from_server).await {
                if !silence.swallows(&answer) && to_caller.write_all(&answer).await.is_err() {
                    break;
                }
            }
        } => {}
    }
}

async fn chunk(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 16 * 1024];
    let count = stream.read(&mut bytes).await.ok().filter(|&count| count > 0)?;
    bytes.truncate(count);
    Some(bytes)
}
