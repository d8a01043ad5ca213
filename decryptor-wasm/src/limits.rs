//! Bounds on what a reader accepts, each with its reason: a file that was damaged or made to do harm must not be able to ask for all
//! memory or time. They are rules of the format; the sizes of small files are in [`crate::layout`].

/// Bytes of a line of records: Pryv can write that much.
pub const MAX_LINE: usize = 512 * 1024 * 1024;

/// Bytes of a path in an archive: longer than any that a writer makes, and short enough for all file systems.
pub const MAX_PATH: usize = 1024;

/// Bytes of a file in a volume: the sizes of all files can be added up.
pub const MAX_MEMBER: u64 = 1 << 48;

/// Bytes of a line of `SHA256SUMS` without its end: a digest, two spaces, a path.
pub const MAX_SUM_LINE: usize = 64 + 2 + MAX_PATH;

/// Bytes of the header of a sealed file; ours have 55.
pub const MAX_HEADER: usize = 4096;

/// Bytes of plaintext in a frame: the length is read before the frame is authentic.
pub const MAX_CHUNK: usize = 16 * 1024 * 1024;

/// Bytes of `encryption.json`: room for [`MAX_RECIPIENTS`].
pub const MAX_ENVELOPE: usize = 1024 * 1024;

/// Recipients of an archive.
pub const MAX_RECIPIENTS: usize = 1000;

/// Rounds of PBKDF2 that an envelope or a key file may ask for: some seconds.
pub const MAX_ITERATIONS: u32 = 10_000_000;

/// Bytes of memory that an envelope or a key file may ask scrypt for.
pub const MAX_SCRYPT_MEMORY: u64 = 256 * 1024 * 1024;

/// Bytes of a key file: they have a few kilobytes, also with the certificates that come with some.
pub const MAX_KEY_FILE: usize = 64 * 1024;

/// Bytes of a signature of a run; ours have some hundreds.
pub const MAX_SIGNATURE: usize = 4096;

/// Values within values that the reader of JSON follows: each level takes stack.
pub const MAX_DEPTH: u32 = 250;

/// Values within values that the hash of a record covers: of deeper ones only the kind counts. Less than [`MAX_DEPTH`].
pub const MAX_HASHED_DEPTH: u32 = 200;

/// The usual ratio of the size of records to that of their gzip form, for the size of buffers and estimates, where too much is better than
/// too little.
pub const INFLATION: usize = 8;
