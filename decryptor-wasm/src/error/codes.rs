//! The codes of errors: for each a stable name, its kind, and its sentence. `docs/errors.md` lists them.
//!
//! A sentence says what happened and, where anybody can do it, what to do; [`super::describe`] says how its gaps are filled. No sentence
//! names an option of a command line: that is left to [`super::advice`].

use super::ErrorKind;

/// The properties of a code.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kind: ErrorKind,
    pub(super) sentence: &'static str,
}

macro_rules! codes {
    ($($code:ident $name:literal $kind:ident $sentence:literal;)*) => {
        /// Says what went wrong. Names are stable; new ones may be added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $sentence] $code,)*
        }

        const CODES: &[Code] = &[$(Code::$code,)*];
        const ROWS: &[Row] = &[$(Row {
            name: $name,
            kind: ErrorKind::$kind,
            sentence: $sentence,
        },)*];
    };
}

codes! {
    // Sentences of whoever drives the core.
    Usage "usage" Usage "{detail}";
    Key "key" Key "{detail}";
    Damaged "damaged" Damaged "{detail}";
    Unsupported "unsupported" Unsupported "{detail}";
    Failed "failed" Failed "{detail}";

    // Mistakes of whoever drives the core.
    RequestValue "request-value" Usage "the value of {found} is not valid";
    AnswerMisplaced "answer-misplaced" Failed "an answer does not fit its question: this is a mistake of the program";

    // Files of an archive.
    FolderEmpty "folder-empty" Usage "{path} is empty: give the folder of the backup";
    NotABackup "not-a-backup" Usage "{path} is not a backup (it has no manifest.json): give the folder of the backup";
    Unfinished "unfinished" Damaged "{path} has no manifest.json: the backup was not finished, or the file was removed; use another copy";
    NotAFile "not-a-file" Damaged "{path} is {found}: a backup holds regular files only; remove it or copy the backup again";
    UnreadableFile "unreadable-file" Failed "cannot read {path}: {detail}";
    UnwritableFile "unwritable-file" Failed "cannot write {path}: {detail}";
    FolderMissing "folder-missing" Usage "{path} does not exist: give the folder of the backup";
    NotAFolder "not-a-folder" Usage "{path} is not a folder: give the folder of the backup, or the tar file that it was written to";
    OtherTar "other-tar" Usage "{path} is a tar file that another program wrote: unpack it (tar -xf), then give the folder";
    Compressed "compressed" Usage "{path} is compressed ({found}): unpack it first";
    UnreadableFolder "unreadable-folder" Failed "cannot read the folder {path}: {detail}";
    NameNotText "name-not-text" Damaged "{path} has a name that is not text: an archive holds none; remove it";
    BecameShorter "became-shorter" Damaged "became shorter while it was read";
    BecameOther "became-other" Damaged "{path} changed while it was read: open the backup again when nothing writes to it, or use another copy";
    FileTooLarge "file-too-large" Damaged "{path} is larger than any such file ({limit} bytes): it was replaced; use another copy of the backup";
    SumsUnreadable "sums-unreadable" Damaged "holds a line that is too long or not text: the file was changed; use another copy of the backup";
    OtherArchive "other-archive" Damaged "this is not the archive that you expect: its id is {found}, not {expected}";
    NoSuchUser "no-such-user" Usage "no user {user:?} in this archive";

    // Whether it may be encrypted, and which key opens it.
    EncryptionRequired "encryption-required" Damaged "this backup is not encrypted, and an encrypted one is required: it may have been replaced";
    NotEncrypted "not-encrypted" Damaged "this backup is not encrypted, though you gave a key: it may have been replaced";
    KeyNeeded "key-needed" Key "this archive is encrypted: a key is needed";
    PrivateKeyNeeded "private-key-needed" Key "a private key is needed";
    PassphraseNeeded "passphrase-needed" Key "a passphrase is needed";
    OpensWithPrivateKey "opens-with-private-key" Key "this backup opens with a private key, not with a passphrase";
    OpensWithPassphrase "opens-with-passphrase" Key "this backup opens with a passphrase, not with a private key";
    WrongPrivateKey "wrong-private-key" Key "wrong private key: the archive was not made for the key {key}[ (it opens with: {expected})]";
    WrongPassphrase "wrong-passphrase" Key "wrong passphrase for this archive: give it exactly as it was when the backup was made";
    WrongPassphraseOrDamage "wrong-passphrase-or-damage" Key "the passphrase is wrong, or manifest.json is damaged (this archive has no key check to tell which): try the right passphrase, then another copy of the backup";
    LockedWithPassphrase "locked-with-passphrase" Key "this archive is locked with a passphrase, not with a key: give the passphrase";
    LockedToKey "locked-to-key" Key "this archive is locked to a recipient's key";
    NoneOpens "none-opens" Key "none of the {number} {found} opens it: {detail}";

    // Files of keys and passphrases.
    PassphraseNotText "passphrase-not-text" Usage "this file is not text in UTF-8 or UTF-16; write the passphrase in its first line";
    PassphraseEmpty "passphrase-empty" Usage "the passphrase is empty; write it in the first line of this file";
    PrivateKeyLocked "private-key-locked" Key "the private key is protected by a passphrase";
    PrivateKeyPassphrase "private-key-passphrase" Key "wrong passphrase for the private key (or the key file is damaged)";
    PrivateKeyCut "private-key-cut" Key "the private key file is not readable; it is cut or was changed";
    PrivateKeyCost "private-key-cost" Key "the private key file asks for an absurd amount of work; it is damaged or hostile";
    PrivateKeyForm "private-key-form" Key "the private key is encrypted in a way that is not supported; convert it once with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY.pem -out NEWKEY.pem, then use NEWKEY.pem";
    PrivateKeyTooLarge "private-key-too-large" Key "this file is too large to be a key file; give the .pem file that holds the key";
    PublicKeyGiven "public-key-given" Key "this is a public key; give the private key that belongs to it";
    CertificateGiven "certificate-given" Key "this is a certificate, in which there is only a public key; give the private key that belongs to it";
    Pkcs12Given "pkcs12-given" Key "this is a PKCS#12 file (.p12, .pfx), not a private key; take the key out once with: openssl pkcs12 -in FILE -nocerts -out KEY.pem, then use KEY.pem";
    OpensshGiven "openssh-given" Key "this is a private key as OpenSSH keeps it; convert a copy of it once with: ssh-keygen -p -m PEM -f COPY, then use the copy";
    NotAPrivateKey "not-a-private-key" Key "[a file that holds {found} is not an RSA private key; give the recipient's private key|this file is not an RSA private key (PEM or DER, PKCS#8 or PKCS#1)]";
    KeySize "key-size" Key "an RSA key of {number} bits is not accepted; it must have 2048 to 8192";
    KeyExponent "key-exponent" Key "an RSA key with such a public exponent is not accepted; it must be an odd number from 3 to {limit} (usual: 65537)";
    PrivateKeyGiven "private-key-given" Usage "this is a private key; give the recipient's public key (and keep the private key away from this machine)";
    SshPublicKeyGiven "ssh-public-key-given" Usage "this is a public key as SSH writes it; convert it once with: ssh-keygen -e -m PKCS8 -f FILE > KEY.pub.pem, then use KEY.pub.pem";
    NotAPublicKey "not-a-public-key" Usage "[a file that holds {found}|this file] is not an RSA public key (PEM or DER)";
    PublicKeyCut "public-key-cut" Usage "the public key file is not readable; it is cut or was changed";
    PublicKeyTooLarge "public-key-too-large" Usage "this file is too large to be a key file; give the .pem file that holds the key";
    KeyNotMade "key-not-made" Failed "no key could be generated: {detail}";
    KeyNotWritten "key-not-written" Failed "the key could not be written[ ({detail})]";
    KeyNotWrapped "key-not-wrapped" Failed "the data key could not be wrapped for a recipient";
    NoRandomness "no-randomness" Failed "the host gave no random bytes";
    HostCipher "host-cipher" Failed "the host's cipher cannot be used";

    // `encryption.json`.
    EnvelopeMissing "envelope-missing" Damaged "{path} is missing, and without it the sealed files cannot be opened; use another copy of the backup";
    EnvelopeUnreadable "envelope-unreadable" Damaged "cannot be read ({detail}); the file is damaged or was replaced";
    EnvelopeTooLarge "envelope-too-large" Damaged "larger than any envelope; the file is damaged or was replaced";
    EnvelopeRecipients "envelope-recipients" Damaged "the list of recipients contradicts the wrapped key; the file is damaged or was replaced";
    EnvelopeMode "envelope-mode" Unsupported "mode {found:?} is not known to this version; use the decryptor that came with the archive";
    EnvelopeVersion "envelope-version" Unsupported "{found} version {number} is not known to this version";
    EnvelopeBounds "envelope-bounds" Damaged "the {found} is out of bounds; the file is damaged or hostile";
    EnvelopeChanged "envelope-changed" Damaged "gives another time of the backup than the manifest; the file was changed";
    WrappedKeyUnreadable "wrapped-key-unreadable" Damaged "the wrapped key cannot be read; the file is damaged";
    WrappedKeyBroken "wrapped-key-broken" Damaged "the archive names this key as a recipient, but its wrapped key does not open; the file is damaged";
    WrappedKeyForeign "wrapped-key-foreign" Damaged "the wrapped key is not the key of this archive; the file was changed";
    RecipientNeeded "recipient-needed" Usage "an archive needs at least one recipient";
    LastRecipient "last-recipient" Usage "an archive needs at least one recipient: add another before the last one is removed";
    TooManyRecipients "too-many-recipients" Usage "an archive has at most {limit} recipients";

    // Manifests.
    ManifestUnreadable "manifest-unreadable" Damaged "cannot be read as a manifest ({detail}); the file is damaged or was replaced";
    ManifestVersion "manifest-version" Unsupported "format version {found} is not known to this version; use the decryptor that came with the archive";
    ManifestHeader "manifest-header" Damaged "its header was changed; use another copy of the backup";
    ManifestUser "manifest-user" Damaged "{path} names a user id that is no folder name ({user:?}); nothing was read";

    // Content against what is listed.
    SizeDiffers "size-differs" Damaged "has {found} bytes, the inventory says {expected}; it was cut, extended or replaced";
    FileSwapped "file-swapped" Damaged "is not the file that the inventory lists under this name; it was swapped or replaced";
    DigestDiffers "digest-differs" Damaged "is not the file that [{found}|the inventory] lists (its SHA-256 differs); it was changed or replaced";
    RecordsDiffer "records-differ" Damaged "holds {found} records, the inventory says {expected}";
    Unlisted "unlisted" Damaged "the manifest of its user cannot be read, so nothing says that the file belongs here; it may be another user's";
    ListedTwice "listed-twice" Damaged "{path:?} is listed twice or out of order";

    // Frames, gzip and lines.
    NotSealed "not-sealed" Damaged "not an encrypted backup file (it does not begin with PRYVBKE1); it was replaced or damaged";
    HeaderLength "header-length" Damaged "the header claims {number} bytes; the file is damaged";
    HeaderUnreadable "header-unreadable" Damaged "the header cannot be read; the file is damaged";
    HeaderVersion "header-version" Damaged "the header names version {number}, which is not the archive's; the file is damaged";
    HeaderFrames "header-frames" Damaged "the header asks for frames of {number} bytes; the file is damaged";
    HeaderCut "header-cut" Damaged "the file ends inside its header; it was cut short";
    FrameCut "frame-cut" Damaged "the file ends inside frame {number}; it was cut short";
    FrameForged "frame-forged" Damaged "frame {number} fails its authentication; the file is damaged or was tampered with";
    FrameLength "frame-length" Damaged "frame {number} has an impossible length; the file is damaged or was tampered with";
    GzipMissing "gzip-missing" Damaged "not gzip data; the file is damaged or was replaced";
    GzipBroken "gzip-broken" Damaged "its gzip data cannot be inflated; the file is damaged";
    GzipCut "gzip-cut" Damaged "its gzip data ends too early; the file was cut short";
    GzipChecksum "gzip-checksum" Damaged "its gzip checksum does not match; the file is damaged";
    LineTooLong "line-too-long" Damaged "line {number} is longer than any record; the file is damaged";
    LineNotJson "line-not-json" Damaged "line {number} is not JSON ({detail}); the file is damaged";
    LineUnreadable "line-unreadable" Damaged "line {number}: {detail}; the file is damaged";
    RecordUnreadable "record-unreadable" Damaged "a record is not [a JSON object ({detail})|UTF-8]";
    ListUnreadable "list-unreadable" Damaged "a list is malformed ({detail})";
    AttachmentsUnreadable "attachments-unreadable" Damaged "the attachments of an event cannot be read ({detail})";
    TombstoneUnreadable "tombstone-unreadable" Damaged "[{found:?} is no tombstone|a line of tombstones cannot be read ({detail})]";
    PointsUnreadable "points-unreadable" Damaged "the points of a series cannot be read ({detail})";

    // Signatures and demands.
    NotASigner "not-a-signer" Usage "not the public key of a signer: it is the line of 56 characters that begins with RW, or the minisign .pub file with it";
    NotASource "not-a-source" Usage "a source has 32 hex digits, and {found:?} has not";
    NotADuration "not-a-duration" Usage "{found:?} is no length of time: write 30d, 12h, 90m or 2w";
    SignerMissing "signer-missing" Damaged "{path} names no signer, although every backup of this kind is signed: it was changed, or made before there were signatures; ask whoever made it for another copy";
    SignerUnreadable "signer-unreadable" Damaged "the signer that it names is not a public key";
    StatementLacks "statement-lacks" Damaged "{path} lacks {found:?}, which every signed backup has";
    SignatureMissing "signature-missing" Damaged "{path} is missing, although every backup of this kind is signed: it was removed, or the backup was not finished; use another copy";
    SignatureForeign "signature-foreign" Damaged "{path} was made by another key than the signer that manifest.json names: the backup was changed; use another copy";
    SignatureBroken "signature-broken" Damaged "{path} is not the signature of manifest.json: one of the two was changed; use another copy";
    SignatureDiffers "signature-differs" Damaged "{path} states another {found} than manifest.json: one of the two is of another backup; use another copy";
    OtherSigner "other-signer" Damaged "this backup is signed by {key}, which is not the signer that you expect: it may have been replaced; compare that key with what was noted when the backup was made";
    OtherSource "other-source" Damaged "this backup is of another platform than the one that you expect: its source is {found}, not {expected}";
    TooOld "too-old" Damaged "this backup is too old: it was made {found} ago, and may be {expected} old at most; somebody may have removed a newer one";
    Unproven "unproven" Damaged "nobody signed this backup, so neither its platform nor its age is proven";
    Unsigned "unsigned" Damaged "nobody signed this backup, and a signer is expected: it may have been replaced, or Pryv's own tool made it";

    // Volumes.
    VolumesMissing "volumes-missing" Damaged "is missing, but its volumes are there: it was removed; the volumes were read through";
    VolumesUnreadable "volumes-unreadable" Damaged "not the list of volumes it should be ({detail}); the file is damaged or was replaced";
    VolumesVersion "volumes-version" Unsupported "version {found} is not known to this version; use the decryptor that came with the archive";
    VolumeMissing "volume-missing" Damaged "this volume is missing: put the files of the backup into one folder again, or use another copy";
    VolumeIndexLost "volume-index-lost" Damaged "its index is not where it should be; the volume was cut, extended or replaced";
    VolumeIndex "volume-index" Damaged "its index cannot be read (line {number}); the volume is damaged or was changed";
    VolumeIndexes "volume-indexes" Damaged "the index of a volume does not list the files that the volume holds; it was changed";
    VolumeMember "volume-member" Damaged "the header of a file in this volume is damaged; the volume is damaged or was changed";
    VolumeCut "volume-cut" Damaged "the volume ends too early; it was cut short";
    VolumeLonger "volume-longer" Damaged "something follows the end of the volume; it was extended or changed";
    VolumeForeign "volume-foreign" Damaged "lies in a volume, where no such file belongs; it was added and is left aside";
    VolumeDoubled "volume-doubled" Damaged "lies in the volumes more than once; the first one is read";

    // Chains of runs.
    IndexUnreadable "index-unreadable" Damaged "cannot be read as a list of runs ({detail}); the file is damaged or was replaced";
    IndexEmpty "index-empty" Damaged "lists no run; the file is damaged or was replaced";
    IndexVersion "index-version" Unsupported "version {found} is not known to this version; use the decryptor that came with the archive";
    IndexMissing "index-missing" Damaged "{path} is missing, so the runs after the first cannot be read: use another copy of the backup";
    MixedEncryption "mixed-encryption" Damaged "[{path} is not encrypted, though other runs are|the first run is not encrypted, though a later one is]: a backup is encrypted as a whole or not at all, so somebody without the key put this in; nothing was read, use another copy";
    NoSuchRun "no-such-run" Usage "there is no run {run} in this chain: it has [the runs 1 to {limit}|one run]";
    NotAChain "not-a-chain" Usage "this is no chain of runs (it has no chain.json), so there is no run {run} in it";
    TornRun "torn-run" Damaged "this is run {run} of a chain, without the runs beside it: use the whole folder of the chain";
    RunWrong "run-wrong" Damaged "{detail}[; the state of run {state} needs run {run}]; use another copy of the backup";
    RunUnlisted "run-unlisted" Damaged "{detail}; use another copy of the backup";
    RunAlone "run-alone" Damaged "this is run {run} of a chain, and holds only what changed since run {other}: give the folder of the chain";
    ChangesAlone "changes-alone" Damaged "this archive was left by an incremental run of Pryv's own tool: it holds the last changes, and of the data before them only what they did not overwrite";
    RunMissing "run-missing" Damaged "the run before run {run} of this chain is missing; use another copy of the chain";
    IncrementsNotAFolder "increments-not-a-folder" Damaged "{path} is not a folder, although the runs of a chain lie there: remove it or copy the backup again";
    NotInState "not-in-state" Damaged "not a file of this state";
    NoTombstoneKey "no-tombstone-key" Damaged "the newest run has no key for its tombstones";
    TwoSigners "two-signers" Usage "run {run} is signed by {key}, and run {other} by another key: a host has lost its key, or somebody put runs in";
    Fork "fork" Usage "the runs {run} and {other} follow the same run, and both are signed by [{key}|the same signer, as it seems without the key]: a host was copied, or two copies of this backup were mixed";
}

impl Code {
    /// All of them.
    pub fn all() -> &'static [Code] {
        CODES
    }

    /// The code of that [`Code::name`].
    pub fn named(name: &str) -> Option<Code> {
        let at = ROWS.iter().position(|row| row.name == name)?;
        CODES.get(at).copied()
    }

    /// A stable name of lower-case words joined by hyphens.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its meaning for the caller.
    pub fn kind(self) -> ErrorKind {
        self.row().kind
    }

    pub(super) fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::super::advice;
    use super::*;

    #[test]
    fn the_documents_list_every_code() {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
        let document = std::fs::read_to_string(place).unwrap();
        let (_, tables) = document.split_once("\n## ").unwrap();
        let (tables, _) = tables.split_once("\n## Errors of `pryv-backup`").unwrap();
        let listed: Vec<&str> = tables.lines().filter(|l| l.starts_with("| `")).collect();
        let due = Code::all().iter().map(|code| {
            let row = code.row();
            let advice = match advice::of(*code) {
                "" => String::new(),
                advice => format!(" **+** {advice}"),
            };
            let said = format!("{}{advice}", row.sentence);
            let said = said.replace('|', "\\|");
            format!("| `{}` | {} | {said} |", code.name(), code.kind().name())
        });
        assert_eq!(listed, due.collect::<Vec<_>>());
    }

    #[test]
    fn names_tell_codes_apart() {
        for code in Code::all() {
            assert_eq!(Code::named(code.name()), Some(*code));
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(code.name().bytes().all(plain), "{}", code.name());
        }
    }
}
