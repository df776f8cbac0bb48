#!/usr/bin/env bash
# Renews the certificates of an environment that are due, as a workflow does every week: renew.sh ENV
# A node that did not take its own fails the job; the next one goes on from there.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/ci/mute.sh
source scripts/env.sh

holdfast certs rotate "$1" --due 2>&1 | tee -a "${GITHUB_STEP_SUMMARY:-/dev/null}"
