#!/usr/bin/env bash
# Checks for a Node that cdktf-cli 0.21 has native parts for, then installs the locked npm packages.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(node --version 2>/dev/null || echo none)
if [[ ! $version =~ ^v(20|22)\. ]] || ! command -v npm >/dev/null; then
    echo "found Node $version; Holdfast needs Node 20 or 22, with npm (https://nodejs.org/en/download)" >&2
    exit 1
fi
if [[ $version == v20.* ]]; then
    echo "Node 20 has had no security updates since 2026-10-30; 22 is the better one"
fi
# The one package with an install script (node-pty) brings its binary along.
npm ci --ignore-scripts --no-audit --no-fund --loglevel error
