//! The built binary as a process of its own, over a real socket.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

pub use super::holder::eventually;
use super::{Reply, contract};

/// The account every Unix has; its number is the same on Linux distributions.
pub const NOBODY: u32 = 65_534;

/// What the programs take over from the environment of the tests: where programs, libraries and
/// temporary files are. No setting of whoever runs the tests.
const INHERITED: [&str; 4] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"];

/// Whether a process runs.
pub fn runs(pid: i32) -> bool {
    nix::sys::signal::kill(Pid::from_raw(pid), None).is_ok()
}

/// The binary with settings, not started yet.
pub struct Program {
    command: Command,
    data_dir: PathBuf,
}

impl Program {
    /// `serve` on a free port, with a data folder, and a database in it.
    pub fn new(data_dir: &Path) -> Self {
        Self::at(Path::new(env!("CARGO_BIN_EXE_customer-accounts")), data_dir)
    }

    /// The same, of a binary elsewhere.
    pub fn at(binary: &Path, data_dir: &Path) -> Self {
        let mut command = Command::new(binary);
        command.env_clear().current_dir("/").stdin(Stdio::null());
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("DATA_DIR", data_dir).env("LISTEN_ADDR", "127.0.0.1:0");
        Self { command, data_dir: data_dir.to_owned() }
    }

    /// With an environment variable.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// With arguments.
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// As an ordinary user.
    pub fn run_by_nobody(mut self) -> Self {
        self.command.uid(NOBODY).gid(NOBODY);
        self
    }

    /// Runs it to its end.
    pub async fn run(self) -> Ended {
        let mut running = self.spawn();
        let status = running.ended().await;
        Ended { status, stdout: running.stdout.text(), stderr: running.log() }
    }

    /// Starts it, and waits until it listens.
    pub async fn start_listening(self) -> Running {
        let mut running = self.spawn();
        eventually("the service listens", async || {
            let ended = running.child.try_wait().unwrap();
            assert_eq!(ended, None, "it ended: {}", running.log());
            let line = running.lines().into_iter().find(|line| line["message"] == "listening");
            running.address = line.map(|line| line["address"].as_str().unwrap().parse().unwrap());
            running.address.is_some()
        })
        .await;
        running
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(self) -> Running {
        let running = self.start_listening().await;
        running.ready().await;
        running
    }

    /// Starts it, and waits for nothing.
    pub fn spawn(mut self) -> Running {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the binary starts");
        let stdout = Captured::from(child.stdout.take().unwrap());
        let stderr = Captured::from(child.stderr.take().unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Running { child, client, stdout, stderr, address: None, data_dir: self.data_dir }
    }
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "{self:?}");
        self
    }

    /// Asserts that it refused, with these words among others, and without a panic.
    #[track_caller]
    pub fn refused(self, words: &[&str]) {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        assert_eq!(self.stdout, "");
        for word in words {
            assert!(self.stderr.contains(word), "{word} is not in: {}", self.stderr);
        }
    }
}

/// What a process writes, read as it comes so that it never waits for us.
struct Captured {
    text: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Captured {
    fn from(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let mut text = written.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// Waits for the last line; the process has ended.
    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

/// A program that runs; killed when dropped.
pub struct Running {
    child: Child,
    client: reqwest::Client,
    stdout: Captured,
    stderr: Captured,
    address: Option<SocketAddr>,
    data_dir: PathBuf,
}

impl Running {
    /// Where it listens, reached from this machine.
    pub fn address(&self) -> SocketAddr {
        let address = self.address.expect("it listens");
        SocketAddr::from(([127, 0, 0, 1], address.port()))
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        eventually("the service is ready", async || self.get("/readyz").await.status == 200).await;
    }

    /// What it has written to standard error.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// The same, a JSON object a line.
    pub fn lines(&self) -> Vec<Value> {
        let log = self.log();
        log.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// The line for the shell that it prints in the development mode when it is ready.
    pub async fn curl(&self) -> String {
        let line = || {
            let said = self.stdout.text();
            said.lines().find(|line| line.starts_with("curl ")).map(ToOwned::to_owned)
        };
        eventually("the curl line is printed", async || line().is_some()).await;
        line().unwrap()
    }

    /// The token in that line.
    pub async fn token(&self) -> String {
        let curl = self.curl().await;
        let (_, rest) = curl.split_once("Bearer ").unwrap();
        rest.split_once('\'').unwrap().0.to_owned()
    }

    /// A request without a body; the contract judges the answer.
    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, None).await
    }

    /// A customer read with a token.
    pub async fn read(&self, path: &str, token: &str) -> Reply {
        self.send("GET", path, Some(token), None).await
    }

    /// A request with a JSON body and a token; the contract judges the answer.
    pub async fn write(&self, method: &str, path: &str, token: &str, body: &Value) -> Reply {
        self.send(method, path, Some(token), Some(body.to_string())).await
    }

    /// A request; the contract judges the answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
    ) -> Reply {
        let url = format!("http://{}{path}", self.address());
        let mut request = self.client.request(method.parse().unwrap(), url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.expect("it answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let reply = Reply { status, headers, text: response.text().await.unwrap() };
        contract::judge(method, path, &reply);
        reply
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).expect("it runs");
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended, and until all that it said is read.
    pub async fn ended(&mut self) -> ExitStatus {
        eventually("the process ends", async || !self.runs()).await;
        self.stdout.finish();
        self.stderr.finish();
        self.child.wait().unwrap()
    }

    /// Tells it to stop, and waits until it has.
    pub async fn terminate(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended().await;
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// Kills it with SIGKILL, and waits until it is gone. Its own database server may still stop.
    pub fn kill(mut self) {
        self.end_by_force();
    }

    fn end_by_force(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.runs() {
            return;
        }
        self.end_by_force();
        // Only when its server is gone can the folder be removed; the sockets go last.
        let sockets = std::fs::read_link(self.data_dir.join("socket"));
        for _ in 0..1_000 {
            if !sockets.as_ref().is_ok_and(|sockets| sockets.exists()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
