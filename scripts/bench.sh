#!/usr/bin/env bash
# Measures the programs and writes reports: docs/benchmarks.md for people, docs/benchmarks/ for programs. Run it without
# arguments for its usage. The servers are those of scripts/stack.sh, in a new folder unless STACK_DIR names one. The
# measurements and reports are in scripts/bench/, a Python file for each command; they use scripts/harness.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE=${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lambdalake}
# shellcheck source-path=SCRIPTDIR source=harness/venv.sh
. scripts/harness/venv.sh

usage() {
    cat <<'TEXT'
usage: scripts/bench.sh speed     [--events N] [--runs N] [--store disk|minio|both] [--compression lz4|none|both]
       scripts/bench.sh stages    [--events N] [--runs N] [--store disk|minio|both]
       scripts/bench.sh profile   [--events N] [--name NAME]
       scripts/bench.sh peers     [--events N] [--runs N]
       scripts/bench.sh freshness [--rate N] [--seconds N] [--store disk|minio|both]
       scripts/bench.sh scale     [--events N]
       scripts/bench.sh commits   [--commits N]
       scripts/bench.sh garbage   [--records N] [--seed S]
       scripts/bench.sh sizing    [--cameras N] [--events N] [--partitions N] [--instances N] [--servings N]
                                  [--commit-interval S] [--landing-interval S] [--seconds N]
       scripts/bench.sh batch     [--events N] [--runs N] [--store disk|minio|both] [--engines LIST]
       scripts/bench.sh bill      [--minutes N] [--rate N] [--cameras N] [--partitions N] [--servings N]

  speed      the speed layer from a cold start at the earliest offset of a full topic to its end, into a new lake, and
             consumers that do nothing: CPU seconds, throughput, resident memory, commits, files, bytes
    --events N   events in the topic of 1,000 cameras and 12 partitions, 2 % of them late (default 20000000)
    --runs N     runs of each; the median is reported (default 3)
    --store S    where the lake is (default both)
    --compression C  how the topic's records are compressed; each has its own topic and report (default both)

  stages     the cost of each stage of the speed layer alone: fetching, decoding, folding, encoding, uploading,
             committing; their sum, compared with alternating whole runs
    --events N   events in the topic, which is also held in memory (default 5000000)
    --runs N     runs of each; the median is reported (default 3)
    --store S    where the lake is (default both)

  profile    where the speed layer's processor time goes, on local disk: a flame graph, and shares by thread and by part.
             Needs Linux, perf (Debian: linux-perf) and the right to sample the kernel: root, or sysctl
             kernel.perf_event_paranoid=1. Builds inferno from crates.io into the cache folder, once. Needs about 20 MB
             of temporary files for each second of processor time
    --events N   events in the topic (default 5000000)
    --name NAME  benchmarks/NAME.svg and benchmarks/NAME.json are written, and every stored profile has a column in
                 the tables, so that `--name before` and, with other programs, `--name after` can be compared
                 (default profile)

  peers      Apache Flink and Apache Spark on the speed layer's job and topic; their results must be equal.
             Fetches both from Maven Central into the cache folder, once (about 700 MB)
    --events N   events in the topic (default 20000000)
    --runs N     runs of each (default 1)

  freshness  the time from an event's production until it is seen in avg_speed, under a steady load
    --rate N     events per second (default: 12000, and half of the last result of `speed`)
    --seconds N  how long each load lasts, 21 to 900; its records are produced before, which takes about as long (default 60)
    --store S    where the lake is (default both)

  scale      the cost of an event, and memory, by cores, partitions, cameras, instances and allowed lateness
    --events N   events in each topic (default 5000000)

  commits    the duration of a commit over many commits to one table, with checkpoints and the clean-up of its log
    --commits N  commits (default 100000)

  garbage    the decoder on records that are damaged in every way, each of which must become an event or a dead letter:
             records per second, by reason, peak resident memory. Needs only a Rust toolchain and Python
    --records N  records (default 10000000)
    --seed S     the seed of the records and their damage (default 1)

  sizing     what a pipeline of some size needs: S3 requests and USD a month, cameras per machine, memory. Counts the
             requests of all programs against a store in memory, and measures one instance under the whole load
    --cameras N           cameras (default 1000)
    --events N            events of each camera a day (default 1000000)
    --partitions N        partitions of the topic (default 12)
    --instances N         instances of the speed layer (default 1)
    --servings N          instances of serving (default 1)
    --commit-interval S   speed.commit_interval in seconds (default 5)
    --landing-interval S  speed.landing_interval in seconds (default 30)
    --seconds N           how long requests are counted, and the load is measured (default 120)

  batch      the night on one large day, as it lands and compacted: nightly, maintain, verify, audit; on local disk beside other
             engines that do the nightly job on the same files, and must come to the same rows; on MinIO behind a proxy that
             adds the times of S3 and counts requests. Needs some 40 bytes of temporary disk for each event
    --events N      events of the day, of 1,000 cameras, 2 % of them late (default 100000000)
    --runs N        runs of the nightly job in each engine; the median is reported (default 1)
    --store S       where the lake is (default both)
    --engines LIST  the other engines, separated by commas (default duckdb,polars,clickhouse,datafusion)

  bill       what the whole pipeline with its default settings costs on S3: a real Kafka, and MinIO behind a proxy that adds
             the times of S3 and counts requests and bytes by program; a speed layer, servings with a small load, then
             nightly and maintain on what has landed; extrapolated to a month
    --minutes N      how long requests are counted, up to 540 (default 30)
    --rate N         events a second (default 11600, the average of 1,000 cameras with a million events a day each)
    --cameras N      cameras (default 1000)
    --partitions N   partitions of the topic (default 12)
    --servings N     instances of serving (default 2)

All accept --bin-dir DIR, the folder of the programs (default: a release build, made first), and --docs DIR, where benchmarks.md
and the folder benchmarks are written (default docs). Until a command ends, its results so far are in
benchmarks/COMMAND.steps.jsonl there.

Needs the tools that scripts/test.sh needs, and for peers a JDK. Nothing else should run on the machine.
Exit codes: 0 done, 1 a record is not accounted for, a result differs or a bound is exceeded, 2 usage, 3 something is
missing or failed.
TEXT
}

die() {
    printf 'bench: %s\n' "$2" >&2
    exit "$1"
}

# Sets the measurement, its options with their values, the folder of the programs, and the folder of the reports.
parse() {
    local -A defaults=()
    case ${1:-} in
        speed) defaults=([--events]=20000000 [--runs]=3 [--store]=both [--compression]=both) ;;
        stages) defaults=([--events]=5000000 [--runs]=3 [--store]=both) ;;
        profile) defaults=([--events]=5000000 [--name]=profile) ;;
        peers) defaults=([--events]=20000000 [--runs]=1) ;;
        freshness) defaults=([--rate]="" [--seconds]=60 [--store]=both) ;;
        scale) defaults=([--events]=5000000) ;;
        commits) defaults=([--commits]=100000) ;;
        garbage) defaults=([--records]=10000000 [--seed]=1) ;;
        sizing)
            defaults=([--cameras]=1000 [--events]=1000000 [--partitions]=12 [--instances]=1 [--servings]=1
                [--commit-interval]=5 [--landing-interval]=30 [--seconds]=120)
            ;;
        batch)
            defaults=([--events]=100000000 [--runs]=1 [--store]=both [--engines]=duckdb,polars,clickhouse,datafusion)
            ;;
        bill) defaults=([--minutes]=30 [--rate]=11600 [--cameras]=1000 [--partitions]=12 [--servings]=2) ;;
        help | --help | -h)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    what=$1 programs="" docs=docs options=()
    shift
    while [ $# -gt 0 ]; do
        [ -n "${2:-}" ] || die 2 "$1 needs a value (scripts/bench.sh --help)"
        case $1 in
            --bin-dir) programs=$(cd "$2" && pwd) || die 2 "--bin-dir '$2': expected a folder" ;;
            --docs) docs=$2 ;;
            *)
                [ -n "${defaults[$1]+set}" ] || die 2 "unknown argument '$1' of $what (scripts/bench.sh --help)"
                check "$1" "$2"
                defaults[$1]=$2
                ;;
        esac
        shift 2
    done
    local option
    for option in "${!defaults[@]}"; do
        [ -z "${defaults[$option]}" ] || options+=("$option" "${defaults[$option]}")
    done
}

# check OPTION VALUE
check() {
    case $1 in
        --name) [[ $2 =~ ^[a-z0-9][a-z0-9-]*$ ]] || die 2 "--name '$2': expected small letters, digits and hyphens" ;;
        --store) [[ $2 =~ ^(disk|minio|both)$ ]] || die 2 "--store '$2': expected disk, minio or both" ;;
        --engines) [[ $2 =~ ^[a-z]+(,[a-z]+)*$ ]] || die 2 "--engines '$2': expected names, separated by commas" ;;
        --compression) [[ $2 =~ ^(lz4|none|both)$ ]] || die 2 "--compression '$2': expected lz4, none or both" ;;
        *) [[ $2 =~ ^[1-9][0-9]*$ ]] || die 2 "$1 '$2': expected a whole number from 1" ;;
    esac
}

# build PACKAGE...: builds their release binaries, unless --bin-dir is given.
build() {
    [ -z "$programs" ] || return 0
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
    cargo build --locked --release --bins "${@/#/--package=}"
    programs=$CARGO_TARGET_DIR/release
}

parse "$@"
command -v python3 >/dev/null || die 3 "python3 is needed: apt-get install python3 python3-venv"
trap '[ -z "$fresh" ] || rm -rf "$fresh"' EXIT
if [ "$what" = garbage ]; then
    build garbage
    exec python3 -m bench.garbage --program "$programs/garbage" "${options[@]}" --docs "$docs"
fi
case $what in
    sizing) build speed-layer batch-layer serving camera-simulator ;;
    bill) build speed-layer batch-layer serving camera-simulator store-proxy ;;
    batch) build speed-layer batch-layer camera-simulator store-proxy ;;
    *) build speed-layer camera-simulator bench-kafka bench-commits bench-stages ;;
esac
if [ "$what" = batch ]; then
    make_venv scripts/harness/requirements-engines.txt
else
    make_venv scripts/harness/requirements-figures.txt
fi
LAMBDALAKE_BIN=$programs exec "$PYTHON" -m "bench.$what" "${options[@]}" --docs "$docs"
