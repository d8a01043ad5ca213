//! An access key that is given to this program otherwise than by the environment.

use std::fmt;

use zeroize::Zeroizing;

/// The two texts by which a store knows its client.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its name.
    pub id: String,
    /// What only the client and the store know.
    pub secret: Zeroizing<String>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}
