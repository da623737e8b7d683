#!/usr/bin/env bash
# Real Kafka 4.1 (KRaft) and MinIO as local processes, for tests and demos. Each stack has its own folder, ports and
# data, so any number of them can run at the same time. Run it without arguments for its usage.
#
# The parts are in scripts/stack/: cache.sh (the pinned servers, fetched once), process.sh (processes and ports),
# kafka.sh and minio.sh. A stack is identified by its folder: its processes are recorded there and nowhere else, except
# that its ports are reserved in the cache folder. compose.yaml there is for users who prefer a container engine.
set -euo pipefail
umask 077 # the folder of a stack contains passwords

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'TEXT'
usage: scripts/stack.sh up      [kafka|minio] [--dir DIR]     start what is not running; prints the path of DIR/env
       scripts/stack.sh restart kafka|minio [--kill] [--dir DIR]   same ports, same data; --kill: by SIGKILL
       scripts/stack.sh status  [--dir DIR]                   what runs and where; exit code 1 if something is not healthy
       scripts/stack.sh down    [kafka|minio] [--dir DIR]     stop; the data stays
       scripts/stack.sh reset   [--dir DIR]                   stop, and delete the data

  env_file=$(scripts/stack.sh up) && . "$env_file"            settings of the stack, as exported variables
  scripts/stack.sh reset                                      finds the folder by STACK_DIR, which is one of them

DIR: a new folder under ${TMPDIR:-/tmp} for `up`, $STACK_DIR for the others, unless given.
The servers are kept in ${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/lambdalake}: the first start fetches them.
Exit codes: 0 done, 1 not healthy, 2 usage, 3 an external failure.
TEXT
}

say() { printf 'stack: %s\n' "$*" >&2; }

# die CODE MESSAGE
die() {
    say "$2"
    exit "$1"
}

# shellcheck source-path=SCRIPTDIR source=stack/cache.sh
. "$here/stack/cache.sh"
# shellcheck source-path=SCRIPTDIR source=stack/process.sh
. "$here/stack/process.sh"
# shellcheck source-path=SCRIPTDIR source=stack/kafka.sh
. "$here/stack/kafka.sh"
# shellcheck source-path=SCRIPTDIR source=stack/minio.sh
. "$here/stack/minio.sh"

# Sets verb, services (the one named, or both), named (the one named, or nothing), signal and DIR.
parse() {
    verb=${1:-}
    named="" signal=TERM DIR=""
    [ $# -eq 0 ] || shift
    while [ $# -gt 0 ]; do
        case $1 in
            kafka | minio) named=$1 ;;
            --kill) signal=KILL ;;
            --dir)
                [ -n "${2:-}" ] || die 2 "--dir needs a folder"
                DIR=$2
                shift
                ;;
            *) die 2 "unknown argument '$1': expected kafka, minio, --dir DIR or --kill (scripts/stack.sh --help)" ;;
        esac
        shift
    done
    services=(kafka minio)
    [ -z "$named" ] || services=("$named")
    [ "$signal" = TERM ] || [ "$verb" = restart ] || die 2 "--kill belongs to restart, not to '$verb'"
}

# The folder of an existing stack.
find_stack() {
    DIR=${DIR:-${STACK_DIR:-}}
    [ -n "$DIR" ] || die 2 "the stack is not given: use --dir DIR, or set STACK_DIR (as DIR/env does)"
    [ -e "$DIR/.lambdalake-stack" ] || die 2 "$DIR is not the folder of a stack: expected one that 'up' made"
    DIR=$(cd "$DIR" && pwd -P)
}

# The folder of the stack to start, created if it is missing. Only an empty folder, or one of a stack, is accepted,
# because `reset` deletes it.
make_stack() {
    if [ -z "$DIR" ]; then
        DIR=$(mktemp -d "${TMPDIR:-/tmp}/lambdalake-stack.XXXXXX")
    fi
    mkdir -p "$DIR"
    if ! [ -e "$DIR/.lambdalake-stack" ] && [ -n "$(ls -A "$DIR")" ]; then
        die 2 "$DIR contains other files: expected a new or empty folder, or that of a stack"
    fi
    DIR=$(cd "$DIR" && pwd -P)
    case $DIR in *[,\\]*) die 2 "$DIR: Kafka cannot use a folder with a comma or a backslash in its name" ;; esac
    touch "$DIR/.lambdalake-stack"
}

up() {
    local service
    require_tools "${services[@]}"
    for service in "${services[@]}"; do ensure "$service"; done
    make_stack
    for service in "${services[@]}"; do
        running "$service" >/dev/null || start "$service"
    done
    write_env
    started=()
    echo "$DIR/env"
}

start() {
    started+=("$1")
    "$1_start"
    say "$1 is ready: 127.0.0.1:$(cat "$DIR/$1/port"), pid $(running "$1"), log $DIR/$1/log"
}

restart() {
    [ -n "$named" ] || die 2 "the server to restart is not given: expected kafka or minio"
    [ -s "$DIR/$named/port" ] || die 2 "$named was never up in $DIR: run 'up $named --dir $DIR' first"
    require_tools "$named"
    ensure "$named"
    stop "$named" "$signal"
    start "$named"
    write_env
    started=()
}

down() {
    local service
    for service in "${services[@]}"; do stop "$service"; done
}

reset() {
    [ -z "$named" ] || die 2 "reset applies to the whole stack: expected no '$named'"
    down
    free_ports
    rm -rf "$DIR/kafka" "$DIR/minio" "$DIR/env" "$DIR/.lambdalake-stack"
    rmdir "$DIR" 2>/dev/null || say "$DIR contains other files: it is not deleted"
}

status() {
    local service pid health healthy=0
    for service in "${services[@]}"; do
        [ -s "$DIR/$service/port" ] || continue
        health=stopped
        if pid=$(running "$service"); then
            if "${service}_ready"; then health=healthy; else health="not answering"; fi
        fi
        printf '%-6s %-14s pid %-8s 127.0.0.1:%s  %s\n' \
            "$service" "$health" "${pid:--}" "$(cat "$DIR/$service/port")" "$DIR/$service"
        [ "$health" = healthy ] || healthy=1
    done
    return "$healthy"
}

# Settings of what runs, as exports to be sourced.
write_env() {
    local service
    {
        export_line STACK_DIR "$DIR"
        for service in kafka minio; do
            if running "$service" >/dev/null; then "${service}_env"; fi
        done
    } >"$DIR/env.new"
    mv "$DIR/env.new" "$DIR/env"
}

export_line() { printf 'export %s=%q\n' "$1" "$2"; }

# After an error or a signal, everything that this call started is stopped; data and logs stay.
started=()
clean_up() {
    local service
    [ -z "$scratch" ] || rm -rf "$scratch"
    for service in ${started[@]+"${started[@]}"}; do stop "$service"; done
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

parse "$@"
name_cache_folders
case $verb in
    up) up ;;
    restart | down | reset | status)
        find_stack
        "$verb"
        ;;
    help | --help | -h) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
