//! Sizes and bounds of the engine, each with its reason. Those that are rules of the format are in [`decryptor_wasm::limits`].

/// Bytes of a file that are read, written or handed over at once: larger pieces are not faster, and each thread has some of them.
pub const PIECE: usize = 256 * 1024;

/// Bytes of records that are worked on together, and that become a member of a gzip file: large enough to compress well, small enough to
/// keep memory flat.
pub const BLOCK: usize = 1024 * 1024;

/// How many times larger records are than their gzip form, for a guess of how long they take: that of usual events.
pub const LIKELY_INFLATION: u64 = 5;

/// The same for a guess of how much room they need: too much is better than too little.
pub const INFLATION: u64 = decryptor_wasm::limits::INFLATION as u64;

/// Examples of one kind that a report names; more do not help whoever reads it.
pub const NAMED: usize = 5;

/// Bytes of the path of a stream in SQLite. Each path holds those of all streams above, so a chain of streams takes the square of its
/// length.
pub const MAX_STREAM_PATH_SQLITE: usize = 256 * 1024;

/// Bytes of the path of a stream in PostgreSQL, whose indexes hold an eighth of that, and more only of what is easily compressed.
pub const MAX_STREAM_PATH_POSTGRES: usize = 16 * 1024;

/// Bytes of an answer of rqlite: a page of its largest entries.
pub const MAX_RQLITE_ANSWER: u64 = 256 << 20;

/// Bytes of a piece of an answer of InfluxDB: points of the largest texts.
pub const MAX_INFLUXDB_PIECE: u64 = 256 << 20;

/// Losses of a user that are named one by one. Where there are more, something is wrong as a whole.
pub const MAX_NAMED_LOSSES_OF_USER: usize = 1000;

/// Losses of all users that the report of a backup names; the manifests of the users name more.
pub const MAX_NAMED_LOSSES: usize = 10_000;

/// Bytes of a file of a platform's configuration, which is read whole.
pub const MAX_CAPSULE_FILE: u64 = 16 << 20;

/// Bytes of all files of a platform's configuration, when no further one is taken.
pub const MAX_CAPSULE_BYTES: u64 = 256 << 20;

/// Files and links of a platform's configuration: of more, some folder is none of keys and certificates.
pub const MAX_CAPSULE_FILES: usize = 10_000;

/// Bytes of what a capsule says of itself: some hundreds for each file.
pub const MAX_CAPSULE_RECORD: u64 = 64 << 20;
