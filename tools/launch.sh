#!/usr/bin/env bash
# Start N processes of a script with torchrun; used by dist_train.sh and dist_test.sh.
set -euo pipefail
processes=$1
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores / processes > 0 ? cores / processes : 1))}
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python)}
if [ "${NNODES:-1}" = 1 ]; then
    rendezvous=(--standalone)
else
    rendezvous=(--nnodes "$NNODES" --node_rank "${NODE_RANK:-0}"
        --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}")
fi
exec "$python" -m torch.distributed.run "${rendezvous[@]}" --nproc_per_node "$processes" "${@:2}"
