#!/usr/bin/env bash
# Builds the core for WASM and its JavaScript face into .build/wasm/.
# Routes: the target of the toolchain in use; else rustup; else Debian's rustc-web with its own copy of std.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown
out=.build/wasm
build=(build --quiet --profile wasm --package decryptor-wasm --lib --target "$target" --target-dir .build/wasm-target)

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; }
if has_target || { command -v rustup >/dev/null && timeout 60 rustup target add "$target" >/dev/null 2>&1 && has_target; }; then
  cargo "${build[@]}"
elif [ -d /usr/lib/rustlib/$target/lib ] || [ -d /usr/lib/rustlib/src/rust/library ]; then
  RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc /usr/bin/cargo "${build[@]}" -Z build-std=std,panic_abort
else
  echo "no WASM target: run 'make setup', or 'rustup target add $target'" >&2
  exit 1
fi

cargo build --quiet --release --manifest-path tools/bindgen/Cargo.toml --target-dir .build/bindgen-target
mkdir -p "$out"
.build/bindgen-target/release/bindgen ".build/wasm-target/$target/wasm/decryptor_wasm.wasm" "$out"
echo "WASM: $(wc -c < "$out/decryptor_wasm_bg.wasm") bytes, $(gzip -9c "$out/decryptor_wasm_bg.wasm" | wc -c) gzipped"
