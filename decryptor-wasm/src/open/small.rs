//! Small files that lie near each other in volumes: each piece of a volume is read once, and the files in it are opened and checked by one call.
//! What is not as it should be here is left to whoever reads files one by one, and says what is wrong with each.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::{
    Code, DataKey, Result,
    aead::{AnyAead, Cipher},
    hex,
    manifest::{Expected, PackedFields, put_number, put_text},
    plan::check_against_inventory,
    reader::{FileReader, FileSummary, ReadOptions, read_pieces},
    volume::{BlockMember, Range, SMALL, VolumePiece},
};

/// Content of the files of one block; of those that would be more, the rest is left.
const MOST_CONTENT: u64 = 64 * 1024 * 1024;

/// Opens small files that are in memory, one after the other, with the same buffers.
pub struct SmallReader {
    key: Option<DataKey>,
    cipher: Cipher,
    /// One for each way of reading.
    readers: Vec<(Way, FileReader<AnyAead>)>,
}

/// The way in which a small file is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) encrypted: bool,
    pub(super) gunzip: bool,
    pub(super) lines: bool,
}

/// What was seen of a small file: sizes, salt and records, and the SHA-256 of the stored bytes in hex.
type Seen = (FileSummary, String);

/// Manifests of users that lie near each other in a volume.
#[derive(Clone)]
pub struct ManifestBlock {
    /// Where they lie.
    pub range: Range,
    key: Option<DataKey>,
    cipher: Cipher,
    members: Arc<[(u32, BlockMember)]>,
}

/// The content of a manifest, and what was seen of it: sizes, salt and records, and the SHA-256 of the stored bytes in hex.
pub type ReadContent = (Vec<u8>, FileSummary, String);

/// The outcome for the files of a block.
#[derive(Debug, Default)]
pub struct CheckedBlock {
    /// Bytes of content of those that are as they should be.
    pub bytes: u64,
    /// JSON lines of each file, 0 of one that holds none; none for a file that is to be read by itself.
    pub records: Vec<Option<u64>>,
}

impl SmallReader {
    /// With the key of an archive; none where it is not encrypted.
    pub fn new(key: Option<DataKey>, cipher: Cipher) -> Self {
        SmallReader {
            key,
            cipher,
            readers: Vec::new(),
        }
    }

    /// Opens a file and passes on its content.
    fn read(
        &mut self,
        stored: &[u8],
        way: Way,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Seen> {
        let known = self.readers.iter().position(|(known, _)| *known == way);
        let at = known.unwrap_or(self.readers.len());
        if known.is_none() {
            let options = ReadOptions {
                gunzip: way.gunzip,
                lines: way.lines,
                buffer: SMALL as usize,
            };
            let key = match (&self.key, way.encrypted) {
                (None, true) => return Err(Code::KeyNeeded.into()),
                (key, sealed) => key.as_ref().filter(|_| sealed),
            };
            self.readers
                .push((way, FileReader::with(key, options, &self.cipher)));
        }
        let (_, reader) = &mut self.readers[at];
        reader.restart();
        let summary = read_pieces(reader, stored, take)?;
        Ok((summary, hex(&Sha256::digest(stored))))
    }

    /// Opens the files of a block and holds them against the inventory, all that can be checked of each. `piece`: the bytes where they lie;
    /// `decrypted`: see [`super::OpenedRun::decrypted`].
    pub fn check(&mut self, order: &[u8], piece: &[u8], decrypted: bool) -> CheckedBlock {
        let mut checked = CheckedBlock::default();
        let mut fields = PackedFields::of(order);
        while !fields.is_empty() {
            let ordered = Ordered::unpack(&mut fields);
            let read = match ordered.member.stored(piece) {
                Some(stored) if checked.bytes < MOST_CONTENT => {
                    self.whole(&ordered, stored, decrypted)
                }
                _ => None,
            };
            checked.bytes += read.as_ref().map_or(0, |summary| summary.output_size);
            checked
                .records
                .push(read.map(|summary| summary.records.unwrap_or_default()));
        }
        checked
    }

    /// What was seen of a file that is as it should be.
    fn whole(&mut self, ordered: &Ordered, stored: &[u8], decrypted: bool) -> Option<FileSummary> {
        let (summary, sha256) = self.read(stored, ordered.way, &mut |_| Ok(())).ok()?;
        if let Some(expected) = &ordered.expected {
            check_against_inventory(expected, &summary, Some(&sha256), decrypted).ok()?;
        }
        Some(summary)
    }
}

/// A file of a block, and what it should be.
pub(super) struct Ordered {
    pub(super) member: BlockMember,
    pub(super) way: Way,
    pub(super) expected: Option<Expected>,
}

impl Ordered {
    pub(super) fn pack(&self, out: &mut Vec<u8>) {
        let BlockMember { path, at, size } = &self.member;
        put_text(out, path);
        put_number(out, *at);
        put_number(out, *size);
        let Way {
            encrypted,
            gunzip,
            lines,
        } = self.way;
        for is in [encrypted, gunzip, lines, self.expected.is_some()] {
            put_number(out, is.into());
        }
        if let Some(expected) = &self.expected {
            expected.pack(out);
        }
    }

    fn unpack(fields: &mut PackedFields<'_>) -> Self {
        let member = BlockMember {
            path: fields.text().to_owned(),
            at: fields.number(),
            size: fields.number(),
        };
        let mut is = || fields.number() == 1;
        let way = Way {
            encrypted: is(),
            gunzip: is(),
            lines: is(),
        };
        let expected = is().then(|| Expected::unpack(fields));
        Ordered {
            member,
            way,
            expected,
        }
    }
}

impl ManifestBlock {
    pub(super) fn new(block: VolumePiece, key: Option<DataKey>, cipher: Cipher) -> Self {
        ManifestBlock {
            range: block.range,
            key,
            cipher,
            members: block.members.into(),
        }
    }

    /// The number of each manifest.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.members.iter().map(|(number, _)| *number)
    }

    /// The content of each manifest in `piece`, the bytes of the range; none for one that is to be read by itself.
    pub fn read(&self, piece: &[u8]) -> Vec<Option<ReadContent>> {
        let mut reader = SmallReader::new(self.key.clone(), self.cipher.clone());
        let way = Way {
            encrypted: self.key.is_some(),
            ..Way::default()
        };
        let mut all = Vec::with_capacity(self.members.len());
        for (_, member) in self.members.iter() {
            all.push(member.stored(piece).and_then(|stored| {
                let mut content = Vec::with_capacity(stored.len());
                let read = reader.read(stored, way, &mut |bytes| {
                    content.extend_from_slice(bytes);
                    Ok(())
                });
                let (summary, sha256) = read.ok()?;
                Some((content, summary, sha256))
            }));
        }
        all
    }
}
