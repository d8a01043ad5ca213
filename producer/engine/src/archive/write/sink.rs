//! A way into a user's files: what one thread brings.

use std::io::Read;

use super::{ArchiveError, block, block::Block, user::UserFilesWriter};
use crate::limits::PIECE;
use crate::platform::{self, Attachment, Collection, SinkError, UserSink};

/// Collects the records of one thread into blocks, compresses them there, and appends them to the files of the user.
pub struct Sink<'a> {
    writer: &'a UserFilesWriter<'a>,
    blocks: Vec<(Collection, Block)>,
}

impl UserFilesWriter<'_> {
    /// A way in for one thread.
    pub fn sink(&self) -> Sink<'_> {
        Sink::new(self)
    }
}

impl<'a> Sink<'a> {
    fn new(writer: &'a UserFilesWriter<'a>) -> Self {
        Sink {
            writer,
            blocks: Vec::new(),
        }
    }

    /// Appends to the block of a collection, and passes it on when it is full.
    fn add(
        &mut self,
        collection: Collection,
        fill: impl FnOnce(&mut Block),
    ) -> Result<(), ArchiveError> {
        let found = self.blocks.iter().position(|(of, _)| *of == collection);
        let place = found.unwrap_or_else(|| {
            self.blocks.push((collection, Block::default()));
            self.blocks.len() - 1
        });
        let block = &mut self.blocks[place].1;
        fill(block);
        if block.is_full() {
            pass_on(self.writer, collection, block)?;
        }
        Ok(())
    }
}

fn pass_on(
    writer: &UserFilesWriter<'_>,
    collection: Collection,
    block: &mut Block,
) -> Result<(), ArchiveError> {
    block.take(writer.place().compress, |content| {
        writer.append(collection, &content)
    })
}

impl UserSink for Sink<'_> {
    fn record(&mut self, collection: Collection, line: &[u8]) -> Result<(), SinkError> {
        Ok(self.add(collection, |block| block.push(line))?)
    }

    fn records(
        &mut self,
        collection: Collection,
        lines: &[u8],
        count: u64,
    ) -> Result<(), SinkError> {
        if lines.len() >= PIECE {
            let writer = self.writer;
            return Ok(block::content(
                writer.place().compress,
                lines,
                count,
                |content| writer.append(collection, &content),
            )?);
        }
        Ok(self.add(collection, |block| block.extend(lines, count))?)
    }

    fn attachment(
        &mut self,
        file: &Attachment,
        _: Option<u64>,
        reader: &mut dyn Read,
    ) -> Result<(), SinkError> {
        Ok(self.writer.write_attachment(file, reader)?)
    }

    fn gone(&mut self, file: &Attachment) -> Result<(), SinkError> {
        self.writer.gone(file);
        Ok(())
    }

    fn stream_path(&mut self, id: &str, path: &str) -> Result<(), SinkError> {
        self.writer.stream_path(id, path);
        Ok(())
    }

    fn loss(&mut self, loss: platform::PlatformLoss) -> Result<(), SinkError> {
        self.writer.lose(loss);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        for (collection, block) in &mut self.blocks {
            if !block.is_empty() {
                pass_on(self.writer, *collection, block)?;
            }
        }
        Ok(())
    }
}
