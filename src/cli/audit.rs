//! `audit`: whether anybody altered the history.

use uuid::Uuid;

use super::Fatal;
use super::maintenance::{progress, with_store};
use crate::config::{Audit, AuditCommand, AuditVerify};
use crate::store::Store;

pub(super) async fn run(settings: Audit) -> Result<(), Fatal> {
    match settings.command {
        AuditCommand::Verify(settings) => {
            let AuditVerify { customer, maintenance } = *settings;
            let whole =
                with_store(&maintenance, async |store, _| verify(store, customer).await).await?;
            println!("{whole} {} whole", if whole == 1 { "history is" } else { "histories are" });
            Ok(())
        }
    }
}

/// Checks every history, or that of one customer, and counts them.
async fn verify(store: &Store, customer: Option<Uuid>) -> Result<usize, Fatal> {
    let count = match customer {
        Some(_) => 1,
        None => store.count().await.map_err(|error| Fatal::because(&error))?,
    };
    let progress = progress(count);
    let (mut after, mut whole) = (Uuid::nil(), 0);
    loop {
        let audited = store.audit(after, customer).await;
        let (last, checked, broken) = audited.map_err(|error| Fatal::because(&error))?;
        if let Some(broken) = broken {
            progress.abandon();
            return Err(Fatal(broken.to_string()));
        }
        whole += checked;
        progress.inc(checked as u64);
        match last {
            Some(last) => after = last,
            None => break,
        }
    }
    progress.finish_and_clear();
    match customer {
        Some(customer) if whole == 0 => Err(Fatal(format!("no customer has the id {customer}"))),
        Some(_) | None => Ok(whole),
    }
}
