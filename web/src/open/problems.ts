// Sentences of the core that the page says in the reader's language. The core's own is shown below, with its details.

const KNOWN = [
  ['key-passphrase', /wrong passphrase for the private key/],
  ['key-locked', /private key is (protected by a passphrase|encrypted and needs its own passphrase)/],
  ['key-public', /this is a (public key|certificate)/],
  ['key-unreadable', /not an RSA private key|private key file is not readable|too large to be a key|this is a PKCS#12 file|as OpenSSH keeps it/],
  ['key-form', /private key is encrypted in a way that is not supported/],
  ['key-other', /wrong private key: the archive was not made for/],
  ['passphrase', /wrong passphrase for this archive|a passphrase is needed/],
  ['passphrase-or-damage', /the passphrase is wrong, or manifest\.json is damaged/],
  ['other-archive', /not the archive that you expect/],
  ['other-signer', /is not the signer that you expect/],
  ['unsigned', /^nobody signed this backup/],
  ['two-signers', /is signed by \S+, and run \d+ by another key/],
  ['fork', /follow the same run, and both are signed by/],
  ['cleartext', /^this backup is not encrypted/],
  ['mixed', /a backup is encrypted as a whole or not at all/],
  ['no-backup', /is not a backup \(it has no manifest\.json\)|is empty: give the folder of the backup/],
  ['unfinished', /has no manifest\.json: the backup was not finished/],
  ['index-lost', /^chain\.json is missing/],
  ['run', /choose the state of run (?<n>\d+)/],
  ['signature', /manifest\.json\.minisig|^(?:increments\/\d+: )?manifest\.json(?: names no signer|: what it names as its signer)/],
  ['manifest', /^(?:increments\/\d+\/)?manifest\.json\b/],
  ['envelope', /^(?:increments\/\d+\/)?encryption\.json\b.*(?:damaged|hostile|changed|replaced)/],
  ['packed', /is neither a \.zip nor a \.tar file|is a compressed \.tar\.gz|was packed without ZIP64/],
  ['link', /is a (symbolic|hard) link: a backup holds regular files only/],
  ['packed-cut', /was cut short: use another copy|is damaged at byte \d+: use another copy/],
] as const;

export type Problem = typeof KNOWN[number][0];

/** What an English sentence of the core is about, if it is one of those that readers meet. */
export function knownProblem (kind: string, sentence: string): { name: Problem, gaps: Record<string, string> } | undefined {
  if (kind === 'unsupported') return undefined; // a newer version is the advice, whatever it is about
  for (const [name, pattern] of KNOWN) {
    const match = pattern.exec(sentence);
    if (match !== null) return { name, gaps: { ...match.groups } };
  }
  return undefined;
}
