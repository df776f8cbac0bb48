# shellcheck shell=bash
# Sourced by what prints text of others (Terraform's, the cloud's, a report's): from here on no line of this step is a command
# to GitHub's runner (`::add-mask::`, `::set-output …`). It takes one with a word that nobody can guess to end that.
if [[ -n ${GITHUB_ACTIONS:-} ]]; then
    echo "::stop-commands::$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" >&2
fi
