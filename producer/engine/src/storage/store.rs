//! A client of an object store. Calls wait for their answers; requests that fail for a while are made again.

use std::{
    env, fmt, io,
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
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::runtime::{Builder, Runtime};

use super::StoreAddress;
use crate::threads::lock;

/// Times that a request is made again.
const RETRIES: usize = 8;
/// How long a request without content may take.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the content of one may take; a part has 8 MiB.
const CONTENT: Duration = Duration::from_secs(300);
/// Bytes of a part of an upload.
const PART: usize = 8 * 1024 * 1024;
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
    /// Nobody else writes below the prefix: a store that knows no conditional writes is taken too.
    pub single_writer: bool,
}

/// The objects below a prefix.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    address: StoreAddress,
    operator: Operator,
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

/// What went wrong with an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// It cannot be reached in this way: an address, a region or a file that cannot be used.
    Settings,
    /// There is no such object, or no such bucket.
    Missing,
    /// There is an object already, where there must be none.
    Exists,
    /// It refuses: no credentials, wrong or expired ones, or an object that is locked.
    Denied,
    /// It cannot do what is asked of it.
    Unsupported,
    /// Anything else, after many tries.
    Failed,
}

/// An error of an object store.
#[derive(Debug, Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    /// The bucket and key.
    at: String,
    why: String,
}

impl StoreError {
    fn new(kind: StoreErrorKind, at: &str, why: impl fmt::Display) -> Self {
        StoreError {
            kind,
            at: at.to_owned(),
            why: why.to_string(),
        }
    }

    /// The kind of it.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StoreErrorKind::Settings => "the store cannot be reached",
            StoreErrorKind::Missing => "the store has no such bucket or object",
            StoreErrorKind::Exists => "the store has it already",
            StoreErrorKind::Denied => {
                "the store refuses: check credentials, clock, region and locks"
            }
            StoreErrorKind::Unsupported => "the store cannot do this",
            StoreErrorKind::Failed => "the store failed, after several tries",
        };
        write!(f, "{}: {what}", self.at)?;
        match self.why.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", self.why),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind {
            StoreErrorKind::Missing => io::ErrorKind::NotFound,
            StoreErrorKind::Exists => io::ErrorKind::AlreadyExists,
            StoreErrorKind::Denied => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
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

impl Store {
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
                return Err(wrong(
                    "say in which region the bucket is, with --s3-region or AWS_REGION".to_owned(),
                ));
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
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(20))
            .with_max_times(RETRIES);
        let timeout = TimeoutLayer::new()
            .with_timeout(ANSWER)
            .with_io_timeout(CONTENT);
        let operator = Operator::new(service)
            .map_err(|e| wrong(e.message().to_owned()))?
            .with_context(OperationContext::new().with_http_transport(transport))
            .layer(timeout)
            .layer(retry);
        Ok(Store(Arc::new(Inner {
            address: address.clone(),
            operator,
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
        let found = self.wait(async {
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
        let mut found = found.map_err(|error| self.failed("", &error))?;
        found.sort();
        Ok(found)
    }

    /// Bytes of an object; `version`: none for the newest.
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
        let range = offset..offset.saturating_add(length);
        let read = self.wait(async {
            let read = self.0.operator.read_with(key).range(range);
            match version {
                Some(version) => read.version(version).await,
                None => read.await,
            }
        });
        let read = read.map_err(|error| self.failed(key, &error))?;
        Ok(read.to_vec())
    }

    /// Makes an object where there is none.
    ///
    /// # Errors
    /// [`StoreErrorKind::Exists`] where there is one, and whatever the store fails with.
    pub fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.slow_down(bytes.len());
        let only_if_absent = !self.0.address.options.single_writer;
        let put = self.wait(async {
            let write = self.0.operator.write_with(key, bytes);
            match only_if_absent {
                true => write.if_not_exists(true).await,
                false => write.await,
            }
        });
        put.map(drop).map_err(|error| self.failed(key, &error))
    }

    /// Begins to make an object where there is none, of whatever size.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn upload(&self, key: &str) -> Result<Upload, StoreError> {
        let only_if_absent = !self.0.address.options.single_writer;
        let begun = self.wait(async {
            let write = self.0.operator.writer_with(key);
            let write = write.chunk(PART).concurrent(PARTS);
            match only_if_absent {
                true => write.if_not_exists(true).await,
                false => write.await,
            }
        });
        Ok(Upload {
            writer: begun.map_err(|error| self.failed(key, &error))?,
            store: self.clone(),
            key: key.to_owned(),
            written: 0,
            finished: false,
        })
    }

    /// The bytes of an object; none where there is none.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        match self.wait(async { self.0.operator.stat(key).await }) {
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
        let deleted = self.wait(async { self.0.operator.delete(key).await });
        deleted.map_err(|error| self.failed(key, &error))
    }

    fn wait<T>(&self, answer: impl Future<Output = opendal::Result<T>>) -> opendal::Result<T> {
        let runtime = runtime()
            .map_err(|e| opendal::Error::new(ErrorKind::Unexpected, crate::threads::refused(&e)))?;
        runtime.block_on(answer)
    }

    /// Waits until so many bytes may be sent.
    fn slow_down(&self, bytes: usize) {
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

    fn failed(&self, key: &str, error: &opendal::Error) -> StoreError {
        let kind = match error.kind() {
            ErrorKind::NotFound => StoreErrorKind::Missing,
            ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists | ErrorKind::Conflict => {
                StoreErrorKind::Exists
            }
            ErrorKind::PermissionDenied => StoreErrorKind::Denied,
            ErrorKind::ConfigInvalid => StoreErrorKind::Settings,
            ErrorKind::Unsupported => StoreErrorKind::Unsupported,
            _ => StoreErrorKind::Failed,
        };
        let at = match key.is_empty() {
            true => self.0.address.to_string(),
            false => self.0.address.below(key).to_string(),
        };
        StoreError::new(kind, &at, reason(error))
    }
}

/// What the store or the network said, in one line.
fn reason(error: &opendal::Error) -> String {
    use std::error::Error;
    let mut said = vec![error.message().to_owned()];
    let mut source = error.source();
    while let Some(below) = source {
        let text = below.to_string();
        if !said.contains(&text) {
            said.push(text);
        }
        source = below.source();
    }
    let said = said.join(": ");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The certificates that are trusted.
fn tls(options: &StoreOptions) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let bundle = env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
    match options.ca.clone().or_else(|| bundle.map(PathBuf::from)) {
        Some(path) => {
            let read = CertificateDer::pem_file_iter(&path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let found = read.map_err(|e| format!("{}: {e}", path.display()))?;
            if roots.add_parsable_certificates(found).0 == 0 {
                return Err(format!(
                    "{}: it holds no certificate that can be read",
                    path.display()
                ));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// An object on its way into the store. Nobody sees it before it is finished; one that goes away before that is given up.
pub struct Upload {
    writer: Writer,
    store: Store,
    key: String,
    written: u64,
    finished: bool,
}

impl Upload {
    /// Appends bytes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn write(&mut self, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.store.slow_down(bytes.len());
        self.written += bytes.len() as u64;
        let written = self.store.wait(self.writer.write(bytes));
        written.map_err(|error| self.store.failed(&self.key, &error))
    }

    /// Ends the object.
    ///
    /// # Errors
    /// [`StoreErrorKind::Exists`] where somebody else made one meanwhile, and whatever the store fails with.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.finished = true;
        let closed = self.store.wait(self.writer.close());
        let Err(error) = closed else {
            return Ok(());
        };
        let error = self.store.failed(&self.key, &error);
        // Its answer may have been lost: then it is there, and making it again is refused.
        let lost = matches!(error.kind, StoreErrorKind::Exists | StoreErrorKind::Missing);
        match lost && self.store.size(&self.key)? == Some(self.written) {
            true => Ok(()),
            false => Err(error),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: the next run ends uploads that were left.
            let _ = self.store.wait(self.writer.abort());
        }
    }
}
