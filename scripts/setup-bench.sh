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
# Debian has the source of this one only, which Go builds as it lies there.
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
  mkdir -p .build/tools
  GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS=-p=1 go build -o $inspect github.com/influxdata/influxdb/cmd/influx_inspect
fi
