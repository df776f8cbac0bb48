# shellcheck shell=bash
# Sourced at the root of the repository by whatever runs terraform or cdktf: the tools in their pinned versions first, and
# the provider from a local mirror where there is one (holdfast/mirror.py).
export PATH="$PWD/.venv/bin:$PWD/node_modules/.bin:$PATH:$PWD/.holdfast/bin"
# A third less work: most of it is the provider's schema, read in by each plan and thrown away. Costs memory, 1 GB a plan.
export GOGC="${GOGC:-400}"
holdfast_environment=$(.venv/bin/python -m holdfast.mirror) || exit 1
eval "$holdfast_environment"
unset holdfast_environment
