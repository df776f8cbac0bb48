#!/usr/bin/env bash
# Checks for a Node that cdktf-cli 0.21 has native parts for, then installs the locked npm packages.
# Node 22 is what Holdfast names and its workflows use; 20 is taken while it works.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(node --version 2>/dev/null || echo none)
if [[ ! $version =~ ^v(20|22)\. ]] || ! command -v npm >/dev/null; then
    echo "found Node $version; Holdfast needs Node 22, with npm: install it (https://nodejs.org/en/download). Node 20 works too, without security updates" >&2
    exit 1
fi
if [[ $version == v20.* ]]; then
    echo "found Node 20: it works, without security updates since 2026-10-30; install Node 22 (https://nodejs.org/en/download)"
fi
# The one package with an install script (node-pty) brings its binary along.
npm ci --ignore-scripts --no-audit --no-fund --loglevel error
