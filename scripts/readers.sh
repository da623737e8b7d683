#!/usr/bin/env bash
# Other people's programs read the tables: a matrix of readers, stores and states of the lake. Run it with --help for
# its options. The readers, the lakes and the comparison are in scripts/readers/, which uses scripts/harness; the servers
# are those of scripts/stack.sh, in a new folder unless STACK_DIR names one.
set -euo pipefail
umask 077

caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE=${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lambdalake}
# shellcheck source-path=SCRIPTDIR source=harness/venv.sh
. scripts/harness/venv.sh
# shellcheck source-path=SCRIPTDIR source=readers/environments.sh
. scripts/readers/environments.sh

usage() {
    cat <<TEXT
usage: scripts/readers.sh [READER...] [--store disk|minio] [--state STATE] [--limit SECONDS] [--write-docs]

  READER          which programs read (default: all)
                  in the harness's venv:  $shared
                  in venvs of their own:  $own
  --store STORE   where the lakes are (default: disk and minio)
  --state STATE   landed, nightly, maintained or far-off: the state of the lakes (default: all four)
  --limit S       seconds that a reader may take (default 3600)
  --write-docs    write docs/readers.md; for all readers, stores and states only

  scripts/readers.sh                                       all of it; the first run downloads some 2 GB
  scripts/readers.sh duckdb polars --store disk            two readers, a minute
  scripts/readers.sh spark-3.5 --store disk --state landed one Spark on one lake
  LAMBDALAKE_BIN=target/release scripts/readers.sh         programs that are already built

Every answer is compared with the right one. A line names each reader, store and state of the lake, and below it each
column that is wrong: reader, version, store, state, table, column, its encodings in Parquet, and the difference.
Needs what scripts/test.sh needs; Java 17 and Maven for the Sparks. Venvs and jars stay in
\${LAMBDALAKE_CACHE:-\${XDG_CACHE_HOME:-~/.cache}/lambdalake}.
Exit codes: 0 every answer is right, 1 one is not, 2 usage, 3 a reader could not be had or something else failed.
TEXT
}

say() { printf 'readers: %s\n' "$*" >&2; }

# die CODE MESSAGE
die() {
    say "$2"
    exit "$1"
}

# names KIND: the readers of the catalogue with a venv of their own (`own`), or in the harness's (`shared`).
names() { python3 -m readers.catalogue | sed -n "s/ $1\$//p" | tr '\n' ' '; }

# Sets readers, store, state, limit and docs.
parse() {
    readers=() store="" state="" limit=3600 docs=""
    while [ $# -gt 0 ]; do
        case $1 in
            --help | -h | help)
                usage
                exit 0
                ;;
            --store)
                [[ ${2:-} =~ ^(disk|minio)$ ]] || die 2 "--store '${2:-}': expected disk or minio"
                store=$2
                shift
                ;;
            --state)
                among "${2:-}" landed nightly maintained far-off ||
                    die 2 "--state '${2:-}': expected landed, nightly, maintained or far-off"
                state=$2
                shift
                ;;
            --limit)
                [[ ${2:-} =~ ^[1-9][0-9]{0,5}$ ]] || die 2 "--limit '${2:-}': expected a number of seconds above 0"
                limit=$2
                shift
                ;;
            --write-docs) docs=docs/readers.md ;;
            *)
                # shellcheck disable=SC2086 # lists of names
                among "$1" $shared $own ||
                    die 2 "unknown reader '$1': expected one of $shared$own(scripts/readers.sh --help)"
                readers+=("$1")
                ;;
        esac
        shift
    done
    [ -z "$docs" ] || [ "${#readers[@]}$store$state" = 0 ] || die 2 "--write-docs is for all readers, stores and states"
    # shellcheck disable=SC2206 # lists of names
    [ ${#readers[@]} -gt 0 ] || readers=($shared $own)
}

# among WORD LIST...
among() {
    local word=$1 one
    shift
    for one in "$@"; do [ "$one" != "$word" ] || return 0; done
    return 1
}

# Makes what the readers need, and writes to FILE where it is; a reader that cannot be had does not stop the others.
environments() {
    local reader
    for reader in $own; do
        among "$reader" "${readers[@]}" || continue
        say "venv of $reader"
        if environment "$reader" 2>"$work/log"; then
            printf '%s\t%s\t%s\n' "$reader" "$PYTHON" "${JARS:--}" >>"$1"
        else
            printf '%s\t!\t%s\n' "$reader" "$(reason)" >>"$1"
            rm -rf ${fresh:+"$fresh"}
            fresh=""
        fi
    done
}

# Why the last command failed: Maven says it first, pip last.
reason() { { grep -m 1 '^\[ERROR\]' "$work/log" || tail -n 1 "$work/log"; } | tr '\n\t' '  ' | cut -c1-300; }

# Builds the programs, unless LAMBDALAKE_BIN names their folder. All targets at once, as scripts/test.sh builds them.
build() {
    if [ -n "${LAMBDALAKE_BIN:-}" ]; then
        LAMBDALAKE_BIN=$(cd "$caller" && cd "$LAMBDALAKE_BIN" && pwd) || die 2 "LAMBDALAKE_BIN: expected a folder"
        return
    fi
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
    command -v cargo >/dev/null || die 3 "cargo is needed: https://rustup.rs"
    cargo build --quiet --workspace --all-targets --locked || die 3 "the programs could not be built"
}

# The run itself, in the background so that a signal is handled at once.
run() {
    local code=0
    "$PYTHON" -m readers.matrix --work "$work" --environments "$work/environments" --limit-s "$limit" \
        ${store:+--store "$store"} ${state:+--state "$state"} ${docs:+--docs "$docs"} "${readers[@]}" &
    pid=$!
    wait "$pid" || code=$?
    pid=""
    return "$code"
}

work="" pid=""
clean_up() {
    rm -rf ${fresh:+"$fresh"}
    [ -z "$pid" ] || ! kill "$pid" 2>/dev/null || wait "$pid" || true
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

command -v python3 >/dev/null || die 3 "python3 is needed: apt-get install python3"
shared=$(names shared) own=$(names own)
parse "$@"
[ -n "${STACK_DIR:-}" ] || unset "${!LAKEHOUSE__@}"
unset "${!AWS_@}" RUST_LOG
work=$(mktemp -d "${TMPDIR:-/tmp}/lambdalake-readers.XXXXXX")
touch "$work/environments"
environments "$work/environments"
make_venv || die 3 "the venv of the harness could not be made: the reason is above"
build
run
