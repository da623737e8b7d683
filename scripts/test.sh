#!/usr/bin/env bash
# All checks that must pass before a change is merged: format, lints, documentation, the Rust tests, the end-to-end
# tests on a real Kafka and a real MinIO (scripts/stack.sh), and some minutes of faults (scripts/chaos.sh). It needs no
# preparation, and ends at the first step that fails.
#
# Needs a Rust toolchain (rustup), Go, Java, Maven, Python 3.11 or newer and a C/C++ compiler; on Debian as root it
# installs the missing ones with apt, except Rust and Go. promtool, of Prometheus, is the one in PATH, or is unpacked from Debian's
# package. Downloads and builds are kept in
# ${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/lambdalake}, which may be deleted at any time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE=${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lambdalake}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}

# shellcheck source=scripts/harness/venv.sh
. scripts/harness/venv.sh

# step NAME COMMAND...: prints a heading, runs the command, prints its duration.
step() {
    local name=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@"
    printf -- '-- %s: %d s\n' "$name" "$((SECONDS - start))"
}

# Each line: a command, and the Debian package that contains it.
PACKAGES='cc gcc
c++ g++
make make
perl perl
curl curl
java default-jre-headless
mvn maven
python3 python3'

tools() {
    local packages
    packages=$(missing_packages)
    if [ -n "$packages" ]; then
        install_packages "$packages"
        packages=$(missing_packages)
        [ -z "$packages" ] || give_up "these Debian packages, or equivalent ones, are needed: $packages"
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || give_up "python3 is too old: 3.11 or newer is needed"
    has cargo || give_up "cargo is needed: https://rustup.rs"
    has go || has_servers || give_up "go 1.24 or newer is needed: https://go.dev/dl"
    cargo fmt --version 2>/dev/null || rustup component add rustfmt
    cargo clippy --version 2>/dev/null || rustup component add clippy
}

has() { command -v "$1" >/dev/null 2>&1; }

has_servers() { compgen -G "$CACHE/minio-*/minio" >/dev/null && compgen -G "$CACHE/toxiproxy-*/toxiproxy" >/dev/null; }

missing_packages() {
    local command package missing=""
    while read -r command package; do
        has "$command" || missing+=" $package"
    done <<<"$PACKAGES"
    # Debian's python3 does not contain what `python3 -m venv` needs.
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=" python3-venv"
    echo "$missing"
}

# install_packages LIST: installs them if that is possible.
install_packages() {
    if has apt-get && [ "$(id -u)" = 0 ]; then
        echo "installing:$1"
        apt-get update -q
        # shellcheck disable=SC2086 # a list of names
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $1
    fi
}

give_up() {
    echo "test.sh: $1" >&2
    exit 3
}

start_stack() {
    local env_file
    env_file=$(scripts/stack.sh up)
    # shellcheck source=/dev/null
    . "$env_file"
    stack=$STACK_DIR
}

# Deleted in any case at the end: the servers with their data, and an incomplete venv.
stack=""
clean_up() {
    [ -z "$stack" ] || scripts/stack.sh reset --dir "$stack"
    [ -z "$fresh" ] || rm -rf "$fresh"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

rustdoc() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked; }

step "tools" tools
step "format" cargo fmt --all --check
step "clippy" cargo clippy --workspace --all-targets --locked -- -D warnings
step "rustdoc" rustdoc
# All targets at once: tests ask their dependencies for more features, and two sets would be built twice.
step "build" cargo build --workspace --all-targets --locked
step "real Kafka and MinIO" start_stack
# The stack's settings are in the environment: the storage contract suite runs on MinIO too.
step "cargo test" cargo test --workspace --locked
step "simulation" scripts/simulate.sh --seeds 100
step "patches of defects" scripts/defects.sh --check
# Two of them: one of the speed layer and one of the batch, found by the first seeds.
step "defects are found" scripts/defects.sh --target-dir "$CARGO_TARGET_DIR" --seeds 20 stale-file-kept landing-not-awaited
step "Python environment" make_venv
step "tests of the tools" "$PYTHON" -m pytest scripts --ignore scripts/end-to-end
step "end to end" "$PYTHON" -m pytest scripts/end-to-end
step "under fire" env LAMBDALAKE_BIN="$CARGO_TARGET_DIR/debug" scripts/chaos.sh --cycles 20 --seed 7
echo
echo "all steps passed in $SECONDS s"
