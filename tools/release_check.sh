#!/usr/bin/env bash
# Before a release: builds sdist and wheel, installs the wheel with all dependencies from the index into
# a fresh environment, and uses it from an empty folder. Needs a network, 6 GB of disk, about 5 minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/venv"
bin=$work/venv/bin
"$bin/pip" install --quiet --disable-pip-version-check build
git archive HEAD | tar -x -C "$(mkdir "$work/source" && echo "$work/source")"
"$bin/python" -m build --outdir "$work/dist" "$work/source" > "$work/build.log" || { cat "$work/build.log"; exit 1; }
"$bin/pip" install --quiet --disable-pip-version-check ${CONSTRAINTS:+-c "$CONSTRAINTS"} "$work"/dist/*.whl
"$bin/pip" check

mkdir "$work/empty" && cd "$work/empty"
unset PYTHONPATH
"$bin/rein-seg" --version
"$bin/rein-seg" train rein_tiny_miniscapes --cfg-options max_iters=30
"$bin/rein-seg" test rein_tiny_miniscapes work_dirs/rein_tiny_miniscapes/adapter.safetensors
"$bin/rein-seg" check-data miniscapes
"$bin/rein-seg" compare --help > /dev/null
echo "release check passed: $(ls "$work/dist" | tr '\n' ' ')"
