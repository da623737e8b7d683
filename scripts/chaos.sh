#!/usr/bin/env bash
# Kills, pauses and disconnects real processes, and fills their disk: the product on a real Kafka and a real MinIO
# behind proxies. Ends with the proof that every row is correct. Run it with --help for its options. The servers are
# those of scripts/stack.sh, in a separate stack; the faults are in scripts/chaos/. Each run has its own folders and
# ports, so any number of them can run at the same time.
set -euo pipefail
umask 077

caller=$PWD
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

usage() {
    cat <<'TEXT'
usage: scripts/chaos.sh --cycles N --seed S [--brokers N] [--report FILE]
       scripts/chaos.sh --drill NAMES [--seed S]

  --cycles N      cycles of one or two faults each, some seconds long (1 to 100000)
  --seed S        decides which faults strike what, in which order, and what the cameras send (0 to 1000000; of drills 1)
  --brokers N     1 (the default), or 3: a cluster, with the faults that only a cluster has, while most instances fetch
                  from the replicas of a rack: leaders and these replicas are killed, transactions hang, bits are
                  flipped on the wire, logs are cut by unclean elections, records are deleted before they have landed,
                  and topics are deleted and made again. What is lost must be on record, or must have stopped the
                  speed layer, as kafka.on_data_loss says
  --report FILE   write a report, as Markdown

  --drill NAMES   instead of cycles, faults of a cluster one at a time, each against a pipeline of its own; all, or
                  names with commas between them:
                    leader-killed               the leader of a partition is killed, and comes back
                    truncation                  an unclean election: records that landed are gone, others have their
                                                offsets; also truncation-while-stopped and truncation-accepted, with
                                                kafka.on_data_loss = "accept"
                    bit-flip, bit-flip-lasting  a bit flips between broker and instance, a few times or every time
                    hanging-transaction         a transaction is never ended, and its producer is fenced later
                    remade-topic                the topic is deleted and made again; also remade-topic-while-stopped
                    follower-fetch              instances fetch from a replica that is killed

  scripts/chaos.sh --cycles 20 --seed 7                                    a few minutes
  scripts/chaos.sh --cycles 500 --seed 1 --report docs/chaos-report.md     most of an hour
  scripts/chaos.sh --cycles 200 --seed 1 --brokers 3                       an hour, and 3 GB of memory
  scripts/chaos.sh --drill truncation,bit-flip                             some minutes
  LAMBDALAKE_BIN=target/release scripts/chaos.sh --cycles 20 --seed 7      programs that are already built

The same seed gives the same schedule of faults and the same records; their timing depends on the machine.
Needs the tools that scripts/test.sh needs. As root on Linux it mounts a small disk to fill up; otherwise the disk is
never full, and the report says so. After a failure logs and tables are kept, and their folder is printed.
Exit codes: 0 every row is correct, 1 a check failed, 2 usage, 3 a tool is missing or an external failure.
TEXT
}

say() { printf 'chaos: %s\n' "$*" >&2; }

# die CODE MESSAGE
die() {
    say "$2"
    exit "$1"
}

# shellcheck source-path=SCRIPTDIR source=stack/cache.sh
. "$here/stack/cache.sh"
# shellcheck source-path=SCRIPTDIR source=harness/venv.sh
. "$here/harness/venv.sh"

# Sets cycles, seed, brokers, report and drill.
parse() {
    cycles="" seed="" brokers="" report="" drill=""
    while [ $# -gt 0 ]; do
        case $1 in
            --brokers)
                case ${2:-} in 1 | 3) brokers=$2 ;; *) die 2 "--brokers '${2:-}': expected 1 or 3" ;; esac
                ;;
            --drill)
                [ -n "${2:-}" ] || die 2 "--drill needs names of drills, or all (scripts/chaos.sh --help)"
                drill=$2
                ;;
            --cycles) cycles=$(number "$1" "${2:-}" 1 100000) ;;
            --seed) seed=$(number "$1" "${2:-}" 0 1000000) ;;
            --report)
                [ -n "${2:-}" ] || die 2 "--report needs a file"
                case $2 in /*) report=$2 ;; *) report=$caller/$2 ;; esac
                ;;
            --help | -h | help)
                usage
                exit 0
                ;;
            *) die 2 "unknown argument '$1' (scripts/chaos.sh --help)" ;;
        esac
        shift 2
    done
    if [ -n "$drill" ]; then
        [ -z "$cycles$report" ] || die 2 "--drill is held without --cycles and --report"
        [ "$brokers" != 1 ] || die 2 "--drill needs a cluster: expected no --brokers 1"
        seed=${seed:-1}
        return
    fi
    [ -n "$cycles" ] || die 2 "--cycles is missing (scripts/chaos.sh --help)"
    [ -n "$seed" ] || die 2 "--seed is missing (scripts/chaos.sh --help)"
}

# number NAME VALUE LEAST GREATEST
number() {
    if ! [[ $2 =~ ^(0|[1-9][0-9]{0,8})$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        die 2 "$1 '$2': expected a whole number from $3 to $4"
    fi
    echo "$2"
}

# Builds the programs, unless LAMBDALAKE_BIN names their folder. All targets at once, as scripts/test.sh builds them.
build() {
    [ -z "${LAMBDALAKE_BIN:-}" ] || return 0
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
    command -v cargo >/dev/null || die 3 "cargo is needed: https://rustup.rs"
    cargo build --quiet --workspace --all-targets --locked || die 3 "the programs could not be built"
}

# The run itself, in the background so that a signal is handled at once.
run() {
    local code=0
    work=$(mktemp -d "${TMPDIR:-/tmp}/lambdalake-chaos.XXXXXX")
    if [ -n "$drill" ]; then
        "$PYTHON" -m chaos.drills --drill "$drill" --seed "$seed" --work "$work" &
    else
        "$PYTHON" -m chaos.chaos --cycles "$cycles" --seed "$seed" --brokers "${brokers:-1}" \
            --work "$work" --toxiproxy "$TOXIPROXY_HOME/toxiproxy" ${report:+--report "$report"} &
    fi
    pid=$!
    wait "$pid" || code=$?
    pid=""
    [ "$code" = 0 ] || keep=yes
    return "$code"
}

work="" keep="" pid=""
clean_up() {
    rm -rf ${scratch:+"$scratch"} ${fresh:+"$fresh"}
    [ -z "$pid" ] || ! kill "$pid" 2>/dev/null || wait "$pid" || true
    [ -z "$work" ] || [ -n "$keep" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

parse "$@"
command -v python3 >/dev/null || die 3 "python3 is needed: apt-get install python3"
unset STACK_DIR "${!LAKEHOUSE__@}" "${!AWS_@}" RUST_LOG
name_cache_folders
require_tools toxiproxy
ensure toxiproxy
make_venv
build
run
