//! One stored file, from its bytes on disk to the bytes that the caller wants.

use base64ct::{Base64, Encoding};

use crate::{
    DataKey, FileKey, Result,
    aead::{Aead, AnyAead, Cipher},
    container::FrameDecoder,
    gzip::Gunzip,
    jsonl::LineSplitter,
};

/// Size of the buffer that stored bytes are read into.
pub const BUFFER: usize = 4 * 1024 * 1024;

// Bytes of the length before a frame.
const LENGTH_PREFIX: usize = 4;

/// The tasks of a [`FileReader`] beside opening.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions {
    /// Put out the inflated bytes instead of the gzip bytes.
    pub gunzip: bool,
    /// Check that the (inflated) content is JSON lines, and count them.
    pub lines: bool,
    /// Bytes of the buffer; 0 means [`BUFFER`].
    pub buffer: usize,
}

/// The result of reading a file to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSummary {
    /// Bytes as stored.
    pub stored_size: u64,
    /// Bytes after opening, before inflating.
    pub content_size: u64,
    /// Bytes put out.
    pub output_size: u64,
    /// Base64 salt of a sealed file.
    pub salt: Option<String>,
    /// Plaintext bytes of a full frame of a sealed file.
    pub chunk: Option<usize>,
    /// JSON lines, when they were counted.
    pub records: Option<u64>,
}

/// Opens one file in place: the caller reads stored bytes into [`FileReader::input`], calls [`FileReader::process`], and takes
/// output until there is none. Constant memory whatever the file's size.
pub struct FileReader<A> {
    decoder: Option<FrameDecoder<A>>,
    gunzip: Option<Gunzip>,
    lines: Option<LineSplitter>,
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that belong before the next input.
    kept: usize,
    content: std::ops::Range<usize>,
    summary: FileSummary,
}

impl FileReader<AnyAead> {
    /// A reader with any cipher; without a key, of a file that is not sealed.
    pub fn with(key: Option<&DataKey>, options: ReadOptions, cipher: &Cipher) -> Self {
        let cipher = cipher.clone();
        match key {
            Some(key) => Self::sealed(key.clone(), options, move |key| cipher(key)),
            None => Self::cleartext(options),
        }
    }
}

impl<A: Aead> FileReader<A> {
    /// A reader of a sealed file; `open` makes the cipher from the file's key.
    pub fn sealed(
        key: DataKey,
        options: ReadOptions,
        open: impl Fn(&FileKey) -> Result<A> + 'static,
    ) -> Self {
        Self::new(Some(FrameDecoder::new(key, open)), options)
    }

    /// A reader of a file that is not sealed.
    pub fn cleartext(options: ReadOptions) -> Self {
        Self::new(None, options)
    }

    fn new(decoder: Option<FrameDecoder<A>>, options: ReadOptions) -> Self {
        let size = if options.buffer == 0 {
            BUFFER
        } else {
            options.buffer
        };
        FileReader {
            decoder,
            gunzip: options.gunzip.then(|| Gunzip::new(size)),
            lines: options.lines.then(LineSplitter::default),
            buffer: vec![0; size],
            kept: 0,
            content: 0..0,
            summary: FileSummary::default(),
        }
    }

    /// Begins another file, which is read in the same way; whatever became of the one before.
    pub fn restart(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.restart();
        }
        if let Some(gunzip) = &mut self.gunzip {
            gunzip.restart();
        }
        if let Some(lines) = &mut self.lines {
            *lines = LineSplitter::default();
        }
        self.kept = 0;
        self.content = 0..0;
        self.summary = FileSummary::default();
    }

    /// Where the next stored bytes go.
    pub fn input(&mut self) -> &mut [u8] {
        if let Some(carry) = self
            .decoder
            .as_mut()
            .map(FrameDecoder::take_carry)
            .filter(|c| !c.is_empty())
        {
            self.kept = carry.len();
            // A frame may be larger than the buffer of a small file's reader.
            if self.buffer.len() < carry.len() * 2 {
                self.buffer.resize(carry.len() * 2, 0);
            }
            self.buffer[..carry.len()].copy_from_slice(&carry);
        }
        &mut self.buffer[self.kept..]
    }

    /// `n` stored bytes were put at the front of [`FileReader::input`]. An error concerns what follows; the output that is
    /// still to be taken is authentic.
    pub fn process(&mut self, n: usize) -> Result<()> {
        self.summary.stored_size += n as u64;
        let filled = self.kept + n;
        self.kept = 0;
        let (length, result) = match &mut self.decoder {
            Some(decoder) => decoder.open_in_place(&mut self.buffer[..filled]),
            None => (filled, Ok(())),
        };
        self.summary.content_size += length as u64;
        self.content = 0..length;
        result
    }

    /// The next frame, of `length` bytes, was opened by the caller (or refused), who counts nothing and decides nothing: the checks
    /// are those of [`FileReader::process`]. Where output is not simply the plaintext, that is put in with
    /// [`FileReader::process_opened`]. Returns how many bytes the frame held.
    pub fn frame_opened(&mut self, length: usize, authentic: bool) -> Result<usize> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(0);
        };
        let plain = decoder.opened_elsewhere(length, authentic)?;
        self.summary.stored_size += (LENGTH_PREFIX + length) as u64;
        self.summary.content_size += plain as u64;
        if self.gunzip.is_none() && self.lines.is_none() {
            self.summary.output_size += plain as u64;
        }
        Ok(plain)
    }

    /// `n` bytes of opened frames were put at the front of [`FileReader::input`].
    pub fn process_opened(&mut self, n: usize) {
        self.content = 0..n.min(self.buffer.len());
    }

    /// The next bytes of output, empty when more input is needed.
    pub fn output(&mut self) -> Result<&[u8]> {
        let bytes: &[u8] = match &mut self.gunzip {
            None => &self.buffer[std::mem::take(&mut self.content)],
            Some(gunzip) => loop {
                let (used, made) = gunzip.step(&self.buffer[self.content.clone()])?;
                self.content.start += used;
                if used == 0 || !made.is_empty() || self.content.is_empty() {
                    break gunzip.inflated(made);
                }
            },
        };
        if let Some(lines) = &mut self.lines {
            lines.push(bytes, &mut |line| line.check())?;
        }
        self.summary.output_size += bytes.len() as u64;
        Ok(bytes)
    }

    /// To be called at the end of the file, after all output was taken.
    pub fn finish(&mut self) -> Result<FileSummary> {
        if let Some(decoder) = &self.decoder {
            decoder.finish(self.kept)?;
            self.summary.chunk = decoder.header().map(|h| h.chunk);
            self.summary.salt = decoder.header().map(|h| Base64::encode_string(&h.salt));
        }
        if let Some(gunzip) = &self.gunzip {
            gunzip.finish()?;
        }
        if let Some(lines) = &mut self.lines {
            self.summary.records = Some(lines.finish(&mut |line| line.check())?);
        }
        Ok(self.summary.clone())
    }
}

/// Opens a whole file that is already in memory (manifests).
pub fn read_whole<A: Aead>(
    mut reader: FileReader<A>,
    stored: &[u8],
) -> Result<(Vec<u8>, FileSummary)> {
    let mut all = Vec::with_capacity(stored.len());
    let summary = read_pieces(&mut reader, stored, &mut |piece| {
        all.extend_from_slice(piece);
        Ok(())
    })?;
    Ok((all, summary))
}

/// The same, piece by piece.
pub(crate) fn read_pieces<A: Aead>(
    reader: &mut FileReader<A>,
    mut stored: &[u8],
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<FileSummary> {
    while !stored.is_empty() {
        let input = reader.input();
        let n = input.len().min(stored.len());
        input[..n].copy_from_slice(&stored[..n]);
        stored = &stored[n..];
        reader.process(n)?;
        loop {
            let bytes = reader.output()?;
            if bytes.is_empty() {
                break;
            }
            take(bytes)?;
        }
    }
    reader.finish()
}
