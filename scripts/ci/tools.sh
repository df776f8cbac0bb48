#!/usr/bin/env bash
# What `make setup` installed, from a job without rights to those that have some, and so install nothing:
# tools.sh pack FILE, tools.sh unpack FILE. Both jobs have the same image, and the checkout in the same folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=(.venv node_modules stacks/bindings/aws)
[[ $1 == pack && -d .holdfast/bin ]] && tools+=(.holdfast/bin)
case $1 in
pack) tar --create --gzip --file "$2" "${tools[@]}" ;;
unpack)
    tar --extract --gzip --file "$2"
    # The checkout is younger than what was packed, for make.
    touch .venv/.installed node_modules/.installed stacks/bindings/aws/.generated
    ;;
*)
    echo "found $1; accepted: pack or unpack" >&2
    exit 2
    ;;
esac
