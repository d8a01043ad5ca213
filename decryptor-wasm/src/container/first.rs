//! The first frame of a sealed file, as a proof of a key.

use super::{Header, TAG_LEN};
use crate::{
    DataKey,
    aead::{Aead, RustAead},
};

/// The first frame of a sealed file, there in full: that it does not open comes from no cut.
#[derive(Debug, Clone)]
pub struct FirstFrame {
    header: Header,
    sealed: Vec<u8>,
}

impl FirstFrame {
    /// That of a file, of which `stored` is the beginning or all.
    pub fn of(stored: &[u8]) -> Option<Self> {
        let (header, start) = Header::read(stored).ok()??;
        let length = <[u8; 4]>::try_from(stored.get(start..start + 4)?).ok()?;
        let length = u32::from_be_bytes(length) as usize;
        let sealed = stored.get(start + 4..)?.get(..length)?;
        (length > TAG_LEN).then(|| FirstFrame {
            header,
            sealed: sealed.to_vec(),
        })
    }

    /// Whether it opens with the key of its archive.
    pub fn opens(&self, key: &DataKey) -> bool {
        let mut aead = RustAead::new(&key.file_key(&self.header.salt));
        aead.open_in_place(0, &mut self.sealed.clone())
    }
}
