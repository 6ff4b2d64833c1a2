//! `serve`: start what the service needs, listen, and at a signal let go of it in order.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

use super::{Fatal, banner, development, start_embedded, store_settings, vault};
use crate::app::{App, Limits};
use crate::auth::{KeySource, Principal, Rate, RateLimit, Scopes, Verifier};
use crate::config::{Callers, DEVELOPMENT_SUBJECT, Serve};
use crate::domain::clock::Clock;
use crate::domain::{Actor, ActorType, phone};
use crate::embedded_postgres::EmbeddedPostgres;
use crate::store::{SetUpError, Store, StoreError};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces;

/// How long until the database is looked for again, while it is away at the start.
const MIGRATION_PAUSE: Duration = Duration::from_secs(1);
/// For how long the token is valid that the start prints.
const FIRST_TOKEN: Duration = Duration::from_hours(1);
/// How long nothing is accepted after accepting failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long the pool may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(settings: Serve) -> Result<(), Fatal> {
    crate::telemetry::start(&settings.log).map_err(|error| Fatal::because(&error))?;
    let traces = traces::export::start(&settings.traces).map_err(|error| Fatal::because(&error))?;
    let mut signals = Signals::new()?;
    let (verifier, banner) = callers(&settings)?;
    let vault = vault(&settings.database.keys, &settings.auth, &settings.database.data)?;
    let listener = TcpListener::bind(settings.listen_addr)
        .await
        .map_err(|error| Fatal(format!("cannot listen on {}: {error}", settings.listen_addr)))?;
    let address = listener.local_addr().map_err(|error| Fatal::because(&error))?;
    phone::warm_up();

    let embedded = tokio::select! {
        embedded = start_embedded(&settings.database) => embedded?,
        () = signals.recv() => return Ok(()),
    };
    let store = store_settings(&settings.database, embedded.as_ref());
    let store = Store::new(&store, Arc::new(vault)).map_err(|error| Fatal::because(&error))?;
    let metrics = Metrics::start();
    let beside = settings.metrics_addr.is_none() && address.ip().is_loopback();
    if let Some(address) = settings.metrics_addr {
        serve_metrics(address, store.clone(), metrics.clone()).await?;
    }
    tokio::spawn({
        let metrics = metrics.clone();
        async move { metrics.keep_up().await }
    });
    let app = Arc::new(App {
        store: store.clone(),
        verifier,
        clock: Clock::System,
        limits: Limits {
            body_timeout: settings.body_timeout,
            request_timeout: settings.request_timeout,
            ..Limits::default()
        },
        metrics: beside.then_some(metrics),
        require_if_match: settings.require_if_match,
        rate_limit: rate(&settings.callers).map(|rate| RateLimit::new(rate, &Clock::System)),
        cors_origins: settings.callers.cors_allowed_origins.clone().unwrap_or_default().0,
    });
    tracing::info!(%address, "listening");
    let served = serve(&settings, listener, app, &mut signals, embedded, || {
        if let Some(token) = &banner {
            print!("{}", banner::banner(address, token));
        }
        tracing::info!("ready");
    })
    .await;
    if let Some(traces) = traces {
        traces.stop().await;
    }
    tracing::info!("stopped");
    served
}

fn rate(callers: &Callers) -> Option<Rate> {
    let per_second = NonZeroU32::new(callers.rate_limit_per_second?)?;
    let burst = callers.rate_limit_burst.and_then(NonZeroU32::new).unwrap_or(per_second);
    Some(Rate { per_second, burst })
}

/// Who may call, and in the development mode a first token for the one who starts it.
fn callers(settings: &Serve) -> Result<(Verifier, Option<String>), Fatal> {
    let auth = &settings.auth;
    let Some(issuer) = &auth.auth_issuer else {
        if !settings.listen_addr.ip().is_loopback() && !auth.development_mode {
            return Err(Fatal(format!(
                "without AUTH_ISSUER the service runs in the development mode, which listens on \
                 loopback only, not on {}; configure an issuer, or set DEVELOPMENT_MODE=true if \
                 nobody else can reach that address",
                settings.listen_addr
            )));
        }
        let (key, rules) = development(auth, &settings.database.data)?;
        let id = DEVELOPMENT_SUBJECT.parse().map_err(|error| Fatal::because(&error))?;
        let actor = Actor { kind: ActorType::ServiceAccount, id };
        let token = key
            .mint(&Principal { actor, scopes: Scopes::all() }, FIRST_TOKEN, &rules)
            .map_err(|error| Fatal::because(&error))?;
        return Ok((Verifier::development(&key, rules), Some(token)));
    };
    if auth.development_mode {
        return Err(Fatal("DEVELOPMENT_MODE and AUTH_ISSUER rule each other out".to_owned()));
    }
    let source = auth.auth_jwks_url.as_deref().ok_or_else(|| {
        Fatal("AUTH_ISSUER needs AUTH_JWKS_URL: the URL or file of the issuer's keys".to_owned())
    })?;
    let source: KeySource =
        source.parse().map_err(|error| Fatal(format!("AUTH_JWKS_URL {error}")))?;
    Ok((Verifier::from_issuer(source, super::token_rules(auth, issuer)), None))
}

async fn serve(
    settings: &Serve,
    listener: TcpListener,
    app: Arc<App>,
    signals: &mut Signals,
    mut embedded: Option<EmbeddedPostgres>,
    when_ready: impl FnOnce(),
) -> Result<(), Fatal> {
    let store = app.store.clone();
    let router = crate::http::router(app);
    let connections = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(settings.max_connections as usize));
    let mut migration = Box::pin(migrated(&store, settings.no_migrate));
    let mut when_ready = Some(when_ready);
    let ended = loop {
        tokio::select! {
            connection = accept(&listener, &slots) => {
                let (stream, slot) = connection;
                let service = router.clone().map_request(|request: Request<Incoming>| request.map(Body::new));
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(settings.header_timeout)
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
                let connection = connections.watch(connection);
                tokio::spawn(async move {
                    // A caller that breaks off is no event.
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection broke");
                    }
                    drop(slot);
                });
            }
            ready = &mut migration, if when_ready.is_some() => match ready {
                Ok(()) => {
                    if let Some(announce) = when_ready.take() {
                        announce();
                    }
                }
                Err(error) => break Err(error),
            },
            () = ended(&mut embedded) => {
                break Err(Fatal("the private database server has ended; its log is in the data folder".to_owned()));
            }
            () = signals.recv() => break Ok(()),
        }
    };
    drop(listener);
    // The connection that it holds, where a signal came before it was done, has to close too.
    drop(migration);
    tracing::info!("stopping: the requests under way have {:?}", settings.shutdown_timeout);
    tokio::select! {
        () = connections.shutdown() => {}
        () = tokio::time::sleep(settings.shutdown_timeout) => {
            tracing::warn!("requests were cut off: they did not finish in time");
        }
        () = signals.recv() => tracing::warn!("requests were cut off: a second signal came"),
    }
    if tokio::time::timeout(CLOSE_TIMEOUT, store.close()).await.is_err() {
        tracing::warn!("database connections were cut off: they did not close in time");
    }
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    ended
}

/// Serves the metrics on an address of their own, until the process ends.
async fn serve_metrics(address: SocketAddr, store: Store, metrics: Metrics) -> Result<(), Fatal> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Fatal(format!("cannot listen on {address} for metrics: {error}")))?;
    let address = listener.local_addr().unwrap_or(address);
    tracing::info!(%address, "serving metrics");
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, crate::http::metrics_router(store, metrics)).await
        {
            tracing::error!(%error, "metrics are served no longer");
        }
    });
    Ok(())
}

/// The next connection, once there is a slot for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection broke");
                }
                return (stream, slot);
            }
            Err(error) => {
                // Out of file descriptors, mostly: wait for some to be given back.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Waits until the database is migrated, however long it is away.
async fn migrated(store: &Store, by_others: bool) -> Result<(), Fatal> {
    let mut said = false;
    loop {
        let migrated = if by_others { Ok(()) } else { store.migrate().await };
        let away = match migrated {
            Ok(()) => match store.is_ready().await {
                Ok(true) => return Ok(()),
                Ok(false) => "it is not migrated yet".to_owned(),
                Err(error @ StoreError::ForeignKeyring) => return Err(Fatal::because(&error)),
                Err(error) => error.to_string(),
            },
            Err(SetUpError::Away(error)) => error.to_string(),
            Err(
                error @ (SetUpError::Url
                | SetUpError::FewConnections { .. }
                | SetUpError::Migration(_)),
            ) => {
                return Err(Fatal::because(&error));
            }
        };
        if !said {
            tracing::warn!(reason = away, "waiting for the database");
            said = true;
        }
        tokio::time::sleep(MIGRATION_PAUSE).await;
    }
}

async fn ended(embedded: &mut Option<EmbeddedPostgres>) {
    match embedded {
        Some(embedded) => {
            let error = embedded.ended().await;
            tracing::error!(%error, "the private database server has ended");
        }
        None => std::future::pending().await,
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Fatal> {
        let listen = |kind| signal(kind).map_err(|error| Fatal::because(&error));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
