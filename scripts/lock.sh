#!/usr/bin/env bash
# Resolves the Python packages anew, for every supported Python at once, into the lock files.
# With --upgrade to the newest versions that pyproject.toml allows, else only what changed there.
set -euo pipefail
cd "$(dirname "$0")/.."

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
python3 -m venv "$tool"
"$tool/bin/pip" install --quiet uv==0.13.8

lock() { # lock FILE ARGUMENTS...
    local file=$1
    shift
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-sources --output-file "$file" "$@"
}

lock requirements.lock --extra dev "$@" pyproject.toml
lock requirements-checkov.lock "$@" requirements-checkov.in
# In the versions above, so that a difference in what is synthesised comes from cdktn alone.
lock requirements-cdktn.lock --constraint requirements.lock "$@" requirements-cdktn.in
