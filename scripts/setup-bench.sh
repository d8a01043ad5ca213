#!/usr/bin/env bash
# Installs what the benchmarks compare with and is not there yet: age, restic and rclone. As root on Debian it uses apt-get; elsewhere it says
# what to install.
set -euo pipefail

missing=()
command -v age-keygen >/dev/null || missing+=(age)
command -v restic >/dev/null || missing+=(restic)
command -v rclone >/dev/null || missing+=(rclone)
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "install ${missing[*]} for the comparisons of the benchmarks" >&2
fi
