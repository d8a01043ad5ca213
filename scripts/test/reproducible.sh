#!/usr/bin/env bash
# Builds the core, the script and the page again, in another folder, with another home and another folder of Rust's packages, and compares them with those that were
# built here. Folder and home have names with spaces.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD
built=(.build/wasm/decryptor_wasm_bg.wasm .build/wasm/decryptor_wasm.js npm/dist/decrypt-backup.mjs npm/dist/index.mjs web/dist/decrypt-backup.html)
there=$(mktemp -d "${TMPDIR:-/tmp}/built again XXXXXX")
trap 'rm -rf "$there"' EXIT
mkdir -p "$there/source" "$there/home/packages"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference --target-directory "$there/source"
for folder in npm web; do ln -s "$here/$folder/node_modules" "$there/source/$folder/node_modules"; done
# Nothing is downloaded again: the packages are links to those that are there.
cp -al "${CARGO_HOME:-$HOME/.cargo}/registry" "$there/home/packages/registry" 2>/dev/null ||
  cp -a "${CARGO_HOME:-$HOME/.cargo}/registry" "$there/home/packages/registry"
# Where packages come from is told there, if it is told.
cp "${CARGO_HOME:-$HOME/.cargo}"/config.toml "$there/home/packages/" 2>/dev/null || true
# Toolchains stay where they are: another version of the compiler writes another WASM file.
export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
(
  cd "$there/source"
  export CARGO_HOME="$there/home/packages" HOME="$there/home"
  unset CARGO_TARGET_DIR
  scripts/build-wasm.sh
  for folder in npm web; do (cd $folder && npm run --silent build); done
) >&2
different=0
for file in "${built[@]}"; do
  cmp "$file" "$there/source/$file" || different=1
done
[ "$different" = 0 ] || { echo "two builds of the same source differ: $(rustc --version)" >&2; exit 1; }
echo "the same twice, by $(rustc --version): $(sha256sum "${built[@]}" | cut -c1-16 | tr '\n' ' ')"
