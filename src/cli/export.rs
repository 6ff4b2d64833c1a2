//! `export`: every customer, one a line, as it is at one moment.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::Fatal;
use super::maintenance::{progress, with_store};
use crate::config::Export;
use crate::customers::{self, Act, StoreError, View};
use crate::domain::Actor;
use crate::domain::clock::Clock;
use crate::store::Store;
use crate::store::entry::Head;
use crate::store::export::Stored;
use crate::wire::document;

/// How many customers are taken from the database at a time.
const AT_ONCE: usize = 500;

impl From<StoreError> for Fatal {
    fn from(error: StoreError) -> Self {
        Self::because(&error)
    }
}

pub(super) async fn run(settings: Export) -> Result<(), Fatal> {
    let with_secrets = settings.with_secrets.then(|| settings.by.actor());
    let mut output = Output::open(settings.output.as_deref())?;
    let count = with_store(&settings.maintenance, async |store, _| {
        export(store, with_secrets, &mut output.writer).await
    })
    .await?;
    output.finish()?;
    if settings.output.is_some() {
        println!("{count} customers exported");
    }
    Ok(())
}

/// Writes the customers; how many there were.
async fn export(
    store: &Store,
    with_secrets: Option<Actor>,
    output: &mut dyn Write,
) -> Result<u64, Fatal> {
    let progress = progress(store.count().await?);
    let request_id = format!("export-{}", Uuid::new_v4());
    if let Some(actor) = with_secrets {
        tracing::warn!(actor = %actor.id, request = request_id, "exporting secrets in clear text");
    }
    let mut count = 0;
    store
        .export(AT_ONCE, async |customers: Vec<Stored>| {
            let erased = match with_secrets {
                Some(actor) => tell(store, actor, &request_id, &customers).await?,
                None => Vec::new(),
            };
            for customer in customers.iter().filter(|customer| !erased.contains(&customer.head.id))
            {
                let line = line(store, customer, with_secrets.is_some())?;
                writeln!(output, "{line}").map_err(|error| cannot_write(&error))?;
                count += 1;
            }
            progress.inc(customers.len() as u64);
            Ok::<(), Fatal>(())
        })
        .await?;
    output.flush().map_err(|error| cannot_write(&error))?;
    progress.finish_and_clear();
    Ok(count)
}

fn line(store: &Store, customer: &Stored, with_secrets: bool) -> Result<String, Fatal> {
    let (social_id, answer) =
        if with_secrets { store.open_stored(customer)? } else { (None, None) };
    document::exported(
        &customer.document,
        customer.head.version,
        social_id.as_ref().map(ExposeSecret::expose_secret),
        answer.as_ref().map(ExposeSecret::expose_secret),
    )
    // The library's message may quote the document.
    .map_err(|_| Fatal(format!("the document of customer {} cannot be read", customer.head.id)))
}

/// Tells the histories, before anything is written; which customers were erased meanwhile.
async fn tell(
    store: &Store,
    actor: Actor,
    request_id: &str,
    customers: &[Stored],
) -> Result<Vec<Uuid>, Fatal> {
    let act = Act { actor, at: Clock::System.now(), request_id, view: View::Masked, key: None };
    let shown = customers.iter().filter(|customer| customer.has_secrets());
    let heads: Vec<&Head> = shown.map(|customer| &customer.head).collect();
    let told = customers::secrets::tell_of_export(store, act, &heads).await;
    told.map_err(|error| Fatal::because(&error))
}

/// Where the lines go: a file appears under its name once it is whole, and is gone where it fails.
struct Output {
    writer: BufWriter<Box<dyn Write>>,
    file: Option<(NamedTempFile, PathBuf)>,
}

impl Output {
    fn open(path: Option<&Path>) -> Result<Self, Fatal> {
        let Some(path) = path else {
            return Ok(Self { writer: BufWriter::new(Box::new(io::stdout())), file: None });
        };
        let opened = super::replaceable(path)
            .and_then(|()| unfinished(path))
            .and_then(|file| Ok((file.reopen()?, file)))
            .map_err(|error| Fatal(format!("{} cannot be written: {error}", path.display())))?;
        let writer: Box<dyn Write> = Box::new(opened.0);
        Ok(Self {
            writer: BufWriter::with_capacity(256 * 1024, writer),
            file: Some((opened.1, path.to_owned())),
        })
    }

    fn finish(self) -> Result<(), Fatal> {
        let Some((file, path)) = self.file else { return Ok(()) };
        drop(self.writer);
        file.as_file().sync_all().map_err(|error| cannot_write(&error))?;
        file.persist(path).map(|_| ()).map_err(|error| cannot_write(&error.error))
    }
}

/// A file beside the one to come, that its owner alone can read.
fn unfinished(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    tempfile::Builder::new()
        .prefix(".export-")
        .suffix(".unfinished")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
}

fn cannot_write(error: &io::Error) -> Fatal {
    Fatal(format!("the export cannot be written: {error}"))
}
