#!/usr/bin/env bash
# Measures the programs and writes down what came out: docs/benchmarks.md for people, docs/benchmarks/ for programs. Run it
# without arguments for its usage.
#
# The servers, where there are any, are those of scripts/stack.sh, in a folder of their own. What is measured and how it is
# written down is in scripts/bench/: speed.py starts the speed layer, garbage.py the crate garbage, and both read the use of
# resources from the kernel; report.py writes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'TEXT'
usage: scripts/bench.sh speed [--events N] [--runs N]
       scripts/bench.sh garbage [--records N] [--seed S]

  speed    the speed layer's release build, from a cold start at the earliest offset of a topic to its end, into a fresh
           lake on local disk: CPU seconds, peak resident memory, commits, files, bytes
    --events N   events in the topic of 1,000 cameras and 12 partitions, 2 % of them late (default 5000000)
    --runs N     runs, of which the median is told (default 3)

  garbage  the decoder on records that are damaged in every way, each of which must become an event or a dead letter:
           records per second, by reason, peak resident memory. Needs only a Rust toolchain and Python
    --records N  records (default 10000000)
    --seed S     what the records and their damage follow from (default 1)

Needs what scripts/test.sh needs. Nothing else should run on the machine meanwhile.
Exit codes: 0 done, 1 a record is not accounted for or memory grows, 2 usage, 3 something is missing or failed.
TEXT
}

die() {
    printf 'bench: %s\n' "$2" >&2
    exit "$1"
}

# Sets what is measured, and how: the options' values.
parse() {
    events=5000000 runs=3 records=10000000 seed=1
    local options
    case ${1:-} in
        speed) options="--events or --runs" ;;
        garbage) options="--records or --seed" ;;
        help | --help | -h)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    what=$1
    shift
    while [ $# -gt 0 ]; do
        case $what$1 in
            speed--events) events=${2:-} ;;
            speed--runs) runs=${2:-} ;;
            garbage--records) records=${2:-} ;;
            garbage--seed) seed=${2:-} ;;
            *) die 2 "unknown argument '$1': expected $options and a number (scripts/bench.sh --help)" ;;
        esac
        [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die 2 "$1 '${2:-}': expected a whole number from 1"
        shift 2
    done
}

clean_up() {
    [ -z "$work" ] || [ ! -e "$work/stack" ] || scripts/stack.sh reset --dir "$work/stack"
    [ -z "$work" ] || rm -rf "$work"
}

# build PACKAGE...: their release binaries.
build() {
    local cache=${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lambdalake}
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
    cargo build --locked --release --bins "${@/#/--package=}"
}

# The topic, filled before anything is measured.
fill() {
    scripts/stack.sh up kafka --dir "$work/stack" >"$work/env.path"
    # shellcheck source=/dev/null
    . "$(cat "$work/env.path")"
    printf 'filling a topic with %s events\n' "$events"
    "$CARGO_TARGET_DIR/release/camera-simulator" --config /dev/null --cameras 1000 --events "$events" --late 0.02 --partitions 12 \
        >"$work/summary.json"
}

measure_speed() {
    build speed-layer camera-simulator
    work=$(mktemp -d "${TMPDIR:-/tmp}/lambdalake-bench.XXXXXX")
    fill
    python3 scripts/bench/speed.py --program "$CARGO_TARGET_DIR/release/speed-layer" --summary "$work/summary.json" \
        --work "$work" --runs "$runs" --docs docs
}

measure_garbage() {
    build garbage
    python3 scripts/bench/garbage.py --program "$CARGO_TARGET_DIR/release/garbage" --records "$records" --seed "$seed" \
        --docs docs
}

parse "$@"
command -v python3 >/dev/null || die 3 "python3 is needed: apt-get install python3"
unset "${!LAKEHOUSE__@}" "${!AWS_@}" RUST_LOG
work=""
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"measure_$what"
