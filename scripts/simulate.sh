#!/usr/bin/env bash
# Runs the whole pipeline on simulated time under simulated faults, seed by seed, and compares the tables with the
# contract (scripts/simulation). Each seed simulates two or three days with crashes, zombies, rebalances and a store
# that fails, in a second.
#
#   scripts/simulate.sh --seeds 1000 [--first SEED]    a thousand runs, on every processor
#   scripts/simulate.sh --seeds 1 --first 42 --trace   everything that happens in one of them
#   scripts/simulate.sh --help                         the rest
#
# Needs a Rust toolchain (rustup) and a C/C++ compiler with make and perl. Builds in the dev profile, into
# ${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/lambdalake}/target unless CARGO_TARGET_DIR names another place.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE=${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lambdalake}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}

# With the features of the whole workspace, so that nothing is built twice.
cargo build --quiet --workspace --bin simulate --locked || exit 3
exec "$CARGO_TARGET_DIR/debug/simulate" "$@"
