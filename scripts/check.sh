#!/usr/bin/env bash
# `make check`: all of it, even when something fails; the exit code says whether something did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

failed=0
scripts/lint.sh || failed=1
.venv/bin/pytest -q -n 2 tests/unit tests/synth || failed=1
exit "$failed"
