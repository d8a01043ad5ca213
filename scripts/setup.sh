#!/usr/bin/env bash
# Installs what the build needs and is not there yet. As root on Debian it uses apt-get; elsewhere it says what to install.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown

need() { echo "missing: $1. $2" >&2; exit 1; }
command -v cargo >/dev/null || need "Rust" "Install it from rustup.rs."
command -v cc >/dev/null || need "a C compiler" "Install gcc or clang."
command -v node >/dev/null || need "Node.js 18 or later" "Install it from nodejs.org."
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || need "Node.js 18 or later" "The one on the PATH is older."

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; }
debian_target() { [ -d /usr/lib/rustlib/src/rust/library ] && [ -x /usr/bin/cargo ]; }
if ! has_target && ! debian_target; then
  if ! { command -v rustup >/dev/null && timeout 60 rustup target add "$target" >/dev/null 2>&1 && has_target; }; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || need "the Rust target $target" "Run 'rustup target add $target'."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq rustc-web cargo-web rust-web-src rust-web-llvm lld-22 >/dev/null
  fi
fi

# The tests start PostgreSQL servers of their own: only the programs are needed, and no cluster of the system.
if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold postgresql >/dev/null
fi

# Some tests make system calls fail, as other file systems do; without it those are SKIPPED.
if ! command -v strace >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends strace >/dev/null
fi

# That minisign itself verifies signatures of runs is tested with it; without it that test is SKIPPED.
if ! command -v minisign >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends minisign >/dev/null
fi

# The page is tested in real browsers; elsewhere CHROMIUM and FIREFOX say where they are, and without them those tests are SKIPPED.
browsers=()
[ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null || browsers+=(chromium)
[ -n "${FIREFOX:-}" ] || command -v firefox-esr >/dev/null || browsers+=(firefox-esr)
command -v python3 >/dev/null || browsers+=(python3) # whose zip reader is not ours
if [ ${#browsers[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${browsers[@]}" fonts-dejavu-core >/dev/null
fi
