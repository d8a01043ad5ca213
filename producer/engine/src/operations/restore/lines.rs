//! The records of an archive, as whole lines in pieces of bounded size.

use decryptor_wasm::{
    jsonl::{Line, LineSplitter},
    layout::PathKind,
    plan::PlannedFile,
};

use crate::limits::PIECE;
use crate::{
    archive::read::{Archive, ReadError},
    interrupt,
    platform::{
        Collection,
        json::Fields,
        write::{Has, RestoreError},
    },
};

/// The files of a user's collection, in order.
pub fn files<'a>(
    archive: &'a Archive,
    user_id: &'a str,
    collection: Collection,
) -> impl Iterator<Item = PlannedFile> {
    archive
        .files_of(user_id)
        .filter(move |file| is_of(file, collection))
}

/// Whether a file holds records of a collection of a user.
fn is_of(file: &PlannedFile, collection: Collection) -> bool {
    matches!(PathKind::of(&file.path), PathKind::UserRecords { .. })
        && kind(&file.path) == Some(collection.name())
}

fn kind(path: &str) -> Option<&str> {
    let name = path.split('/').nth(2)?;
    name.split('.').next()
}

/// The attachments of a user.
pub fn attachments<'a>(
    archive: &'a Archive,
    user_id: &'a str,
) -> impl Iterator<Item = (String, PlannedFile)> {
    archive.files_of(user_id).filter_map(|file| {
        let mine = matches!(PathKind::of(&file.path), PathKind::Attachment { .. });
        let id = file.path.rsplit('/').next().unwrap_or_default().to_owned();
        mine.then_some((id, file))
    })
}

/// The records of a piece.
pub fn split(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    let ends = memchr::memchr_iter(b'\n', lines).chain([lines.len()]);
    ends.filter_map(move |end| {
        let line = &lines[from.min(end)..end];
        from = end + 1;
        (!line.is_empty()).then_some(line)
    })
}

/// Whether the records of a collection have a member that may be called by either of two names.
pub fn have(
    archive: &Archive,
    collection: Collection,
    names: [&str; 2],
) -> Result<Has, RestoreError> {
    let mut has = Has {
        some: false,
        all: true,
    };
    let of = |file: &PlannedFile| is_of(file, collection);
    for file in archive.files().iter().filter(of) {
        each(archive, &file, &mut |lines| {
            for line in split(lines) {
                let line = String::from_utf8_lossy(line);
                let Ok(fields) = Fields::parse(&line) else {
                    continue;
                };
                let values = names.map(|name| fields.get(name));
                has.some |= values.iter().any(Option::is_some);
                has.all &= values.iter().flatten().any(|value| *value != "null");
            }
            Ok(())
        })?;
    }
    Ok(has)
}

/// Hands over the lines of a file, whole and with their newlines.
pub fn each(
    archive: &Archive,
    file: &PlannedFile,
    take: &mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let mut lines: Vec<u8> = Vec::new();
    let mut gather = |line: Line<'_>| {
        lines.extend_from_slice(line.text);
        lines.push(b'\n');
        if lines.len() >= PIECE {
            take(&lines)?;
            lines.clear();
        }
        Ok(())
    };
    let mut splitter = LineSplitter::default();
    archive.stream_verified::<RestoreError>(file, &mut |piece| {
        interrupt::check()?;
        splitter.push(piece, &mut gather)
    })?;
    let finished = splitter.finish(&mut gather);
    finished.map_err(|error| error.in_file(&file.path))?;
    match lines.is_empty() {
        true => Ok(()),
        false => take(&lines),
    }
}
