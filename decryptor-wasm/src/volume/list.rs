//! `volumes.json`: which volumes an archive has, and where the index of each is. It is a hint, like the index.

use serde::{Deserialize, Serialize};

use super::BLOCK;
use crate::{Code, Error, Field, Result};

/// Name of the list of volumes, in the folder of a run.
pub const VOLUMES: &str = "volumes.json";
/// The only version of the list.
const VERSION: u32 = 1;

/// The list of volumes, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeList {
    /// Always 1.
    pub v: u32,
    /// The first is `volume-0001.tar`.
    pub volumes: Vec<Volume>,
}

/// A volume in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// When it cannot be read, is of another version, or its volumes are not numbered from 1.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let list: VolumeList = serde_json::from_slice(json)
            .map_err(|e| Error::of(Code::VolumesUnreadable).at(VOLUMES).because(&e))?;
        if list.v != VERSION {
            return Err(Error::of(Code::VolumesVersion)
                .at(VOLUMES)
                .with(Field::Found, list.v));
        }
        for (number, volume) in (1..).zip(&list.volumes) {
            let fits = volume.index % BLOCK as u64 == 0 && volume.index < volume.size;
            if volume.name != volume_name(number) || !fits {
                return Err(Error::of(Code::VolumesUnreadable).at(VOLUMES).with(
                    Field::Detail,
                    format!("volume {number} cannot be as it is listed"),
                ));
            }
        }
        Ok(list)
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

/// The file name of a volume, counted from 1: `volume-0001.tar`.
pub fn volume_name(number: u32) -> String {
    format!("volume-{number:04}.tar")
}

/// The path of the index member of a volume: `volume-0001.index`.
pub fn index_name(number: u32) -> String {
    format!("volume-{number:04}.index")
}

/// The number of the volume (`.tar`) or of the unpacked index (`.index`) of that name.
pub(crate) fn number_of(name: &str, ending: &str) -> Option<u32> {
    let digits = name.strip_prefix("volume-")?.strip_suffix(ending)?;
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    (format!("volume-{number:04}{ending}") == name).then_some(number)
}

/// Whether a file of that name in the folder of a run belongs to its volumes.
pub(crate) fn is_volume_file(name: &str) -> bool {
    name == VOLUMES || number_of(name, ".tar").is_some() || number_of(name, ".index").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        assert_eq!(volume_name(1), "volume-0001.tar");
        assert_eq!(volume_name(12_345), "volume-12345.tar");
        for name in [
            "volumes.json",
            "volume-0001.tar",
            "volume-9999.index",
            "volume-10000.tar",
        ] {
            assert!(is_volume_file(name), "{name}");
        }
        for name in [
            "volume-0000.tar",
            "volume-1.tar",
            "volume-00001.tar",
            "volume-+001.tar",
            "volume-0001",
            "x/volume-0001.tar",
        ] {
            assert!(!is_volume_file(name), "{name}");
        }
    }

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
            volume("volume-0002.tar", 4096, 1024),
            volume("volume-0001.tar", 1024, 1024),
            volume("volume-0001.tar", 4096, 1000),
        ] {
            let list = VolumeList::new(vec![bad]).to_json().unwrap();
            let error = VolumeList::parse(&list).unwrap_err();
            assert_eq!(error.code(), Code::VolumesUnreadable);
        }
        let error = VolumeList::parse(br#"{"v":2,"volumes":[]}"#).unwrap_err();
        assert_eq!(error.code(), Code::VolumesVersion);
    }
}
