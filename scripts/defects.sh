#!/usr/bin/env bash
# Whether deliberate defects of the product are found (lake/model/src/defects.rs has them all).
#
#   scripts/defects.sh                  by the simulation: for each defect, the seeds until one fails, and how
#   scripts/defects.sh NAME...          the same for these defects
#   scripts/defects.sh --end-to-end [NAME...]
#                                       by the end-to-end tests: for each defect, the tests that guard what it breaks,
#                                       on a real Kafka and a real MinIO (scripts/stack.sh)
#   --seeds N                           at most so many seeds for a defect (1000)
#   --jobs J                            defects at a time (as many as there are processors)
#
# Exit codes: 0 every defect is found, 1 one is not, 2 usage, 3 a fault outside.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE=${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lambdalake}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
# shellcheck source=scripts/harness/venv.sh
. scripts/harness/venv.sh

# What no run of the simulation can show, since it has no programs around the work, and no configuration: the
# end-to-end tests find these.
NOT_SIMULATED=" stopped-uncommitted store-fault-fatal kafka-fault-fatal key-not-named value-not-named remedy-not-named "

usage() {
    sed -n '2,14s/^# \{0,1\}//p' "$0"
    exit 2
}

# seeds_until_found NAME SEEDS: a row of the table, and whether the defect was found.
seeds_until_found() {
    local name=$1 seeds=$2 log first=1 step=1 last violation
    log=$(mktemp)
    # The first seeds one by one, which most defects need, then more at a time.
    while [ "$first" -le "$seeds" ]; do
        last=$((first + step - 1 < seeds ? first + step - 1 : seeds))
        if ! "$SIMULATE" --first "$first" --seeds "$((last - first + 1))" --jobs 1 --defect "$name" >"$log" 2>&1; then
            last=$(sed -n 's/^seed \([0-9]*\) is not clean.*/\1/p' "$log" | head -n 1)
            # What the checker says goes before what the product itself noticed.
            violation=$(grep -m 1 '^  rule ' "$log" || sed -n '/^seed .* is not clean/{n;p;q}' "$log")
            violation=$(tr '|' '/' <<<"${violation#  }" | cut -c -160)
            rm -f "$log"
            [ -n "$last" ] || { printf '| %s | none | the simulation itself failed |\n' "$name"; return 1; }
            printf '| %s | %s | %s |\n' "$name" "$last" "$violation"
            return 0
        fi
        first=$((last + 1))
        step=10
    done
    rm -f "$log"
    printf '| %s | **not in %s** | |\n' "$name" "$seeds"
    return 1
}
export -f seeds_until_found

simulated() {
    cargo build --workspace --locked --quiet --bin simulate || exit 3
    SIMULATE=$CARGO_TARGET_DIR/debug/simulate
    export SIMULATE
    local name table ended=0
    if [ ${#names[@]} -eq 0 ]; then
        while read -r name _; do
            [[ $NOT_SIMULATED == *" $name "* ]] || names+=("$name")
        done < <("$SIMULATE" --list-defects)
    fi
    table=$(mktemp)
    # shellcheck disable=SC2016 # $1 and $2 are those of the inner shell
    printf '%s\n' "${names[@]}" |
        xargs -P "$jobs" -I NAME bash -c 'seeds_until_found "$1" "$2"' seeds NAME "$seeds" | tee "$table" >&2 || ended=1
    echo '| defect | seeds needed | first violation |'
    echo '|---|---|---|'
    for name in "${names[@]}"; do
        grep -F "| $name |" "$table"
    done
    rm -f "$table"
    return "$ended"
}

end_to_end() {
    cargo build --workspace --all-targets --locked --quiet || exit 3
    trap '[ -z "$fresh" ] || rm -rf "$fresh"' EXIT
    make_venv || exit 3
    exec "$PYTHON" scripts/end-to-end/defects.py "${names[@]}"
}

mode=simulated seeds=1000 jobs=$(nproc) names=()
while [ $# -gt 0 ]; do
    case $1 in
        --end-to-end) mode=end_to_end ;;
        --seeds) seeds=${2:-} && shift ;;
        --jobs) jobs=${2:-} && shift ;;
        -*) usage ;;
        *) names+=("$1") ;;
    esac
    shift
done
[[ $seeds =~ ^[1-9][0-9]*$ && $jobs =~ ^[1-9][0-9]*$ ]] || usage
"$mode"
