#!/usr/bin/env bash
# Prints the command of the Python that the environments are made of: the first here that is 3.11 or newer.
set -euo pipefail

for python in python3 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$python"
        exit
    fi
done
found=$(python3 --version 2>/dev/null || echo "no python3")
echo "found $found; Holdfast needs Python 3.11 or newer: install it (Ubuntu 22.04: apt-get install python3.11 python3.11-venv)" >&2
exit 1
