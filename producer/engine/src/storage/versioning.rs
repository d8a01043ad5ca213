//! Whether a store keeps what is overwritten.

use opendal::ErrorKind;
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
        let asked = self.again(async || self.signed().of_bucket(&[("versioning", "")]).await);
        match asked {
            Ok(Configuration { status }) => Ok(status.is_some()),
            // It knows no versions.
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
            Err(error) => Err(self.failed("", &error)),
        }
    }
}
