//! Series of users on their way in, where the platform keeps them on a server: databases that lie aside there. A note in the user's
//! folder names them before they are made, so that whatever happens, the next run puts them in place or removes them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::place::sync;
use super::{new_file, refused};
use crate::files;
use crate::platform::influx::{Influx, SeriesDatabase};
use crate::platform::write::RestoreError;

/// Name of the note.
const NOTE: &str = "series.json";

/// The server of the series.
#[derive(Debug, Clone)]
pub struct SeriesServer {
    /// The server itself.
    pub server: Influx,
    /// The archive comes from such a server: numbers in it say whether they are integers.
    pub kinds: bool,
}

/// Names the databases of a user, durably.
pub fn note(root: &Path, databases: &[SeriesDatabase]) -> Result<(), RestoreError> {
    let path = root.join(NOTE);
    let failed = |e| refused(&path, e);
    fs::create_dir_all(root).map_err(failed)?;
    let text = serde_json::to_vec(databases).map_err(|e| failed(e.into()))?;
    let new = path.with_extension("new");
    let mut file = new_file(&new)?;
    file.write_all(&text).map_err(failed)?;
    files::store(file).map_err(failed)?;
    fs::rename(&new, &path).map_err(failed)?;
    sync(root)
}

/// The databases of a user who is restored, put in place.
pub fn place(root: &Path, series: Option<&SeriesServer>) -> Result<(), RestoreError> {
    match noted(root, series)? {
        Some((server, databases)) => Ok(server.place(&databases)?),
        None => Ok(()),
    }
}

/// Removes the databases that lie aside of a user.
pub fn clear(root: &Path, series: Option<&SeriesServer>) -> Result<(), RestoreError> {
    match noted(root, series)? {
        Some((server, databases)) => Ok(server.drop_aside(&databases)?),
        None => Ok(()),
    }
}

/// What the note of a user names, and where it is.
fn noted<'s>(
    root: &Path,
    series: Option<&'s SeriesServer>,
) -> Result<Option<(&'s Influx, Vec<SeriesDatabase>)>, RestoreError> {
    let path = root.join(NOTE);
    let text = match fs::read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|e| refused(&path, e))?,
    };
    let databases: Vec<SeriesDatabase> =
        serde_json::from_slice(&text).map_err(|e| refused(&path, e.into()))?;
    match series {
        Some(SeriesServer { server, .. }) => Ok(Some((server, databases))),
        None => Err(RestoreError::Conflict {
            what: format!(
                "{} names databases that an earlier restore has left on InfluxDB, and storages.series.engine is another now: set it to \
                 influxdb for one more restore, or remove the databases and the file",
                path.display()
            ),
        }),
    }
}
