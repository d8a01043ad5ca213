//! Names of volumes, and of the files that belong to them.

/// Name of the list of volumes, in the folder of a run.
pub const VOLUMES: &str = "volumes.json";

/// The file name of a volume, counted from 1: `volume-0001.tar`.
pub fn volume_name(number: u32) -> String {
    format!("volume-{number:04}.tar")
}

/// The path of the index member of a volume: `volume-0001.index`.
pub fn index_name(number: u32) -> String {
    format!("volume-{number:04}.index")
}

/// The number of the volume (`.tar`) or of the unpacked index (`.index`) of that name.
pub fn number_of(name: &str, ending: &str) -> Option<u32> {
    let digits = name.strip_prefix("volume-")?.strip_suffix(ending)?;
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    (format!("volume-{number:04}{ending}") == name).then_some(number)
}

/// Whether a file of that name in the folder of a run belongs to its volumes.
pub(super) fn is_volume_file(name: &str) -> bool {
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
}
