#!/usr/bin/env bash
# Adds the script and the page that are built to decryptors.txt, under the present version, and signs that list with a minisign secret key: SIGN_KEY=FILE.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SIGN_KEY:?name the minisign secret key that signs the list: make release SIGN_KEY=FILE}"
list=${DECRYPTORS:-decryptors.txt}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
compiler=$(rustc --version | cut -d' ' -f2)
for file in npm/dist/decrypt-backup.mjs web/dist/decrypt-backup.html; do
  name=${file##*/}
  sum=$(sha256sum "$file" | cut -d' ' -f1)
  known=$(awk -v version="$version" -v name="$name" '$1 == version && $3 == name { print $2 }' "$list")
  case $known in
    '') echo "$version  $sum  $name  rustc-$compiler" >> "$list" ;;
    "$sum") ;;
    *) echo "$list: $name of version $version is listed with another SHA-256 ($known): give this release a version of its own" >&2; exit 1 ;;
  esac
done
minisign -S -s "$SIGN_KEY" -m "$list" -t "decryptors of pryv-backup $version"
echo "signed: $list.minisig"
