#!/usr/bin/env bash
# Removes test stacks that have expired, and says what would not go. The second is asked whatever the first said.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/ci/mute.sh
source scripts/env.sh

code=0
holdfast reap --yes || code=$?
holdfast leftovers || code=$?
exit "$code"
