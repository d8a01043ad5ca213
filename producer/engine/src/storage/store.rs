//! A client of an object store. Calls wait for their answers; requests that fail for a while are made again.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use http::{HeaderMap, Method, header::CONTENT_LENGTH};
use opendal::{
    ErrorKind, OperationContext, Operator, Writer,
    layers::{RetryLayer, TimeoutLayer},
    services::S3,
};
use tokio::runtime::{Builder, Runtime};

use super::{
    AccessKey, StoreAddress, StoreError, StoreErrorKind,
    pages::lies,
    reach::{ANSWER, CONTENT, Reach, transport},
    signed::SignedRequests,
    store_error,
};
use crate::{digest, limits::PIECE, threads::lock};

/// Times that a request is made again.
const RETRIES: usize = 8;
/// How long it is waited before the first of these; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// How long anything may take, with all that is made again.
const LONGEST: Duration = Duration::from_secs(900);
/// Bytes of a part of an upload.
pub(super) const PART: usize = 8 * 1024 * 1024;
/// Parts of an upload that are sent at the same time.
const PARTS: usize = 2;

/// What the mark of an object is called among its metadata.
const MARK: &str = "pryv-backup-restore";
const MARK_HEADER: &str = "x-amz-meta-pryv-backup-restore";

/// How an object store is reached, beside what the environment says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreOptions {
    /// Its address; none: that of `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, or else Amazon's.
    pub endpoint: Option<String>,
    /// Its region; none: that of `AWS_REGION` or `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// Whether the bucket stands in the path of a request (true) or in its host name; none: in the path where an address is given.
    pub path_style: Option<bool>,
    /// An access key; none: what the environment has.
    pub access_key: Option<AccessKey>,
    /// Certificates that are trusted instead of the system's, as PEM; none: those of `AWS_CA_BUNDLE`, if it is set.
    pub ca: Option<PathBuf>,
    /// Bytes that are sent in a second, at most.
    pub upload_limit: Option<u64>,
    /// Read what was there at this moment, in milliseconds since 1970, whatever was overwritten or deleted after it.
    pub as_of: Option<i64>,
    /// Nobody else writes below the prefix: a store that knows no conditional writes is taken too.
    pub single_writer: bool,
}

/// What has to be where an object is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// An object of this tag.
    Tag(String),
    /// Whatever is there, or nothing.
    Anything,
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
    /// For what the operators cannot ask.
    signed: SignedRequests,
    /// When the next byte may be sent.
    pace: Mutex<Option<Instant>>,
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

impl ObjectStore {
    /// Prepares a client; nothing is asked yet.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn open(address: &StoreAddress) -> Result<Self, StoreError> {
        let at = address.to_string();
        let wrong = |why: String| StoreError::new(StoreErrorKind::Settings, &at, why);
        let reach = Reach::of(address).map_err(wrong)?;
        // The keys stay those of the bucket: a root of its own would hide what lies beside it from the messages of errors.
        let mut service = S3::default()
            .bucket(&address.bucket)
            .root(&format!("/{}", address.prefix))
            .endpoint(&reach.endpoint)
            .region(&reach.region)
            .checksum_algorithm("crc32c");
        if !reach.in_path {
            service = service.enable_virtual_host_style();
        }
        if let Some(AccessKey { id, secret }) = &address.options.access_key {
            service = service.access_key_id(id).secret_access_key(secret);
        }
        let transport = transport(&address.options).map_err(wrong)?;
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
            .with_context(OperationContext::new().with_http_transport(transport.clone()))
            .layer(timeout);
        let again = operator.clone().layer(retry);
        Ok(ObjectStore(Arc::new(Inner {
            address: address.clone(),
            signed: SignedRequests::new(address, &reach, transport),
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
        self.put_over(&Before::Nothing, key, bytes, None)
    }

    /// Puts an object in the place of what is there; `mark`: tells it from others, see [`ObjectStore::mark`].
    ///
    /// # Errors
    /// [`StoreErrorKind::Exists`] where there is something else, and whatever the store fails with.
    pub(super) fn put_over(
        &self,
        before: &Before,
        key: &str,
        bytes: Vec<u8>,
        mark: Option<&str>,
    ) -> Result<(), StoreError> {
        self.slow_down(bytes.len());
        let put = self.again(async || {
            let write = self.0.operator.write_with(key, bytes.clone());
            let write = match mark {
                Some(mark) => write.user_metadata(named(mark)),
                None => write,
            };
            match self.condition(before) {
                Some(Before::Nothing) => write.if_not_exists(true).await,
                Some(Before::Tag(tag)) => write.if_match(tag).await,
                Some(Before::Anything) | None => write.await,
            }
        });
        put.map(drop).map_err(|error| self.failed(key, &error))
    }

    /// What is demanded of the store; nothing where nobody else writes.
    fn condition<'b>(&self, before: &'b Before) -> Option<&'b Before> {
        (!self.0.address.options.single_writer && *before != Before::Anything).then_some(before)
    }

    /// Whether an object is this one.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn holds(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        let length = bytes.len() as u64;
        Ok(self.size(key)? == Some(length) && self.read(key, None, 0, length)? == bytes)
    }

    /// The SHA-256 of an object, which is read for it; none where there is none.
    ///
    /// # Errors
    /// When the store does not give it.
    pub(super) fn sha256(&self, key: &str) -> Result<Option<[u8; 32]>, StoreError> {
        let Some(mut object) = self.reader(key, true)? else {
            return Ok(None);
        };
        let read = digest::sha256(&mut object, &mut vec![0; PIECE], |e| e, &mut |_| Ok(()));
        match read {
            Ok(digest) => Ok(Some(digest)),
            Err(why) => Err(object.failure().cloned().unwrap_or_else(|| {
                StoreError::new(StoreErrorKind::Failed, &self.address().to_string(), why)
            })),
        }
    }

    /// Begins to put an object of many parts in the place of what is there.
    pub(super) fn parts(
        &self,
        before: &Before,
        key: &str,
        mark: Option<&str>,
    ) -> Result<Writer, StoreError> {
        let begun = self.wait(async {
            let write = self.0.again.writer_with(key);
            let write = match mark {
                Some(mark) => write.user_metadata(named(mark)),
                None => write,
            };
            let write = write.chunk(PART).concurrent(PARTS);
            match self.condition(before) {
                Some(Before::Nothing) => write.if_not_exists(true).await,
                Some(Before::Tag(tag)) => write.if_match(tag).await,
                Some(Before::Anything) | None => write.await,
            }
        });
        begun.map_err(|error| self.failed(key, &error))
    }

    /// The bytes of an object; none where there is none.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let length = self.headers(key)?.map(|headers| length(&headers));
        length.transpose().map_err(|error| self.failed(key, &error))
    }

    /// The mark with which an object was put; none where there is no object, or it was put without one.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn mark(&self, key: &str) -> Result<Option<String>, StoreError> {
        let headers = self.headers(key)?;
        let mark = headers
            .as_ref()
            .and_then(|headers| headers.get(MARK_HEADER));
        Ok(mark.and_then(|mark| Some(mark.to_str().ok()?.to_owned())))
    }

    /// What a store says of an object; none where there is none.
    fn headers(&self, key: &str) -> Result<Option<HeaderMap>, StoreError> {
        let head = self.again(async || self.signed().of_object(Method::HEAD, key, &[]).await);
        match head {
            Ok(head) => Ok(Some(head.into_parts().0.headers)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(key, &error)),
        }
    }

    /// Removes an object for good, or a version of it or mark of its deletion; without a version, where the store keeps them, it would only be hidden.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn delete(&self, key: &str, version: Option<&str>) -> Result<(), StoreError> {
        let deleted = self.again(async || {
            let delete = self.0.operator.delete_with(key);
            match version {
                Some(version) => delete.version(version).await,
                None => delete.await,
            }
        });
        deleted.map_err(|error| self.failed(key, &error))
    }

    pub(super) fn signed(&self) -> &SignedRequests {
        &self.0.signed
    }

    /// Waits for the answer of a request, which is made again when it fails for a while.
    pub(super) fn again<T>(
        &self,
        request: impl AsyncFn() -> opendal::Result<T>,
    ) -> opendal::Result<T> {
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

/// A mark, with its name.
fn named(mark: &str) -> [(String, String); 1] {
    [(MARK.to_owned(), mark.to_owned())]
}

/// How many bytes an object has, of which these headers are.
pub(super) fn length(headers: &HeaderMap) -> opendal::Result<u64> {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.ok_or_else(|| lies("it does not tell its size".to_owned()))
}
