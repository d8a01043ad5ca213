#!/usr/bin/env bash
# Installs what the benchmarks compare with and is not there yet: age, restic, rclone, influx and influx_inspect. As root on Debian it uses apt-get;
# elsewhere it says what to install.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v age-keygen >/dev/null || missing+=(age)
command -v restic >/dev/null || missing+=(restic)
command -v rclone >/dev/null || missing+=(rclone)
command -v influx >/dev/null || missing+=(influxdb-client)
# Of this one Debian has the source only, which is built here with the libraries that Debian packages.
inspect=.build/tools/influx_inspect
if ! [ -x $inspect ] && ! command -v influx_inspect >/dev/null; then
  missing+=(golang-go golang-github-influxdb-influxdb-dev)
fi
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "install ${missing[*]} for the comparisons of the benchmarks" >&2
  exit 0
fi
if [[ " ${missing[*]} " == *golang-go* ]]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/sources" "$work/src/github.com/influxdata/influxdb" .build/tools
  for list in /etc/apt/sources.list.d/debian*.sources; do
    sed 's/^Types: deb$/Types: deb-src/' "$list" >"$work/sources/${list##*/}"
  done
  sources=(-o "Dir::Etc::sourceparts=$work/sources" -o Dir::Etc::sourcelist=/dev/null -o "Dir::State::lists=$work/lists")
  apt-get "${sources[@]}" update -qq
  (cd "$work" && apt-get "${sources[@]}" source -qq --tar-only influxdb 2>/dev/null)
  tar -xzf "$work"/influxdb_*.orig.tar.gz -C "$work/src/github.com/influxdata/influxdb" --strip-components=1 --wildcards '*/cmd/*.go' '*/cmd/influx_inspect'
  GO111MODULE=off CGO_ENABLED=0 GOPATH="$work:/usr/share/gocode" GOFLAGS=-p=1 go build -o $inspect github.com/influxdata/influxdb/cmd/influx_inspect
fi
