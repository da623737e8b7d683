#!/usr/bin/env bash
# Runs the speed layer for hours under a steady load, or during an outage of its store, and reports whether it grew:
# docs/soak.md for people, docs/soak/ for samples and curves. Run it without arguments for its usage. The servers are
# those of scripts/stack.sh, in a new folder unless STACK_DIR names one. The run, the samples and the verdicts are in
# scripts/soak/, which uses scripts/harness.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE=${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lambdalake}
# shellcheck source-path=SCRIPTDIR source=harness/venv.sh
. scripts/harness/venv.sh

usage() {
    cat <<'TEXT'
usage: scripts/soak.sh --hours H | --outage MINUTES [--rate EVENTS] [--cameras N] [--bin-dir DIR] [--docs DIR]

  --hours H          cameras report present times, without a pause, for H hours (0.5 is enough)
  --outage MINUTES   the store does not respond for that long, while the cameras continue
  --rate EVENTS      events per second of all cameras (default 50000)
  --cameras N        how many cameras (default 1000)
  --bin-dir DIR      the folder of the programs (default: a release build, made first)
  --docs DIR         where soak.md and the folder soak are written (default docs)

Kafka and MinIO need some 10 GB under ${TMPDIR:-/tmp} during the run, and more during an outage. Nothing else should run
on the machine.
Exit codes: 0 done, 1 something grew or was lost, 2 usage, 3 something is missing or failed.
TEXT
}

die() {
    printf 'soak: %s\n' "$2" >&2
    exit "$1"
}

# Sets hours, outage, rate, cameras, programs and docs.
parse() {
    hours="" outage=0 rate=50000 cameras=1000 programs="" docs=docs
    [ $# -gt 0 ] || set -- --help
    while [ $# -gt 0 ]; do
        case $1 in
            help | --help | -h)
                usage
                exit 0
                ;;
            --hours) hours=$(number "$@") ;;
            --outage) outage=$(number "$@") ;;
            --rate) rate=$(number "$@") ;;
            --cameras) cameras=$(number "$@") ;;
            --bin-dir) programs=$(cd "${2:-}" && pwd) || die 2 "--bin-dir '${2:-}': expected a folder" ;;
            --docs) docs=${2:-} ;;
            *) die 2 "unknown argument '$1' (scripts/soak.sh --help)" ;;
        esac
        [ -n "${2:-}" ] || die 2 "$1 needs a value"
        shift 2
    done
    [ "$outage" != 0 ] || [ -n "$hours" ] || die 2 "the duration is missing: expected --hours H or --outage MINUTES"
    [ "$outage" = 0 ] || [ -z "$hours" ] || die 2 "--hours and --outage exclude each other: the outage determines the duration"
}

# number OPTION VALUE...: the value, if it is a number above 0.
number() {
    [[ ${2:-} =~ ^[0-9]*\.?[0-9]+$ && ${2:-} =~ [1-9] ]] || die 2 "$1 '${2:-}': expected a number above 0"
    printf '%s' "$2"
}

build() {
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
    cargo build --locked --release --bins -p speed-layer -p batch-layer -p camera-simulator
    programs=$CARGO_TARGET_DIR/release
}

parse "$@"
command -v python3 >/dev/null || die 3 "python3 is needed: apt-get install python3 python3-venv"
unset "${!LAKEHOUSE__@}" "${!AWS_@}" RUST_LOG
trap '[ -z "$fresh" ] || rm -rf "$fresh"' EXIT
[ -n "$programs" ] || build
make_venv scripts/harness/requirements-figures.txt
LAMBDALAKE_BIN=$programs exec "$PYTHON" -m soak.soak --hours "${hours:-0}" --outage-minutes "$outage" --rate "$rate" \
    --cameras "$cameras" --docs "$docs"
