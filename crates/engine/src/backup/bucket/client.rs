//! Requests to an object store: bounded in time and number, and their errors in words.

use std::error::Error as _;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, Error, ObjectStore, RetryConfig};
use tokio::runtime::{Builder, Runtime};
use whimbrel_core::backup::{BackupId, StoreKind, StoreUrl, check_endpoint};

use crate::apply::StopFlag;
use crate::backup::BackupStore;
use crate::error::{EngineError, StoreFault};
use crate::threads::can_wait;

/// The region where none is named; servers that are compatible with S3 mostly take any.
const REGION: &str = "us-east-1";
/// How often somebody who waits looks whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most bytes of what a store says that are shown.
const SAID_BYTES_MAX: usize = 300;

/// How long and how often a request is tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Until a connection is there.
    pub(super) connect: Duration,
    /// Until the next byte of an answer.
    pub(super) read: Duration,
    /// Until the end of one request.
    pub(super) request: Duration,
    /// How often it is tried again.
    pub(super) retries_max: usize,
    /// No new try begins after so long.
    pub(super) all: Duration,
}

/// Enough for a chunk over 0.5 Mbit/s, and a store that is restarted.
pub(super) const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(30),
    request: Duration::from_secs(90),
    retries_max: 5,
    all: Duration::from_secs(60),
};

/// A place in an object store, and who may stop the work on it.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) url: StoreUrl,
    pub(super) stop: StopFlag,
}

impl Client {
    /// Prepares for requests; sends none.
    pub(super) fn new(
        store: &BackupStore,
        limits: Limits,
        stop: StopFlag,
    ) -> Result<Client, EngineError> {
        // The first one stays; whoever comes later has the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let built = match store.url.kind {
            StoreKind::S3 => amazon(store, limits),
            StoreKind::Google => google(store, limits),
            StoreKind::Azure => azure(store, limits),
        };
        Ok(Client { store: built?, url: store.url.clone(), stop })
    }

    /// The path of an object, or of all whose names begin like that.
    pub(super) fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.url.prefix))
    }

    /// The path of an object of a backup.
    pub(super) fn path_of(&self, id: &BackupId, name: &str) -> Path {
        self.path(&format!("{id}/{name}"))
    }

    /// The same for work that nobody may stop.
    pub(super) fn to_the_end(&self) -> Client {
        Client { stop: StopFlag::default(), ..self.clone() }
    }

    /// Waits for requests; an error of the store is the caller's to judge.
    pub(super) fn try_ask<T: Send + 'static, F>(
        &self,
        work: impl FnOnce(Client) -> F,
    ) -> Result<Result<T, Error>, EngineError>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.wait(work(self.clone()))
    }

    /// Waits for requests that must succeed.
    pub(super) fn ask<T: Send + 'static, F>(
        &self,
        work: impl FnOnce(Client) -> F,
    ) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.try_ask(work)?.map_err(|error| self.failed(&error))
    }

    /// Waits for work, from whatever thread.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, EngineError> {
        let lost = || self.error(StoreFault::Other, "The thread for it is gone".to_owned());
        let runtime = runtime().ok_or_else(lost)?;
        let (sender, receiver) = sync_channel(1);
        let task = runtime.spawn(async move {
            let _ = sender.send(work.await);
        });
        let answer = || loop {
            match receiver.recv_timeout(LOOK_EVERY) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(lost()),
                Err(RecvTimeoutError::Timeout) if self.stop.is_set() => {
                    task.abort();
                    return Err(EngineError::Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        // Other tasks of the thread that waits go on elsewhere meanwhile.
        if can_wait() { tokio::task::block_in_place(answer) } else { answer() }
    }

    /// An error of the store, without its secrets.
    pub(super) fn failed(&self, error: &Error) -> EngineError {
        let (fault, reason) = said(error);
        self.error(fault, reason)
    }

    fn error(&self, fault: StoreFault, reason: String) -> EngineError {
        EngineError::Store { store: self.url.to_string(), fault, reason }
    }
}

/// Drives the connections to object stores; it lives as long as the process, as dropping a runtime
/// would have to wait.
fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let build = || {
        Builder::new_multi_thread().worker_threads(1).thread_name("buckets").enable_all().build()
    };
    RUNTIME.get_or_init(|| build().ok()).as_ref()
}

fn options(limits: Limits, plain: bool) -> (ClientOptions, RetryConfig) {
    let options = ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(limits.connect)
        .with_read_timeout(limits.read)
        .with_timeout(limits.request);
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(200),
        max_backoff: Duration::from_secs(10),
        base: 2.0,
    };
    let (max_retries, retry_timeout) = (limits.retries_max, limits.all);
    (options, RetryConfig { backoff, max_retries, retry_timeout })
}

type Built = Result<Arc<dyn ObjectStore>, EngineError>;

fn amazon(store: &BackupStore, limits: Limits) -> Built {
    let plain = store.endpoint.as_ref().is_some_and(|one| one.starts_with("http://"));
    let (options, retry) = options(limits, plain);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&store.url.bucket)
        .with_region(store.region.as_deref().unwrap_or(REGION))
        .with_access_key_id(key(store, "AWS_ACCESS_KEY_ID")?)
        .with_secret_access_key(key(store, "AWS_SECRET_ACCESS_KEY")?)
        .with_client_options(options)
        .with_retry(retry);
    if let Ok(token) = key(store, "AWS_SESSION_TOKEN") {
        builder = builder.with_token(token);
    }
    if let Some(endpoint) = &store.endpoint {
        check_endpoint(endpoint, store.plain_http_host.as_deref()).map_err(|reason| {
            EngineError::Refused(format!("The `endpoint` of {} is not valid: {reason}", store.url))
        })?;
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    built(store, builder.build())
}

fn google(store: &BackupStore, limits: Limits) -> Built {
    let (options, retry) = options(limits, false);
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&store.url.bucket)
        .with_service_account_path(key(store, "GOOGLE_SERVICE_ACCOUNT")?)
        .with_client_options(options)
        .with_retry(retry);
    built(store, builder.build())
}

fn azure(store: &BackupStore, limits: Limits) -> Built {
    let (options, retry) = options(limits, false);
    let builder = MicrosoftAzureBuilder::new()
        .with_container_name(&store.url.bucket)
        .with_account(key(store, "AZURE_STORAGE_ACCOUNT_NAME")?)
        .with_access_key(key(store, "AZURE_STORAGE_ACCOUNT_KEY")?)
        .with_client_options(options)
        .with_retry(retry);
    built(store, builder.build())
}

/// The value of a variable that is needed.
fn key<'a>(store: &'a BackupStore, name: &'static str) -> Result<&'a str, EngineError> {
    let value = store.keys.iter().find(|(one, _)| *one == name).map(|(_, value)| value.expose());
    value.ok_or_else(|| EngineError::Store {
        store: store.url.to_string(),
        fault: StoreFault::Keys,
        reason: format!("the variable `{name}` is not set"),
    })
}

fn built<T: ObjectStore>(store: &BackupStore, result: Result<T, Error>) -> Built {
    match result {
        Ok(built) => Ok(Arc::new(built)),
        // What it says may repeat a key.
        Err(_) => Err(EngineError::Store {
            store: store.url.to_string(),
            fault: StoreFault::Keys,
            reason: "the keys in the environment are not in the form that it needs".to_owned(),
        }),
    }
}

/// What kind of error it is, and what the store said: its code and message where it gave some, else
/// the innermost cause. Never addresses, which may hold signatures, nor whole answers.
fn said(error: &Error) -> (StoreFault, String) {
    let text = error.to_string();
    let between = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(value, _)| value.to_owned())
    };
    let status = text.split_once("status code: ").map(|(_, rest)| rest);
    let status = status.and_then(|rest| rest.get(..3)).unwrap_or_default();
    let code = between("Code").unwrap_or_default();
    let fault = match (error, status, code.as_str()) {
        (_, _, "NoSuchBucket" | "ContainerNotFound") => StoreFault::Bucket,
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, ..)
        | (_, "401" | "403", _) => StoreFault::Keys,
        (_, "", "") => StoreFault::Network,
        _ => StoreFault::Other,
    };
    let reason = match (code.is_empty(), between("Message"), status) {
        (false, Some(message), _) => format!("{code}: {message}"),
        (false, None, _) => code,
        (true, _, "") => innermost(error),
        (true, _, status) => format!("it answered with the status {status}"),
    };
    (fault, shortened(&reason))
}

/// Whether a request may have happened, and nobody knows.
pub(super) fn is_lost(error: &Error) -> bool {
    said(error).0 == StoreFault::Network
}

fn innermost(error: &Error) -> String {
    let mut at = error.source();
    let mut last = None;
    while let Some(one) = at {
        last = Some(one.to_string());
        at = one.source();
    }
    last.unwrap_or_else(|| "nobody says why".to_owned())
}

fn shortened(text: &str) -> String {
    let line: String = text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
    match line.char_indices().find(|(at, _)| *at >= SAID_BYTES_MAX) {
        Some((at, _)) => format!("{}...", line.get(..at).unwrap_or_default()),
        None => line,
    }
}
