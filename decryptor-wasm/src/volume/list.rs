//! `volumes.json`: which volumes an archive has, and where the index of each is. It is a hint, like the index.

use serde::Serialize;

use super::BLOCK;
use crate::{Code, Error, Field, Result, integrity::Record, json, layout::number_of};

/// The only version of the list.
const VERSION: u32 = 1;

/// The list of volumes, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeList {
    /// Always 1.
    pub v: u32,
    /// Numbered one after the other; the first is mostly `volume-0001.tar`.
    pub volumes: Vec<Volume>,
}

/// A volume in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its file name.
    pub name: String,
    /// Bytes of the whole file.
    pub size: u64,
    /// Where the header of its index member begins.
    pub index: u64,
    /// How many members there are, without the index.
    pub members: u64,
}

impl VolumeList {
    /// Of these volumes.
    pub fn new(volumes: Vec<Volume>) -> Self {
        VolumeList {
            v: VERSION,
            volumes,
        }
    }

    /// Reads `volumes.json`.
    ///
    /// # Errors
    /// When it cannot be read, is of another version, or its volumes are not numbered one after the other.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let unreadable = || Error::of(Code::VolumesUnreadable);
        // By hand: code that is derived for it would be a twentieth of the WASM file.
        let list = Record::parse(json).map_err(|e| unreadable().because(&e))?;
        let version = list.number("v").unwrap_or_default();
        if version != u64::from(VERSION) {
            return Err(Error::of(Code::VolumesVersion).with(Field::Found, version));
        }
        let items = json::items(list.get("volumes").unwrap_or_default());
        let items = items.ok_or_else(|| unreadable().because(&"no list"))?;
        let (mut volumes, mut due) = (Vec::new(), None);
        for (place, item) in (1..).zip(items) {
            let impossible = || {
                let what = format!("the entry of volume {place} is invalid");
                unreadable().because(&what)
            };
            let item = item.map_err(|_| impossible())?;
            let item = Record::parse(item.as_bytes()).map_err(|_| impossible())?;
            let amount = |name| item.number(name).ok_or_else(impossible);
            let name = item.text("name").unwrap_or_default();
            let number = number_of(&name, ".tar").ok_or_else(impossible)?;
            let volume = Volume {
                name,
                size: amount("size")?,
                index: amount("index")?,
                members: amount("members")?,
            };
            let fits = volume.index.is_multiple_of(BLOCK as u64) && volume.index < volume.size;
            if !fits || due.is_some_and(|due| due != number) {
                return Err(impossible());
            }
            due = Some(number.saturating_add(1));
            volumes.push(volume);
        }
        Ok(VolumeList::new(volumes))
    }

    /// As it is stored.
    ///
    /// # Errors
    /// Never in practice.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json =
            serde_json::to_vec_pretty(self).map_err(|e| Error::of(Code::Damaged).because(&e))?;
        json.push(b'\n');
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::volume_name;

    #[test]
    fn a_list_reads_as_it_was_written() {
        let volume = |name: &str, size, index| Volume {
            name: name.to_owned(),
            size,
            index,
            members: 1,
        };
        let list = VolumeList::new(vec![
            volume("volume-0001.tar", 4096, 1024),
            volume("volume-0002.tar", 2560, 512),
        ]);
        assert_eq!(VolumeList::parse(&list.to_json().unwrap()).unwrap(), list);
        for bad in [
            volume("volume-002.tar", 4096, 1024),
            volume("volume-0001.tar", 1024, 1024),
            volume("volume-0001.tar", 4096, 1000),
        ] {
            let list = VolumeList::new(vec![bad]).to_json().unwrap();
            let error = VolumeList::parse(&list).unwrap_err();
            assert_eq!(error.code(), Code::VolumesUnreadable);
        }
        let from = |first: u32, second: u32| {
            let list = [first, second].map(|number| volume(&volume_name(number), 2560, 512));
            VolumeList::parse(&VolumeList::new(list.to_vec()).to_json().unwrap())
        };
        assert!(from(20_001, 20_002).is_ok());
        assert!(from(1, 3).is_err());
        let error = VolumeList::parse(br#"{"v":2,"volumes":[]}"#).unwrap_err();
        assert_eq!(error.code(), Code::VolumesVersion);
    }
}
