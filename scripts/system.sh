#!/usr/bin/env bash
# Installs the system packages that are missing here; asks for root only then. Node is only checked: distributions have others.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
need() { # need COMMAND PACKAGE: the command may lie where only root looks
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null || missing+=("$2")
}

need mmdebstrap mmdebstrap         # builds the machines' images
need systemd-nspawn systemd-container # runs them
need nft nftables                  # security groups
need ip iproute2                   # the network
need losetup mount                 # volumes
need mkfs.ext4 e2fsprogs
need redis-cli redis-tools         # for people, and for a test
[[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]] || missing+=(debian-archive-keyring)
[[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
python=$(scripts/python.sh)
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=("$python-venv")

if ((${#missing[@]})); then
    if ! command -v apt-get >/dev/null; then
        echo "missing: ${missing[*]}; there is no apt-get here: install them in this system's way" >&2
        exit 1
    fi
    root=()
    if ((EUID)); then
        root=(sudo)
        command -v sudo >/dev/null || {
            echo "missing: ${missing[*]}; installing them needs root or sudo" >&2
            exit 1
        }
    fi
    echo "installing ${missing[*]}"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
