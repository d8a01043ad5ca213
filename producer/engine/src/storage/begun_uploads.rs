//! Uploads of many parts that nobody ended: no listing of objects shows them, and they are paid for.

use http::Method;
use jiff::Timestamp;
use opendal::ErrorKind;
use serde::Deserialize;

use super::{
    ObjectStore, StoreError,
    pages::{Marker, Page},
};

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
struct UploadPage {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
    #[serde(default)]
    upload: Vec<Listed>,
}

impl Page for UploadPage {
    type Entry = Listed;

    fn next(&self) -> Option<Marker> {
        let last = self.upload.last().map(|upload| upload.key.clone());
        let key = match self.next_key_marker.is_empty() {
            true => last.unwrap_or_default(),
            false => self.next_key_marker.clone(),
        };
        self.is_truncated.then(|| {
            let id = self.next_upload_id_marker.clone();
            vec![("key-marker", key), ("upload-id-marker", id)]
        })
    }

    fn entries(self) -> Vec<Listed> {
        self.upload
    }
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
        self.begun_below("")
    }

    /// Gives up the uploads of an object that were begun and not ended.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn abort_all(&self, key: &str) -> Result<(), StoreError> {
        let begun = self.begun_below(key)?;
        let mut of_object = begun.iter().filter(|upload| upload.key == key);
        of_object.try_for_each(|upload| self.abort(upload))
    }

    fn begun_below(&self, below: &str) -> Result<Vec<BegunUpload>, StoreError> {
        let listed = match self.pages::<UploadPage>(&[("uploads", "")], below) {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Unsupported | ErrorKind::PermissionDenied
                ) =>
            {
                Vec::new()
            }
            listed => listed.map_err(|error| self.failed("", &error))?,
        };
        // Some stores take the prefix for a part of a name.
        let below = |listed: Listed| {
            let key = listed.key.strip_prefix(self.signed().prefix())?;
            Some(BegunUpload {
                key: key.to_owned(),
                begun: listed.initiated.parse().ok(),
                id: listed.upload_id,
            })
        };
        Ok(listed.into_iter().filter_map(below).collect())
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
