//! Whether a store keeps what is overwritten.

use opendal::{Error, ErrorKind};
use serde::Deserialize;

use super::{ObjectStore, StoreError};

#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "Status")]
    status: Option<String>,
}

impl ObjectStore {
    /// Whether the bucket keeps the versions of its objects, or has kept them.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn keeps_versions(&self) -> Result<bool, StoreError> {
        let asked = self.again(async || {
            let answer = self.signed().of_bucket(&[("versioning", "")]).await?;
            let answer = answer.into_body().to_vec();
            let read: Result<Configuration, _> = quick_xml::de::from_reader(answer.as_slice());
            read.map_err(|e| Error::new(ErrorKind::Unexpected, format!("its versioning: {e}")))
        });
        match asked {
            Ok(configuration) => Ok(configuration.status.is_some()),
            // It knows no versions.
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
            Err(error) => Err(self.failed("", &error)),
        }
    }
}
