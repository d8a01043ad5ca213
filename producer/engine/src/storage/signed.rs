//! Requests that the client of the object store does not know, signed and sent as it does.

use std::ops::Range;

use http::header::{HeaderName, IF_MATCH, RANGE};
use opendal::{Buffer, Error, ErrorKind, HttpTransporter, Result, raw::percent_encode_path};
use reqsign_aws_v4::{
    Credential, DefaultCredentialProvider, RequestSigner, StaticCredentialProvider,
};
use reqsign_core::{Context, OsEnv, ProvideCredentialChain, Signer};
use reqsign_file_read_tokio::TokioFileRead;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    StoreAddress,
    access_key::AccessKey,
    reach::{ANSWER, CONTENT, Reach},
};

/// Makes them.
pub(super) struct SignedRequests {
    /// The address of the bucket.
    bucket: String,
    /// Before the keys: that of the store.
    prefix: String,
    signer: Signer<Credential>,
    transport: HttpTransporter,
}

impl SignedRequests {
    /// For the objects below an address.
    pub(super) fn new(address: &StoreAddress, reach: &Reach, transport: HttpTransporter) -> Self {
        let context = Context::new()
            .with_file_read(TokioFileRead)
            .with_http_send(transport.clone())
            .with_env(OsEnv);
        let credentials = ProvideCredentialChain::new();
        let credentials = match &address.options.access_key {
            Some(AccessKey { id, secret }) => {
                credentials.push(StaticCredentialProvider::new(id, secret))
            }
            None => credentials.push(DefaultCredentialProvider::builder().build()),
        };
        let prefix = match address.prefix.is_empty() {
            true => String::new(),
            false => format!("{}/", address.prefix),
        };
        SignedRequests {
            bucket: reach.bucket(&address.bucket),
            prefix,
            signer: Signer::new(
                context,
                credentials,
                RequestSigner::new("s3", &reach.region),
            ),
            transport,
        }
    }

    /// Before the keys below the store's prefix.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Asks about the object at `key` below the prefix.
    pub(super) async fn of_object(
        &self,
        method: http::Method,
        key: &str,
        query: &[(&str, &str)],
    ) -> Result<http::Response<Buffer>> {
        let key = percent_encode_path(&format!("{}{key}", self.prefix));
        self.send(method, &format!("{}/{key}", self.bucket), query, &[])
            .await
    }

    /// Asks for bytes of the object at `key` below the prefix, as long as its content is called `tag`, where that is known.
    pub(super) async fn bytes(
        &self,
        key: &str,
        range: Range<u64>,
        tag: Option<&str>,
    ) -> Result<http::Response<Buffer>> {
        let key = percent_encode_path(&format!("{}{key}", self.prefix));
        let last = range.end.saturating_sub(1);
        let bytes = format!("bytes={}-{last}", range.start);
        let mut headers = vec![(RANGE, bytes.as_str())];
        headers.extend(tag.map(|tag| (IF_MATCH, tag)));
        let address = format!("{}/{key}", self.bucket);
        self.send(http::Method::GET, &address, &[], &headers).await
    }

    /// Asks about the bucket; the answer is XML. Under load, stores send less than the whole of one.
    pub(super) async fn of_bucket<T: DeserializeOwned>(&self, query: &[(&str, &str)]) -> Result<T> {
        let get = http::Method::GET;
        let answer = self.send(get, &self.bucket, query, &[]).await?;
        let answer = answer.into_body().to_vec();
        quick_xml::de::from_reader(answer.as_slice()).map_err(|e| {
            let text = format!("its answer cannot be read: {e}");
            Error::new(ErrorKind::Unexpected, text).set_temporary()
        })
    }

    async fn send(
        &self,
        method: http::Method,
        address: &str,
        query: &[(&str, &str)],
        headers: &[(HeaderName, &str)],
    ) -> Result<http::Response<Buffer>> {
        let mut address = address.to_owned();
        for (at, (name, value)) in query.iter().enumerate() {
            address.push(if at == 0 { '?' } else { '&' });
            address += &format!("{name}={}", percent_encode_path(value));
        }
        let wrong = |why: String| Error::new(ErrorKind::ConfigInvalid, why);
        let mut request = http::Request::builder().method(method).uri(&address);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(()).map_err(|e| wrong(e.to_string()))?;
        let (mut parts, ()) = request.into_parts();
        let signed = self.signer.sign(&mut parts, None).await;
        signed.map_err(|e| {
            let temporary = e.is_retryable();
            let error = Error::new(ErrorKind::Unexpected, e.to_string());
            error.with_temporary(temporary)
        })?;
        // The transport knows it, for each version of HTTP in its way.
        parts.headers.remove(http::header::HOST);
        let request = http::Request::from_parts(parts, Buffer::new());
        let longest = match headers.is_empty() {
            true => ANSWER,
            false => CONTENT,
        };
        let answer = tokio::time::timeout(longest, self.transport.send(request)).await;
        let late = |_| Error::new(ErrorKind::Unexpected, "no answer in time").set_temporary();
        let answer = answer.map_err(late)??;
        match answer.status().as_u16() {
            200..=299 => Ok(answer),
            status => Err(refused(status, &answer.into_body().to_vec())),
        }
    }
}

/// Why a request was refused.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Refusal {
    code: String,
    message: String,
}

/// The error of an answer.
fn refused(status: u16, body: &[u8]) -> Error {
    let said: Refusal = quick_xml::de::from_reader(body).unwrap_or_default();
    let (kind, temporary) = match (status, said.code.as_str()) {
        (_, "NoSuchBucket") => (ErrorKind::ConfigInvalid, false),
        (_, "SlowDown") | (429, _) => (ErrorKind::RateLimited, true),
        (_, "InternalError" | "RequestTimeout" | "ServiceUnavailable") => {
            (ErrorKind::Unexpected, true)
        }
        (401 | 403, _) => (ErrorKind::PermissionDenied, false),
        (404, _) => (ErrorKind::NotFound, false),
        (405 | 501, _) => (ErrorKind::Unsupported, false),
        (416, _) => (ErrorKind::RangeNotSatisfied, false),
        (500 | 502..=504, _) => (ErrorKind::Unexpected, true),
        _ => (ErrorKind::Unexpected, false),
    };
    let mut text = format!("it answered with status {status}");
    for part in [said.code, said.message] {
        if !part.is_empty() {
            text += &format!(": {part}");
        }
    }
    Error::new(kind, text).with_temporary(temporary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_and_whether_to_ask_again() {
        let body = |code: &str| format!("<Error><Code>{code}</Code><Message>so</Message></Error>");
        for (status, code, kind, again) in [
            (404, "NoSuchBucket", ErrorKind::ConfigInvalid, false),
            (403, "ExpiredToken", ErrorKind::PermissionDenied, false),
            (503, "SlowDown", ErrorKind::RateLimited, true),
            (501, "NotImplemented", ErrorKind::Unsupported, false),
            (507, "InsufficientStorage", ErrorKind::Unexpected, false),
        ] {
            let error = refused(status, body(code).as_bytes());
            assert_eq!(
                (error.kind(), error.is_temporary()),
                (kind, again),
                "{code}"
            );
            let text = format!("it answered with status {status}: {code}: so");
            assert_eq!(error.message(), text);
        }
        let error = refused(502, b"<html>");
        assert_eq!(error.message(), "it answered with status 502");
        assert!(error.is_temporary());
    }
}
