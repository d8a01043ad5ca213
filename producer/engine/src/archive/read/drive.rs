//! Drives the core's walk over an archive: lists and reads what it needs, several manifests side by side, and asks for keys.

use decryptor_wasm::{
    Code, DataKey, Envelope, Result,
    open::{Answer, ManifestNeed, Need, Opening},
};
use sha2::{Digest, Sha256};

use super::{
    Folder,
    stream::{BLOCK, ReadFile, read_some},
};
use crate::{interrupt, text::hex, threads};

/// Manifests that a thread is worth.
const LEAST_MANIFESTS: usize = 64;

/// Meets all needs of a walk over `folder`; `unlock` gives the data key of a run.
pub(super) fn drive<T>(
    folder: &Folder,
    mut opening: Opening<T>,
    unlock: &dyn Fn(&Envelope) -> Result<DataKey>,
) -> Result<T> {
    loop {
        let (mut needs, mut manifests) = (0, Vec::new());
        while let Some((number, need)) = opening.next_need()? {
            needs += 1;
            let answer = match need {
                Need::Content(sealed) => {
                    manifests.push((number, sealed));
                    continue;
                }
                Need::Key { envelope, .. } => unlock(&envelope).map(Answer::Key),
                // Asked for only of whoever says where members are.
                Need::Block(_) => Err(Code::AnswerMisplaced.into()),
                Need::Listing { scan } => folder.list(scan).map(Answer::Listing),
                Need::Stored { path, most, .. } => stored(folder, &path, most),
                Need::Digest { path } => digest(folder, &path).map(Answer::Digest),
                Need::Pieces { path } => {
                    let passed = pieces(folder, &path, &mut |piece| opening.piece(piece));
                    passed.map(|()| Answer::End)
                }
            };
            opening.give(number, answer);
        }
        if needs == 0 {
            return opening.finish();
        }
        interrupt::check()?;
        let share = manifests.len().div_ceil(threads::count(None));
        let shares: Vec<&[_]> = manifests.chunks(share.max(LEAST_MANIFESTS)).collect();
        let answers = threads::map(&shares, |share| {
            let answer =
                |(number, sealed): &(u32, ManifestNeed)| (*number, content(folder, sealed));
            share.iter().map(answer).collect::<Vec<_>>()
        });
        for (number, answer) in answers.into_iter().flatten() {
            opening.give(number, answer);
        }
    }
}

fn stored(folder: &Folder, path: &str, most: u64) -> Result<Answer> {
    Ok(match folder.read_up_to(path, most)? {
        Some(bytes) => Answer::Stored(bytes),
        None => Answer::TooLong,
    })
}

fn content(folder: &Folder, sealed: &ManifestNeed) -> Result<Answer> {
    let Some(stored) = folder.read_up_to(&sealed.path, sealed.most)? else {
        return Ok(Answer::TooLong);
    };
    let content = ReadFile::of_manifest(sealed.key.as_ref()).whole(&stored)?;
    Ok(Answer::Content {
        bytes: content.bytes,
        summary: content.seen.summary,
        sha256: content.seen.sha256,
    })
}

fn digest(folder: &Folder, path: &str) -> Result<String> {
    let mut digest = Sha256::new();
    pieces(folder, path, &mut |piece| {
        digest.update(piece);
        Ok(())
    })?;
    Ok(hex(&digest.finalize()))
}

fn pieces(folder: &Folder, path: &str, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut file = folder.open(path)?;
    let mut buffer = vec![0; BLOCK];
    loop {
        interrupt::check()?;
        match read_some(&mut file, &mut buffer, path)? {
            0 => return Ok(()),
            n => take(&buffer[..n])?,
        }
    }
}
