//! A client of an object store. Calls wait for their answers; requests that fail for a while are made again.

use std::{
    env, io,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use opendal::{
    ErrorKind, HttpTransporter, OperationContext, Operator, Writer,
    layers::{RetryLayer, TimeoutLayer},
    services::S3,
};
use opendal_http_transport_reqwest::ReqwestTransport;
use tokio::runtime::{Builder, Runtime};

use super::{StoreAddress, StoreError, StoreErrorKind, store_error, store_tls::tls};
use crate::threads::lock;

/// Times that a request is made again.
const RETRIES: usize = 8;
/// How long it is waited before the first of these; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// How long a request without content may take.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the content of one may take; a part has 8 MiB.
const CONTENT: Duration = Duration::from_secs(300);
/// How long anything may take, with all that is made again.
const LONGEST: Duration = Duration::from_secs(900);
/// Bytes of a part of an upload.
pub(super) const PART: usize = 8 * 1024 * 1024;
/// Parts of an upload that are sent at the same time.
const PARTS: usize = 3;
/// The region where none is said and none is needed.
const REGION: &str = "us-east-1";

/// How an object store is reached, beside what the environment says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreOptions {
    /// Its address; none: that of `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, or else Amazon's.
    pub endpoint: Option<String>,
    /// Its region; none: that of `AWS_REGION` or `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// Whether the bucket stands in the path of a request (true) or in its host name; none: in the path where an address is given.
    pub path_style: Option<bool>,
    /// Certificates that are trusted instead of the system's, as PEM; none: those of `AWS_CA_BUNDLE`, if it is set.
    pub ca: Option<PathBuf>,
    /// Bytes that are sent in a second, at most.
    pub upload_limit: Option<u64>,
    /// Read what was there at this moment, in milliseconds since 1970, whatever was overwritten or deleted after it.
    pub as_of: Option<i64>,
    /// Nobody else writes below the prefix: a store that knows no conditional writes is taken too.
    pub single_writer: bool,
}

/// The objects below a prefix.
#[derive(Clone)]
pub struct ObjectStore(Arc<Inner>);

struct Inner {
    address: StoreAddress,
    /// For requests that are made again here.
    operator: Operator,
    /// For uploads of many parts, each of which it makes again.
    again: Operator,
    /// When the next byte may be sent.
    pace: Mutex<Option<Instant>>,
}

/// An object in a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreObject {
    /// Where it is, below the prefix.
    pub key: String,
    /// Its bytes.
    pub size: u64,
}

/// Runs all requests.
fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("store")
        .enable_all()
        .build()?;
    Ok(RUNTIME.get_or_init(|| made))
}

/// A version of an object, or the mark of a deletion.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreVersion {
    /// Where it is, below the prefix.
    pub key: String,
    /// When it was put, in milliseconds since 1970.
    pub modified: i64,
    /// Whether it is the newest.
    pub current: bool,
    /// Whether it marks a deletion.
    pub deleted: bool,
    /// Its bytes.
    pub size: u64,
    /// Its name.
    pub version: Option<String>,
}

impl ObjectStore {
    /// Prepares a client; nothing is asked yet.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn open(address: &StoreAddress) -> Result<Self, StoreError> {
        let at = address.to_string();
        let wrong = |why: String| StoreError::new(StoreErrorKind::Settings, &at, why);
        let options = &address.options;
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let endpoint = options.endpoint.clone();
        let endpoint = endpoint.or_else(|| variable("AWS_ENDPOINT_URL_S3"));
        let endpoint = endpoint.or_else(|| variable("AWS_ENDPOINT_URL"));
        let region = options.region.clone();
        let region = region.or_else(|| variable("AWS_REGION"));
        let region = region.or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = match (region, &endpoint) {
            (Some(region), _) => region,
            (None, Some(_)) => REGION.to_owned(),
            (None, None) => {
                return Err(wrong("its region is not known: set AWS_REGION".to_owned()));
            }
        };
        let in_path = options
            .path_style
            .unwrap_or(endpoint.is_some() || address.bucket.contains('.'));
        // The keys stay those of the bucket: a root of its own would hide what lies beside it from the messages of errors.
        let mut service = S3::default()
            .bucket(&address.bucket)
            .root(&format!("/{}", address.prefix))
            .region(&region)
            .checksum_algorithm("crc32c");
        if let Some(endpoint) = &endpoint {
            service = service.endpoint(endpoint);
        }
        if !in_path {
            service = service.enable_virtual_host_style();
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(options).map_err(wrong)?)
            .user_agent(concat!("pryv-backup/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(20))
            .build()
            .map_err(|e| wrong(e.to_string()))?;
        let transport = HttpTransporter::new(ReqwestTransport::new(client));
        let retry = RetryLayer::new()
            .with_jitter()
            .with_min_delay(PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(RETRIES);
        let timeout = TimeoutLayer::new()
            .with_timeout(ANSWER)
            .with_io_timeout(CONTENT);
        let operator = Operator::new(service)
            .map_err(|e| wrong(e.message().to_owned()))?
            .with_context(OperationContext::new().with_http_transport(transport))
            .layer(timeout);
        let again = operator.clone().layer(retry);
        Ok(ObjectStore(Arc::new(Inner {
            address: address.clone(),
            operator,
            again,
            pace: Mutex::default(),
        })))
    }

    /// Where its objects are.
    #[must_use]
    pub fn address(&self) -> &StoreAddress {
        &self.0.address
    }

    /// Every object below the prefix, in the order of the keys.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn list(&self) -> Result<Vec<StoreObject>, StoreError> {
        let found = self.again(async || {
            let mut lister = self.0.operator.lister_with("").recursive(true).await?;
            let mut found = Vec::new();
            while let Some(entry) = lister.try_next().await? {
                if entry.metadata().is_file() {
                    found.push(StoreObject {
                        key: entry.path().to_owned(),
                        size: entry.metadata().content_length(),
                    });
                }
            }
            Ok(found)
        });
        let mut found = found.map_err(|error| self.failed("", &error).noted())?;
        found.sort();
        Ok(found)
    }

    /// Every version of every object below the prefix, and every mark of a deletion, of each key the oldest first; none where the store keeps no
    /// versions, or does not let this client see them.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn list_versions(&self) -> Result<Option<Vec<StoreVersion>>, StoreError> {
        let found = self.again(async || {
            let lister = self.0.operator.lister_with("").recursive(true);
            let mut lister = lister.versions(true).deleted(true).await?;
            let mut found = Vec::new();
            while let Some(entry) = lister.try_next().await? {
                let known = entry.metadata();
                if known.is_file() || known.is_deleted() {
                    let modified = known.last_modified();
                    found.push(StoreVersion {
                        key: entry.path().to_owned(),
                        modified: modified.map_or(0, |at| at.into_inner().as_millisecond()),
                        deleted: known.is_deleted(),
                        // The newest of one moment comes after those before it.
                        current: known.is_current().unwrap_or(false),
                        size: known.content_length(),
                        version: known.version().map(str::to_owned),
                    });
                }
            }
            Ok(found)
        });
        match found {
            Ok(mut found) => {
                found.sort();
                Ok(Some(found))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Unsupported | ErrorKind::PermissionDenied
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.failed("", &error).noted()),
        }
    }

    /// Bytes of an object; `version`: none for the newest. Once a store could not be read, nothing more is asked of any.
    ///
    /// # Errors
    /// When the store does not give them all.
    pub fn read(
        &self,
        key: &str,
        version: Option<&str>,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, StoreError> {
        if length == 0 {
            return Ok(Vec::new());
        }
        if let Some(error) = store_error::failure() {
            return Err(error);
        }
        let end = offset.saturating_add(length);
        let read = self.again(async || {
            let read = self.0.operator.read_with(key).range(offset..end);
            match version {
                Some(version) => read.version(version).await,
                None => read.await,
            }
        });
        let read = read.map_err(|error| match self.failed(key, &error) {
            // Of a bucket that is gone, nothing can be said to be missing.
            missing if missing.kind() == StoreErrorKind::Missing => {
                self.list().err().unwrap_or(missing)
            }
            failed => failed.noted(),
        })?;
        Ok(read.to_vec())
    }

    /// Makes an object where there is none.
    ///
    /// # Errors
    /// [`StoreErrorKind::Exists`] where there is one, and whatever the store fails with.
    pub fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.slow_down(bytes.len());
        let only_if_absent = !self.0.address.options.single_writer;
        let put = self.again(async || {
            let write = self.0.operator.write_with(key, bytes.clone());
            match only_if_absent {
                true => write.if_not_exists(true).await,
                false => write.await,
            }
        });
        put.map(drop).map_err(|error| self.failed(key, &error))
    }

    /// Begins to make an object of many parts where there is none.
    pub(super) fn parts(&self, key: &str) -> Result<Writer, StoreError> {
        let only_if_absent = !self.0.address.options.single_writer;
        let begun = self.wait(async {
            let write = self.0.again.writer_with(key);
            let write = write.chunk(PART).concurrent(PARTS);
            match only_if_absent {
                true => write.if_not_exists(true).await,
                false => write.await,
            }
        });
        begun.map_err(|error| self.failed(key, &error))
    }

    /// The bytes of an object; none where there is none.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        match self.again(async || self.0.operator.stat(key).await) {
            Ok(known) => Ok(Some(known.content_length())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(key, &error)),
        }
    }

    /// Removes an object.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn delete(&self, key: &str) -> Result<(), StoreError> {
        let deleted = self.again(async || self.0.operator.delete(key).await);
        deleted.map_err(|error| self.failed(key, &error))
    }

    /// Waits for the answer of a request, which is made again when it fails for a while.
    fn again<T>(&self, request: impl AsyncFn() -> opendal::Result<T>) -> opendal::Result<T> {
        let mut pause = PAUSE;
        for _ in 0..RETRIES {
            match self.wait(request()) {
                Err(error) if error.is_temporary() && crate::interrupt::check().is_ok() => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                answer => return answer,
            }
        }
        self.wait(request())
    }

    pub(super) fn wait<T>(
        &self,
        answer: impl Future<Output = opendal::Result<T>>,
    ) -> opendal::Result<T> {
        let runtime = runtime()
            .map_err(|e| opendal::Error::new(ErrorKind::Unexpected, crate::threads::refused(&e)))?;
        let answer = async {
            let late = |_| {
                let error = opendal::Error::new(ErrorKind::Unexpected, "no answer for a long time");
                Err(error.set_persistent())
            };
            let waited = tokio::time::timeout(LONGEST, answer).await;
            waited.unwrap_or_else(late)
        };
        runtime.block_on(answer)
    }

    /// Waits until so many bytes may be sent.
    pub(super) fn slow_down(&self, bytes: usize) {
        let Some(limit) = self.0.address.options.upload_limit else {
            return;
        };
        let now = Instant::now();
        let takes = Duration::from_secs_f64(bytes as f64 / limit.max(1) as f64);
        let begin = {
            let mut pace = lock(&self.0.pace);
            let begin = pace.map_or(now, |next| next.max(now));
            *pace = Some(begin + takes);
            begin
        };
        std::thread::sleep(begin.saturating_duration_since(now));
    }

    pub(super) fn failed(&self, key: &str, error: &opendal::Error) -> StoreError {
        let at = match key.is_empty() {
            true => self.0.address.to_string(),
            false => self.0.address.below(key).to_string(),
        };
        StoreError::of(&at, error)
    }
}
