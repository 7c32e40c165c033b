#!/usr/bin/env bash
# Test on N processes of this machine: tools/dist_test.sh CONFIG WEIGHTS N [arguments of tools/test.py]
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: $0 CONFIG WEIGHTS N [arguments of tools/test.py]" >&2; exit 2; }
config=$1 weights=$2 processes=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/launch.sh" "$processes" "$here/test.py" "$config" "$weights" --launcher pytorch "${@:4}"
