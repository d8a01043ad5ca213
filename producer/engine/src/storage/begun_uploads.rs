//! Uploads of many parts that nobody ended: no listing of objects shows them, and they are paid for.

use http::Method;
use jiff::Timestamp;
use opendal::{Error, ErrorKind};
use serde::Deserialize;

use super::{ObjectStore, StoreError};

/// Answers that are asked for at most; each names up to a thousand uploads.
const PAGES: usize = 1_000;

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunUpload {
    /// Where its object was to be, below the prefix.
    pub key: String,
    /// When it was begun.
    pub begun: Option<Timestamp>,
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
    #[serde(default)]
    upload: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    key: String,
    upload_id: String,
    #[serde(default)]
    initiated: String,
}

impl ObjectStore {
    /// The uploads below the prefix that were begun and not ended; none where the store does not tell this client.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn begun_uploads(&self) -> Result<Vec<BegunUpload>, StoreError> {
        let (mut found, mut key, mut id) = (Vec::new(), String::new(), String::new());
        for _ in 0..PAGES {
            let page = match self.again(async || self.page(&key, &id).await) {
                Ok(page) => page,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::Unsupported | ErrorKind::PermissionDenied
                    ) =>
                {
                    break;
                }
                Err(error) => return Err(self.failed("", &error)),
            };
            let last = page.upload.last().map(|upload| upload.key.clone());
            for Listed {
                key,
                upload_id,
                initiated,
            } in page.upload
            {
                // Some stores take the prefix for a part of a name.
                if let Some(key) = key.strip_prefix(self.signed().prefix()) {
                    found.push(BegunUpload {
                        key: key.to_owned(),
                        begun: initiated.parse().ok(),
                        id: upload_id,
                    });
                }
            }
            let next = match page.next_key_marker.is_empty() {
                true => last.unwrap_or_default(),
                false => page.next_key_marker,
            };
            let is_same = next == key && page.next_upload_id_marker == id;
            if !page.is_truncated || is_same {
                break;
            }
            (key, id) = (next, page.next_upload_id_marker);
        }
        Ok(found)
    }

    async fn page(&self, key: &str, id: &str) -> opendal::Result<Page> {
        let mut query = vec![("uploads", ""), ("prefix", self.signed().prefix())];
        if !key.is_empty() {
            query.extend([("key-marker", key), ("upload-id-marker", id)]);
        }
        let answer = self.signed().of_bucket(&query).await?;
        let answer = answer.into_body().to_vec();
        quick_xml::de::from_reader(answer.as_slice())
            .map_err(|e| Error::new(ErrorKind::Unexpected, format!("its list of uploads: {e}")))
    }

    /// Gives an upload up: its parts go.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn abort(&self, upload: &BegunUpload) -> Result<(), StoreError> {
        let query = [("uploadId", upload.id.as_str())];
        let key = &upload.key;
        let aborted =
            self.again(async || self.signed().of_object(Method::DELETE, key, &query).await);
        match aborted {
            // It was ended meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.failed(key, &error)),
            Ok(_) => Ok(()),
        }
    }
}
