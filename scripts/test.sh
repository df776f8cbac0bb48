#!/usr/bin/env bash
# `make test`: everything, fast things first; ends in what each part said last. Arguments: what to put before a command that
# needs root; nothing for root.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
source scripts/env.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
said=()
part() { # part NAME COMMAND...
    local name=$1 verdict=passed
    shift
    "$@" 2>&1 | tee "$log"
    if ((PIPESTATUS[0])); then
        verdict=FAILED
        failed=1
    fi
    said+=("$(printf '%-20s %-6s  %s' "$name" "$verdict" "$(tail -n 1 "$log")")")
}

part 'make check' scripts/check.sh
# Most of it waits for the provider. What shares an environment stays together (tests/terraform/conftest.py).
part 'tests/terraform' pytest -n 2 --dist loadfile tests/terraform
# As root, Python and pytest must leave no files here that the owner cannot remove.
part 'tests/twin' "$@" env "PATH=$PATH" PYTHONDONTWRITEBYTECODE=1 pytest -p no:cacheprovider \
    tests/twin/parts tests/twin/faults tests/twin/layouts tests/twin/cluster
printf '\n%s\n' "${said[@]}"
exit "$failed"
