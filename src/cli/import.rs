//! `import`: customers from a file, one a line, in batches.
//!
//! Three stages, each with little before it: a thread reads lines, tasks check them and write them
//! some at a time, and the outcomes are told in the order of the lines. So memory does not grow with
//! the file.

use std::collections::VecDeque;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Fatal;
use super::lines::{self, Chunk, Line};
use super::maintenance::with_store;
use crate::config::Import;
use crate::customers::StoreError;
use crate::customers::import::{self, Origin, Outcome, Prepared, Rejection};
use crate::domain::clock::Clock;
use crate::http::problem::{Problem, ProblemCode};
use crate::store::Store;

/// The status where lines were rejected.
const REJECTED: u8 = 3;
/// How many chunks are checked and written at once.
const CHUNKS_AT_ONCE: usize = 3;
/// How often the log tells how far it is, where nobody watches a bar.
const TELL_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn run(settings: Import) -> Result<ExitCode, Fatal> {
    let from_stdin = settings.file == Path::new("-");
    let file_name = || settings.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = settings.name.clone().or_else(file_name);
    let name = name.ok_or_else(|| Fatal("this is no file; give the import a --name".to_owned()))?;
    let rejected = settings.rejected.clone().unwrap_or_else(|| {
        let mut path =
            if from_stdin { "import".into() } else { settings.file.clone().into_os_string() };
        path.push(".rejected.ndjson");
        PathBuf::from(path)
    });
    let same = |one: &Path, other: &Path| {
        one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
    };
    if !from_stdin && same(&settings.file, &rejected) {
        return Err(Fatal("rejected lines cannot be told in the file that is read".to_owned()));
    }
    let source = (!from_stdin).then_some(settings.file.as_path());
    let (chunks, length) = lines::read(source)
        .map_err(|error| Fatal(format!("{} cannot be read: {error}", settings.file.display())))?;
    let origin = Origin {
        name,
        actor: settings.by.actor(),
        at: Clock::System.now(),
        request_id: format!("import-{}", Uuid::new_v4()),
    };
    let tally = with_store(&settings.maintenance, async move |store, _| {
        let work = Work { store: store.clone(), origin, dry_run: settings.dry_run };
        // What an earlier run told goes only now that there is a database.
        import(Arc::new(work), chunks, length, Rejected::new(rejected)?).await
    })
    .await?;
    println!("{}", tally.told(settings.dry_run));
    Ok(if tally.rejected > 0 { ExitCode::from(REJECTED) } else { ExitCode::SUCCESS })
}

/// What every chunk needs.
struct Work {
    store: Store,
    origin: Origin,
    dry_run: bool,
}

/// How many lines came to what.
#[derive(Default)]
struct Tally {
    created: u64,
    already_there: u64,
    rejected: u64,
    took: Duration,
}

impl Tally {
    fn lines(&self) -> u64 {
        self.created + self.already_there + self.rejected
    }

    fn told(&self, dry_run: bool) -> String {
        let Self { created, already_there, rejected, took } = self;
        let written = if dry_run {
            format!("{created} fit to be created")
        } else {
            format!("{created} created, {already_there} already there")
        };
        format!(
            "{} lines: {written}, {rejected} rejected, in {:.1} s ({:.0} a second)",
            self.lines(),
            took.as_secs_f64(),
            self.rate(*took)
        )
    }

    /// Lines a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self, took: Duration) -> f64 {
        self.lines() as f64 / took.as_secs_f64().max(0.001)
    }
}

/// The outcomes of a chunk's lines, in their order.
type Outcomes = Vec<(u64, Outcome)>;

async fn import(
    work: Arc<Work>,
    mut chunks: tokio::sync::mpsc::Receiver<std::io::Result<Chunk>>,
    length: Option<u64>,
    mut rejected: Rejected,
) -> Result<Tally, Fatal> {
    let (begun, progress) = (Instant::now(), bar(length));
    let mut told = Instant::now();
    let mut tally = Tally::default();
    let mut under_way: VecDeque<(u64, JoinHandle<Result<Outcomes, StoreError>>)> = VecDeque::new();
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut stopped = false;
    loop {
        let next = if stopped || under_way.len() >= CHUNKS_AT_ONCE {
            None
        } else {
            tokio::select! {
                biased;
                _ = &mut interrupt => { stopped = true; None }
                chunk = chunks.recv() => chunk,
            }
        };
        if let Some(chunk) = next {
            let chunk =
                chunk.map_err(|error| Fatal(format!("the file cannot be read: {error}")))?;
            let (work, end) = (Arc::clone(&work), chunk.end);
            under_way.push_back((end, tokio::spawn(async move { work.take(chunk).await })));
            continue;
        }
        let Some((end, chunk)) = under_way.pop_front() else { break };
        let outcomes = chunk.await.map_err(|error| Fatal::because(&error))?;
        let outcomes = outcomes.map_err(|error| {
            Fatal(format!("{error}; run the same again: what was written is passed over"))
        })?;
        for (number, outcome) in outcomes {
            match outcome {
                Outcome::Created => tally.created += 1,
                Outcome::AlreadyThere => tally.already_there += 1,
                Outcome::Rejected(rejection) => {
                    tally.rejected += 1;
                    rejected.tell(number, rejection)?;
                }
            }
        }
        progress.set_position(end);
        progress.set_message(format!("{:.0} lines a second", tally.rate(begun.elapsed())));
        if progress.is_hidden() && told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tracing::info!(lines = tally.lines(), rejected = tally.rejected, "importing");
        }
    }
    progress.finish_and_clear();
    rejected.finish()?;
    if stopped {
        return Err(Fatal(format!(
            "stopped after {} lines; run the same again: what was written is passed over",
            tally.lines()
        )));
    }
    tally.took = begun.elapsed();
    Ok(tally)
}

impl Work {
    /// Checks a chunk's lines and writes those that are fit.
    async fn take(self: Arc<Self>, chunk: Chunk) -> Result<Outcomes, StoreError> {
        let work = Arc::clone(&self);
        let checked = tokio::task::spawn_blocking(move || {
            chunk.lines.into_iter().map(|line| work.check(&line)).collect::<Result<Vec<_>, _>>()
        })
        .await
        .map_err(|error| StoreError::Corrupt(error.to_string()))??;
        let mut outcomes = Outcomes::with_capacity(checked.len());
        let (mut numbers, mut fit) = (Vec::new(), Vec::new());
        for (number, line) in checked {
            match line {
                Ok(_) if self.dry_run => outcomes.push((number, Outcome::Created)),
                Ok(prepared) => {
                    numbers.push(number);
                    fit.push(prepared);
                }
                Err(rejection) => outcomes.push((number, Outcome::Rejected(rejection))),
            }
        }
        if !fit.is_empty() {
            outcomes.extend(numbers.into_iter().zip(import::write(&self.store, fit).await?));
        }
        outcomes.sort_unstable_by_key(|(number, _)| *number);
        Ok(outcomes)
    }

    fn check(&self, line: &Line) -> Result<(u64, Result<Prepared, Rejection>), StoreError> {
        let checked = match &line.text {
            Some(text) => import::prepare(&self.store, &self.origin, line.number, text)?,
            None => Err(Rejection::TooLong),
        };
        Ok((line.number, checked))
    }
}

/// The file that tells of rejected lines; made with the first.
struct Rejected {
    path: PathBuf,
    file: Option<BufWriter<std::fs::File>>,
}

impl Rejected {
    /// Takes away what an earlier run told.
    fn new(path: PathBuf) -> Result<Self, Fatal> {
        super::take_away(&path)
            .map_err(|error| Fatal(format!("{} cannot be written: {error}", path.display())))?;
        Ok(Self { path, file: None })
    }

    fn tell(&mut self, number: u64, rejection: Rejection) -> Result<(), Fatal> {
        let told = json!({ "line": number, "problem": problem(rejection).document() });
        let wrote = self.file().and_then(|file| writeln!(file, "{told}"));
        wrote.map_err(|error| self.cannot(&error))
    }

    fn file(&mut self) -> std::io::Result<&mut BufWriter<std::fs::File>> {
        if self.file.is_none() {
            self.file = Some(BufWriter::new(super::private_file(&self.path)?));
        }
        self.file.as_mut().ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn finish(mut self) -> Result<(), Fatal> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let flushed = file.flush();
        flushed.map_err(|error| self.cannot(&error))?;
        tracing::warn!(file = %self.path.display(), "lines were rejected");
        Ok(())
    }

    fn cannot(&self, error: &std::io::Error) -> Fatal {
        Fatal(format!("{} cannot be written: {error}", self.path.display()))
    }
}

/// The problem that the API would have answered.
fn problem(rejection: Rejection) -> Problem {
    match rejection {
        Rejection::NotJson(error) => error.into(),
        Rejection::TooLong => Problem::new(
            ProblemCode::BodyTooLarge,
            format!("a line may have {} bytes at most", lines::LONGEST_LINE),
        ),
        Rejection::Refused(error) => error.into(),
        taken @ Rejection::Taken => Problem::new(ProblemCode::WriteConflict, taken.to_string()),
    }
}

/// A bar of the file's bytes on standard error, where that is a terminal.
fn bar(length: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    let template = match length {
        Some(_) => "{wide_bar} {bytes}/{total_bytes}, {msg}, {eta} left",
        None => "{spinner} {bytes}, {msg}",
    };
    bar.with_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}
