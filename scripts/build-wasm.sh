#!/usr/bin/env bash
# Builds a crate for WASM and its JavaScript face into .build/OUT: `build-wasm.sh [CRATE OUT]`, the core into .build/wasm.
# Routes: the target of the toolchain in use; else rustup; else Debian's rustc-web with its own copy of std.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown
crate=${1:-decryptor-wasm}
out=.build/${2:-wasm}
name=${crate//-/_}
build=(build --profile wasm --package "$crate" --lib --target "$target" --target-dir .build/wasm-target)

# Panic messages hold the paths of sources: without the folder of this machine's packages they are the same everywhere, and shorter.
cargo fetch --quiet
for packages in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
  flags="${flags:-}--remap-path-prefix=$packages="$'\x1f'
done
# Of functions that are inlined everywhere there are as many copies: half of the usual limit makes the file 2 % smaller, and nothing slower.
# Flags are parted by a character that no path holds.
export CARGO_ENCODED_RUSTFLAGS="${flags:-}-Cllvm-args=-inline-threshold=25"

echo "building $crate for WASM; the first time this takes some minutes"
has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; }
if has_target || { command -v rustup >/dev/null && timeout 60 rustup target add "$target" >/dev/null 2>&1 && has_target; }; then
  cargo "${build[@]}"
elif [ -d /usr/lib/rustlib/$target/lib ] || [ -d /usr/lib/rustlib/src/rust/library ]; then
  RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc /usr/bin/cargo "${build[@]}" -Z build-std=std,panic_abort
else
  echo "no WASM target: run 'make setup', or 'rustup target add $target'" >&2
  exit 1
fi

cargo build --release --manifest-path tools/bindgen/Cargo.toml --target-dir .build/bindgen-target
mkdir -p "$out"
.build/bindgen-target/release/bindgen ".build/wasm-target/$target/wasm/$name.wasm" "$out"
gzipped=$(gzip -9c "$out/${name}_bg.wasm" | wc -c)
echo "$crate: $(wc -c < "$out/${name}_bg.wasm") bytes, $gzipped gzipped"
# It travels in every encrypted archive.
[ "$gzipped" -le 360000 ] || { echo "$crate: larger than 360,000 bytes gzipped" >&2; exit 1; }
