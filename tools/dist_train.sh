#!/usr/bin/env bash
# Train on N processes of this machine: tools/dist_train.sh CONFIG N [arguments of tools/train.py]
# NCCL with GPUs, gloo without. Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 CONFIG N [arguments of tools/train.py]" >&2; exit 2; }
config=$1 processes=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/launch.sh" "$processes" "$here/train.py" "$config" --launcher pytorch "${@:3}"
