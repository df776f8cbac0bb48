#!/usr/bin/env bash
# `make test`. Arguments: those of test.py.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/env.sh
exec python scripts/test.py "$@"
