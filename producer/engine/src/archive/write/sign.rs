//! The end of an archive: its manifest, the signature of that, and the sums of all files.

use std::{fs::File, sync::Arc};

use decryptor_wasm::{
    DataKey, Error, ErrorKind,
    chain::Link,
    signature::{FilesDigest, SIGNATURE, Signer, Statement},
};
use serde::Serialize;

use super::{ArchiveError, ArchiveWriter, Staged, file::FileWriter, manifest_format};
use crate::threads::lock;
use crate::{
    archive::sums::{self, SUMS, Sorter, SumLine},
    state::host::HostKey,
};

const MANIFEST: &str = "manifest.json";

/// Who signs a run, and which platform it is of.
#[derive(Clone)]
pub struct Signing {
    /// The key.
    pub key: Arc<HostKey>,
    /// See [`HostKey::source`].
    pub source: String,
    /// The name of its core, where it has one.
    pub core: Option<String>,
}

/// A finished archive.
pub struct Finished {
    /// SHA-256 of `manifest.json` as stored.
    pub id: String,
    /// The data key, as long as the run lasts: with it the run can read again what it wrote.
    pub key: Option<DataKey>,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Who signed it.
    pub signer: Signer,
    /// The statement that was signed.
    pub statement: Statement,
}

/// Facts about the making of an archive, which each manifest holds and its signature states too.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// When, in milliseconds since 1970.
    pub created_at: i64,
    /// Who signs.
    pub signer: String,
    /// Of which platform.
    pub source: String,
    /// Of which core of it, where it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<String>,
    /// How many losses are named.
    pub loss_count: u64,
}

/// Facts about an archive that are known when all but its manifest is written.
pub struct SignedContent<'c> {
    /// Bytes of its files.
    pub bytes: u64,
    /// How many losses are named.
    pub loss_count: u64,
    /// Its place in a chain, unless it is the first run.
    pub link: Option<&'c Link>,
}

impl ArchiveWriter {
    /// Facts about the making of the archive, for the manifest.
    pub fn stamp(&self, loss_count: u64) -> Stamp {
        let signing = &self.options.signing;
        Stamp {
            created_at: self.created_at(),
            signer: signing.key.signer().to_string(),
            source: signing.source.clone(),
            core: signing.core.clone(),
            loss_count,
        }
    }

    /// Writes manifest, signature and sums, so that the archive is whole, though not yet in its place. What could not be finished is
    /// removed.
    pub fn stage<T: Serialize>(
        self,
        manifest: &T,
        content: SignedContent<'_>,
    ) -> Result<Staged, ArchiveError> {
        match self.write_end(manifest, &content) {
            Ok((statement, bytes)) => Ok(Staged {
                destination: self.destination,
                tar: self.storage.tar,
                finished: Finished {
                    id: statement.id.clone(),
                    key: self.key,
                    bytes,
                    signer: self.options.signing.key.signer().clone(),
                    statement,
                },
            }),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// Writes the manifest and its signature; returns the signed statement, and the bytes of all files of the archive.
    fn write_end<T: Serialize>(
        &self,
        manifest: &T,
        content: &SignedContent<'_>,
    ) -> Result<(Statement, u64), ArchiveError> {
        let staging = self.destination.staging();
        let volumes = self.storage.volumes.as_ref();
        let volumes = volumes.map(|volumes| volumes.end()).transpose()?;
        let mut files = FilesDigest::default();
        let sums = std::mem::replace(&mut *lock(&self.sums), Sorter::new(staging.to_owned()));
        let sorted = sums.finish(&mut |line| files.push(&line.path, &line.sha256))?;
        let place = staging.join(MANIFEST);
        let mut file = self.file(MANIFEST)?;
        manifest_format::write(&mut file, manifest)
            .map_err(|e| ArchiveError::io(&place, e.into()))?;
        let entry = file.finish(None)?;
        let id = entry.sha256.clone();
        let statement = Statement {
            base: content
                .link
                .map_or_else(|| id.clone(), |link| link.base.clone()),
            parent: content.link.map(|link| link.parent.clone()),
            run: content.link.map_or(1, |link| link.run),
            kind: self.options.backup_type,
            created: self.created_at(),
            source: self.options.signing.source.clone(),
            losses: content.loss_count,
            files: files.finish(),
            core: self.options.signing.core.clone(),
            id,
        };
        let stored = File::open(&place).map_err(|e| ArchiveError::io(&place, e))?;
        let signed = self.options.signing.key.sign(stored, &statement);
        let signed = signed.map_err(|what| Error::new(ErrorKind::Failed, what))?;
        let mut file = FileWriter::create(&self.storage, SIGNATURE, None)?;
        file.write(signed.as_bytes())?;
        let signature = file.finish(None)?;
        let mut own = vec![SumLine::from(&entry), SumLine::from(&signature)];
        let mut more = 0;
        let mut lines = match volumes {
            Some((volumes, beside)) => {
                more = beside;
                own.extend(volumes);
                own.append(&mut lock(&self.beside));
                own.sort();
                Vec::new()
            }
            None => vec![sums::read(sorted)],
        };
        lines.push(Box::new(own.into_iter().map(Ok)));
        let mut file = FileWriter::create(&self.storage, SUMS, None)?;
        let at = |e| ArchiveError::io(&staging.join(SUMS), e);
        for line in sums::merge(lines) {
            line?.write(&mut file).map_err(at)?;
        }
        let sums = file.finish(None)?;
        let bytes = content.bytes + more + entry.size + signature.size + sums.size;
        Ok((statement, bytes))
    }
}
