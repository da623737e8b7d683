#!/usr/bin/env bash
# The whole product on this machine: a simulated day of 200 cameras and a million events passes through Kafka and the
# speed layer into Delta tables, and the nightly run makes the day final. Provisional and final rows are shown side by
# side, and the tables are audited. Run it with --help for its options. The parts are in scripts/demo/: tools.sh
# (required tools, and the build), process.sh (starts and stops programs), rows.sh (averages over REST, as tables for
# people). All its files are in one new folder, and the system chooses every port, so any number of demos can run at the
# same time. It waits for conditions, never only for a time.
set -euo pipefail
umask 077

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

usage() {
    cat <<'TEXT'
usage: scripts/demo.sh [--real] [--verify] [--keep]

  --real     a real Kafka and MinIO (scripts/stack.sh) instead of the embedded broker and local disk
  --verify   also compute the day a second time with Polars, which is then compiled too, and compare
  --keep     keep the server and the broker running, and the tables; prints how to stop them

Needs a Rust toolchain, a C/C++ compiler, make and curl; --real also Java 17, Maven and Go.
Exit codes: 0 done, 1 a check failed, 2 usage, 3 a tool is missing or a step failed.
TEXT
}

# die CODE MESSAGE
die() {
    printf 'demo: %s\n' "$2" >&2
    exit "$1"
}

# heading TEXT: prints it with the time since the build.
heading() { printf '\n== %s  (%d s)\n' "$1" "$((SECONDS - built_at))"; }

# shellcheck source-path=SCRIPTDIR source=demo/tools.sh
. "$here/demo/tools.sh"
# shellcheck source-path=SCRIPTDIR source=demo/process.sh
. "$here/demo/process.sh"
# shellcheck source-path=SCRIPTDIR source=demo/rows.sh
. "$here/demo/rows.sh"

readonly EVENTS=1000000 CAMERAS=200 PARTITIONS=16

parse() {
    real="" keep="" verify=""
    local argument
    for argument in "$@"; do
        case $argument in
            --real) real=yes ;;
            --keep) keep=yes ;;
            --verify) verify=yes ;;
            --help | -h)
                usage
                exit 0
                ;;
            *) die 2 "unknown argument '$argument': expected --real, --verify or --keep (scripts/demo.sh --help)" ;;
        esac
    done
}

# Only the settings of the demo: none from the caller's environment or from ./lakehouse.toml.
prepare() {
    local uri=$work/lake
    unset "${!LAKEHOUSE__@}" "${!AWS_@}" RUST_LOG
    export NO_PROXY=127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}
    [ -z "$real" ] || uri=s3://lake/demo
    uri=${uri//\\/\\\\}
    cat >"$work/lakehouse.toml" <<TEXT
[lake]
uri = "${uri//\"/\\\"}"

# The embedded broker waits until this group has committed its records.
[kafka]
group = "demo"

# The embedded broker stores little, so its records must land soon.
[speed]
commit_interval = "1s"
landing_interval = "1s"
metrics_listen = ""

[serving]
listen = "127.0.0.1:0"
refresh_interval = "500ms"

[speed_limits]
default_kmh = 90
TEXT
    config=(--config "$work/lakehouse.toml")
}

start_broker() {
    local simulate=(camera-simulator "${config[@]}" --quiet --partitions "$PARTITIONS"
        --cameras "$CAMERAS" --events "$EVENTS" --late 0.02 --late-max 10h --duplicates 0.005 --bad 0.001)
    if [ -n "$real" ]; then
        stack=$work/stack
        "$here/stack.sh" up --dir "$stack" >"$work/stack.path"
        # shellcheck source=/dev/null
        . "$(cat "$work/stack.path")"
        printf '. %q\n' "$stack/env" >"$work/env"
        start simulator "${simulate[@]}"
    else
        start simulator "${simulate[@]}" --embedded-broker --keep-broker --broker-file "$work/broker"
        await simulator 30 "the embedded broker" test -s "$work/broker"
        printf 'export LAKEHOUSE__KAFKA__BROKERS=%s\n' "$(cat "$work/broker")" >"$work/env"
        # shellcheck source=/dev/null
        . "$work/env"
    fi
}

start_serving() {
    start serving serving run "${config[@]}"
    await serving 30 "the server's address" serving_address
    url=http://$(serving_address)
}

serving_address() { grep -o '"address":"[^"]*"' "$work/serving.log" | cut -d '"' -f 4 | grep .; }

# Prints a line every two seconds until all events of the simulator are consumed (with a real Kafka: sent).
watch_day() {
    local shown=$SECONDS
    until summary >/dev/null; do
        alive simulator || summary >/dev/null || failed simulator "the simulator ended early"
        alive speed-layer || failed speed-layer "the speed layer ended early"
        if [ "$((SECONDS - shown))" -ge 2 ]; then
            shown=$SECONDS
            show_newest "$((SECONDS - day_started))"
        fi
        sleep 0.2
    done
}

summary() { grep '^{"produced"' "$work/simulator.out"; }

# counted NAME: prints a number of the simulator's summary.
counted() { summary | grep -o "\"$1\":[0-9]*" | cut -d : -f 2; }

# The speed layer consumes the remaining records before it ends; with a real Kafka these may be many.
end_day() {
    day=$(summary | grep -o '"first_event_time":"[^T]*' | cut -d '"' -f 4)
    [ "$(counted not_delivered)" = 0 ] || failed simulator "Kafka did not accept every record"
    stop speed-layer || failed speed-layer "the speed layer did not end successfully"
    stopped_at=$(date -u +%Y-%m-%dT%H:%M:%S)
    if [ -n "$real" ]; then
        # The remaining records in Kafka, if the speed layer was slower than the simulator.
        run_layer speed-layer-rest speed-layer run --until-end "${config[@]}"
        stopped_at=$(date -u +%Y-%m-%dT%H:%M:%S)
    fi
    printf '   %s events of %s: %s late by up to 10 h, %s sent twice; and %s records that are not events\n' \
        "$(commas "$(counted events)")" "$day" "$(commas "$(counted late)")" "$(commas "$(counted duplicates)")" \
        "$(commas "$(counted bad)")"
    printf '   simulated, consumed, landed and averaged in %d s\n' "$((SECONDS - day_started))"
}

nightly() {
    run_layer nightly batch-layer nightly "${config[@]}"
    indented <"$work/nightly.out"
}

audit() {
    run_layer audit batch-layer audit "${config[@]}"
    awk -f "$here/demo/audit.awk" "$work/audit.out" | indented
}

verify() {
    run_layer verify batch-layer verify --date "$day" "${config[@]}"
    indented <"$work/verify.out"
}

ask() {
    local query="$url/kvfv/$camera/avg-speed?from=${day}T08:00:00Z&to=${day}T10:00:00Z&interval=1h"
    printf "   curl '%s'\n" "$query"
    get "$query" | awk '{ gsub(/\[\{/, "[\n     {"); gsub(/\},\{/, "},\n     {"); print "   " $0 }'
}

leave_up() {
    kept=yes
    cat <<TEXT

Still running:
   server  $url        e.g. curl '$url/kvfv?limit=3'
   Kafka   $LAKEHOUSE__KAFKA__BROKERS
   lake    $([ -n "$real" ] && echo "s3://lake/demo in MinIO" || echo "$work/lake")
   more    . $work/env; $bin/batch-layer audit --config $work/lakehouse.toml
   stop    $(stop_command)
TEXT
}

stop_command() {
    printf 'kill%s; ' "$(pids)"
    [ -z "$real" ] || printf '%s reset --dir %s; ' "$here/stack.sh" "$work/stack"
    printf 'rm -rf %s\n' "$work"
}

# Stops everything that was started, except with --keep. After a failure the logs stay.
clean_up() {
    local code=$?
    trap - EXIT
    [ -z "$kept" ] || exit 0
    stop_all
    if [ -n "$stack" ] && [ -e "$stack" ]; then "$here/stack.sh" reset --dir "$stack" || true; fi
    case $code in
        0 | 130 | 143) rm -rf "$work" ;;
        *)
            rm -rf "$work/lake"
            printf 'demo: the logs of the programs are in %s\n' "$work" >&2
            ;;
    esac
    exit "$code"
}

built_at=0 work="" stack="" kept="" camera=""
parse "$@"
unset LC_ALL && export LC_NUMERIC=C
require_tools
echo "== Build"
build
built_at=$SECONDS

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
work=$(mktemp -d "${TMPDIR:-/tmp}/lambdalake-demo.XXXXXX")
work=$(cd "$work" && pwd -P)
prepare

heading "A day of $CAMERAS cameras, with provisional averages"
day_started=$SECONDS
start_broker
start speed-layer speed-layer run "${config[@]}"
start_serving
watch_day
end_day
await serving 30 "the server to see the last commit" has_followed
[ -n "$camera" ] || choose_camera
keep_rows provisional

heading "The nightly run makes the day final, with late events and without repeated ones"
nightly
await serving 30 "the server to see the final day" is_final
keep_rows final

heading "Camera $camera, provisional and final"
compare_rows

heading "Audit: every offset of Kafka is in the tables once, and final counts are correct"
audit

if [ -n "$verify" ]; then
    heading "Verify: the day is computed again by another program (Polars)"
    verify
fi

heading "Query it yourself"
ask

[ -z "$keep" ] || leave_up
printf '\nDone in %d s after the build.\n' "$((SECONDS - built_at))"
