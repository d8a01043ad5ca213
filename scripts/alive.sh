#!/usr/bin/env bash
# Runs a command and says every half minute that it goes on: `alive.sh NAME COMMAND...`. Compilers and installers may print nothing for minutes.
set -euo pipefail
name=$1
shift
# `read` waits without a program that would outlive this one.
(while read -rt 30 <> <(:) || true; do echo "  $name: $SECONDS s"; done) &
trap "kill $!" EXIT
"$@"
