#!/usr/bin/env bash
# Licences, sources and known vulnerabilities of what is linked in (deny.toml). cargo-deny is installed where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=.build/tools
deny=$(command -v cargo-deny || echo "$tools/bin/cargo-deny")
[ -x "$deny" ] || CARGO_TARGET_DIR="$tools/target" cargo install --quiet --locked --root "$tools" cargo-deny
"$deny" --log-level error check licenses bans sources
if ! out=$(timeout 120 "$deny" --log-level error check advisories 2>&1); then
  # Without a way to the database nothing can be said; a finding is an error.
  if grep -q "advisory database" <<< "$out"; then echo "skipped: cargo deny check advisories: needs advisories: a way to the database of advisories"; else echo "$out" >&2; exit 1; fi
fi
