#!/usr/bin/env bash
# Whether deliberate defects of the product are found. Each is a patch, scripts/simulation/defects/NAME.patch, whose first
# line says what it breaks. Patches are applied one after another to a copy of the working tree and built there.
#
#   scripts/defects.sh                  by the simulation: for each defect, the seeds until one fails, and how
#   scripts/defects.sh NAME...          the same for these defects
#   scripts/defects.sh --end-to-end [NAME...]
#                                       by the end-to-end tests: for each defect, the tests that guard what it breaks,
#                                       on a real Kafka and a real MinIO (scripts/stack.sh)
#   scripts/defects.sh --check          only whether every patch applies to the working tree; builds nothing
#   --seeds N                           at most so many seeds for a defect (1000)
#   --jobs J                            seeds at a time (as many as there are processors)
#   --target-dir DIR                    a target folder whose compiled dependencies are used, and added to; its programs
#                                       stay as they are
#
# Exit codes: 0 every defect is found, 1 one is not, or its patch does not apply or build, 2 usage, 3 an external failure.
#
# The copy and what is built of it stay in ${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/lambdalake}/defects, so that
# only what changed is built again. Your own target folder is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE=${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lambdalake}
PATCHES=$PWD/scripts/simulation/defects
PLACE=$CACHE/defects
TREE=$PLACE/tree
PROGRAMS=$PLACE/target/debug

# What no run of the simulation can show, since it has no programs around the work, no configuration, no client library of
# Kafka, one lake and no damaged files: the end-to-end tests find these.
NOT_SIMULATED=" stopped-uncommitted store-fault-fatal kafka-fault-fatal key-not-named fault-passed-over \
pipeline-not-compared folder-decoded day-at-fault-fatal "

# shellcheck source=scripts/harness/venv.sh
. scripts/harness/venv.sh

usage() {
    sed -n '2,19s/^# \{0,1\}//p' scripts/defects.sh
    exit 2
}

# wrong MESSAGE
wrong() {
    echo "defects.sh: $1" >&2
    exit 2
}

names_of_all() {
    local patch
    for patch in "$PATCHES"/*.patch; do
        basename "$patch" .patch
    done
}

# ---- the copy ----

# Brings the copy up to the working tree. Only files that differ are written: cargo builds by their times.
copy_tree() {
    mkdir -p "$TREE"
    if command -v flock >/dev/null; then
        exec 9>"$PLACE/lock"
        flock 9
    fi
    local file marked
    marked=$(mktemp)
    while IFS= read -r -d '' file; do
        if [ -f "$file" ]; then
            copy "$file" "$file"
        fi
    done < <(git ls-files -z --cached --others --exclude-standard)
    # Cargo tells a workspace's crates from those of a copy by their version, not by their path.
    sed '/^\[workspace\.package\]/,/^\[/s/^version = "\([^"]*\)"/version = "\1+defect"/' Cargo.toml >"$marked"
    copy "$marked" Cargo.toml
    rm -f "$marked"
    (
        repository=$PWD
        cd "$TREE"
        find . -type f -print0 | while IFS= read -r -d '' file; do
            [ -e "$repository/$file" ] || rm -f "$file"
        done
    )
}

# copy FROM TO: Cargo.toml itself is copied with its mark only.
copy() {
    [ "$1" != Cargo.toml ] || return 0
    cmp -s "$1" "$TREE/$2" && return
    mkdir -p "$(dirname "$TREE/$2")"
    cp "$1" "$TREE/$2"
}

# patch_tree NAME [OPTION]: outside any repository that the cache may be in.
patch_tree() {
    GIT_CEILING_DIRECTORIES=$PLACE git -C "$TREE" apply "${@:2}" "$PATCHES/$1.patch"
}

# build PROGRAM...: with the features of the whole workspace, like all other builds of it.
build() {
    local program bins=()
    for program in "$@"; do
        bins+=(--bin "$program")
    done
    (
        cd "$TREE"
        export CARGO_TARGET_DIR=$PLACE/target
        [ -z "$target_dir" ] || export CARGO_BUILD_BUILD_DIR=$target_dir
        cargo build --workspace --quiet "${bins[@]}"
    )
}

# with_defect NAME PROGRAM... -- COMMAND...: the command, while the programs have the defect.
with_defect() {
    local name=$1 programs=() log ended=0
    shift
    while [ "$1" != -- ]; do
        programs+=("$1")
        shift
    done
    shift
    log=$(mktemp)
    echo "building with $name" >&2
    if ! patch_tree "$name" 2>"$log"; then
        cat "$log" >&2
        row "$name" "**its patch does not apply**" ""
        ended=1
    else
        if build "${programs[@]}" 2>"$log"; then
            "$@" || ended=$?
        else
            cat "$log" >&2
            row "$name" "**it does not build**" ""
            ended=1
        fi
        patch_tree "$name" --reverse || exit 3
    fi
    rm -f "$log"
    return "$ended"
}

row() {
    printf '| %s | %s | %s |\n' "$1" "$2" "$3"
}

# ---- the simulation ----

# seeds_until_found NAME: a row of the table, and whether the defect was found.
seeds_until_found() {
    local name=$1 first=1 step=1 count log found=1 failed violation
    log=$(mktemp)
    while [ "$first" -le "$seeds" ] && [ "$found" = 1 ]; do
        count=$((first + step - 1 < seeds ? step : seeds - first + 1))
        if ! "$PROGRAMS/simulate" --first "$first" --seeds "$count" --jobs "$jobs" --keep-going >"$log" 2>&1; then
            failed=$(sed -n 's/^seed \([0-9]*\) is not clean:$/\1/p' "$log" | sort -n | head -n 1)
            # What the checker says goes before what the product itself noticed.
            violation=$(sed -n "/^seed ${failed:-none} is not clean:\$/,/^replay: /p" "$log")
            violation=$(grep -m 1 '^  rule ' <<<"$violation" || sed -n 2p <<<"$violation")
            violation=$(tr '|' '/' <<<"${violation#  }" | cut -c -160)
            found=0
        fi
        first=$((first + count))
        step=10
    done
    rm -f "$log"
    if [ "$found" = 1 ]; then
        row "$name" "**not in $seeds**" ""
    elif [ -z "$failed" ]; then
        row "$name" none "the simulation itself failed"
        return 1
    else
        row "$name" "$failed" "$violation"
    fi
    return "$found"
}

simulated() {
    local name ended=0
    if [ ${#names[@]} -eq 0 ]; then
        while read -r name; do
            [[ $NOT_SIMULATED == *" $name "* ]] || names+=("$name")
        done < <(names_of_all)
    fi
    for name in "${names[@]}"; do
        [[ $NOT_SIMULATED != *" $name "* ]] || wrong "$name is found by the end-to-end tests only: --end-to-end $name"
    done
    copy_tree
    row defect "seeds needed" "first violation"
    echo '|---|---|---|'
    for name in "${names[@]}"; do
        with_defect "$name" simulate -- seeds_until_found "$name" || ended=1
    done
    return "$ended"
}

# ---- the end-to-end tests ----

stack=""
stop_stack() {
    [ -z "$stack" ] || scripts/stack.sh reset --dir "$stack"
    [ -z "$fresh" ] || rm -rf "$fresh"
}

end_to_end() {
    local name env_file guarded ended=0
    make_venv
    guarded=$("$PYTHON" scripts/end-to-end/defects.py --names)
    for name in "${names[@]}"; do
        grep -qx -- "$name" <<<"$guarded" || wrong "no end-to-end test is known to guard against $name"
    done
    [ ${#names[@]} -gt 0 ] || mapfile -t names <<<"$guarded"
    copy_tree
    if [ -z "${STACK_DIR:-}" ]; then
        trap stop_stack EXIT
        env_file=$(scripts/stack.sh up)
        # shellcheck source=/dev/null
        . "$env_file"
        stack=$STACK_DIR
    fi
    echo '| defect | guards | test | cases red | |'
    echo '|---|---|---|---|---|'
    for name in "${names[@]}"; do
        LAMBDALAKE_BIN=$PROGRAMS with_defect "$name" speed-layer batch-layer serving -- \
            "$PYTHON" scripts/end-to-end/defects.py "$name" || ended=1
    done
    return "$ended"
}

# ---- the patches alone ----

check() {
    local name ended=0
    [ ${#names[@]} -gt 0 ] || mapfile -t names < <(names_of_all)
    for name in "${names[@]}"; do
        git apply --check "$PATCHES/$name.patch" || ended=1
    done
    [ "$ended" = 1 ] || echo "${#names[@]} patches apply"
    return "$ended"
}

mode=simulated seeds=1000 jobs=$(nproc) target_dir="" names=()
while [ $# -gt 0 ]; do
    case $1 in
        --end-to-end) mode=end_to_end ;;
        --check) mode=check ;;
        --seeds) seeds=${2:-} && shift ;;
        --jobs) jobs=${2:-} && shift ;;
        --target-dir) target_dir=${2:-} && shift ;;
        -*) usage ;;
        *) names+=("$1") ;;
    esac
    shift
done
[[ $seeds =~ ^[1-9][0-9]*$ && $jobs =~ ^[1-9][0-9]*$ ]] || usage
for name in "${names[@]}"; do
    [ -f "$PATCHES/$name.patch" ] || wrong "there is no defect $name; they are $(names_of_all | paste -sd ' ')"
done
case $target_dir in
    "" | /*) ;;
    *) target_dir=$PWD/$target_dir ;;
esac
"$mode"
