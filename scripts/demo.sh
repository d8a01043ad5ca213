#!/usr/bin/env bash
# From nothing to a decrypted backup: a sample platform, a key, an encrypted archive, and plaintext back with Node.js alone.
set -euo pipefail
cd "$(dirname "$0")/.."
demo=.build/demo
rm -rf "$demo"
mkdir -p "$demo"
tool=target/release/pryv-backup
export PRYV_BACKUP_STATE_DIR="$demo/state"

echo "== a key pair for whoever may read the backups"
"$tool" keygen --output "$demo/key.pem"
echo "== a sample platform"
"$tool" sample "$demo/platform"
echo "== its encrypted backup"
"$tool" --pryv-root "$demo/platform" --config "$demo/platform/config.yml" --platform none \
  --output "$demo/backup" --recipient-pubkey "$demo/key.pub.pem"
echo "== opened with the script inside it"
(cd "$demo/backup" && sha256sum --quiet -c SHA256SUMS && node decrypt-backup.mjs . --private-key ../key.pem --gunzip --out ../decrypted)
echo
echo "The encrypted backup:  $demo/backup      (start with RESTORE-README.md)"
echo "Decrypted:             $demo/decrypted   (for example users/*/events/events-0001.jsonl)"
