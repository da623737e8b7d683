#!/usr/bin/env bash
# Real Kafka 4.1 (KRaft; one broker, or a cluster) and MinIO as local processes, for tests and demos. Each stack has its
# own folder, ports and data, so any number of them can run at the same time. Run it without arguments for its usage.
#
# The parts are in scripts/stack/: cache.sh (the pinned servers, fetched once), process.sh (processes and ports),
# kafka.sh and minio.sh. A stack is identified by its folder: its processes are recorded there and nowhere else, except
# that its ports are reserved in the cache folder. compose.yaml there is for users who prefer a container engine.
set -euo pipefail
umask 077 # the folder of a stack contains passwords

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'TEXT'
usage: scripts/stack.sh up      [SERVER] [--brokers N] [--dir DIR]   start what is not running; prints the path of DIR/env
       scripts/stack.sh restart SERVER [--kill] [--dir DIR]   same ports, same data; --kill: by SIGKILL
       scripts/stack.sh status  [--dir DIR]                   what runs and where; exit code 1 if something is not healthy
       scripts/stack.sh down    [SERVER] [--kill] [--dir DIR] stop; the data stays
       scripts/stack.sh reset   [--dir DIR]                   stop, and delete the data

  env_file=$(scripts/stack.sh up) && . "$env_file"            settings of the stack, as exported variables
  scripts/stack.sh reset                                      finds the folder by STACK_DIR, which is one of them

  scripts/stack.sh up --brokers 3                             a cluster: three brokers, and a controller beside them
  scripts/stack.sh down kafka-2 --kill                        broker 2 is killed
  scripts/stack.sh up kafka-2                                 and started again

SERVER: kafka or minio; of a cluster also one broker, kafka-1 to kafka-N, or the controller. kafka means all of these.
N: 1 (the default) or 2 to 9, decided when the stack is made. Each broker of a cluster has a rack, rack-1 to rack-N, and
serves consumers of its rack (client.rack). Replication factor, min.insync.replicas and unclean.leader.election.enable
are up to each topic.
DIR: unless given, $STACK_DIR, but a new folder under ${TMPDIR:-/tmp} for `up` of more than a part of a cluster.
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

# Sets verb, named (the server named, or nothing), signal, wanted_brokers (or nothing) and DIR.
parse() {
    verb=${1:-}
    named="" signal=TERM wanted_brokers="" DIR=""
    [ $# -eq 0 ] || shift
    while [ $# -gt 0 ]; do
        case $1 in
            kafka | kafka-[1-9] | controller | minio) named=$1 ;;
            --kill) signal=KILL ;;
            --brokers)
                [[ ${2:-} =~ ^[1-9]$ ]] || die 2 "--brokers '${2:-}': expected a number from 1 to 9"
                wanted_brokers=$2
                shift
                ;;
            --dir)
                [ -n "${2:-}" ] || die 2 "--dir needs a folder"
                DIR=$2
                shift
                ;;
            *) die 2 "unknown argument '$1': expected a server, --brokers N, --dir DIR or --kill (scripts/stack.sh --help)" ;;
        esac
        shift
    done
    [ "$signal" = TERM ] || [ "$verb" = restart ] || [ "$verb" = down ] ||
        die 2 "--kill belongs to restart and down, not to '$verb'"
    [ -z "$wanted_brokers" ] || [ "$verb" = up ] || die 2 "--brokers belongs to up, not to '$verb'"
}

# How many brokers this stack has.
brokers() { cat "$DIR/brokers" 2>/dev/null || echo 1; }

# Remembers how many brokers a new stack is to have; an existing one keeps its number.
decide_brokers() {
    [ -z "$wanted_brokers" ] || [ "$wanted_brokers" = "$(brokers)" ] || ! has_brokers ||
        die 2 "--brokers $wanted_brokers: the stack in $DIR has $(brokers): reset it, or make another"
    [ -z "$wanted_brokers" ] || has_brokers || echo "$wanted_brokers" >"$DIR/brokers"
}

has_brokers() { compgen -G "$DIR/kafka*" >/dev/null; }

# Sets services: those that `named` stands for, in the order of their start.
choose_services() {
    local kafka=(kafka) number
    if [ "$(brokers)" != 1 ]; then
        kafka=(controller)
        for ((number = 1; number <= $(brokers); number++)); do kafka+=("kafka-$number"); done
    fi
    case $named in
        "") services=("${kafka[@]}" minio) ;;
        kafka) services=("${kafka[@]}") ;;
        *) services=("$named") ;;
    esac
    case " ${kafka[*]} minio " in
        *" ${services[0]} "*) ;;
        *) die 2 "the stack in $DIR has no $named: expected one of ${kafka[*]} minio" ;;
    esac
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
    case $named in kafka-* | controller) DIR=${DIR:-${STACK_DIR:-}} ;; esac
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
    local program service
    # Before a folder is made.
    case $named in
        "") program=(kafka minio) ;;
        *) program=("$(program_of "$named")") ;;
    esac
    require_tools "${program[@]}"
    for service in "${program[@]}"; do ensure "$service"; done
    make_stack
    decide_brokers
    choose_services
    start "${services[@]}"
    write_env
    started=()
    echo "$DIR/env"
}

# start SERVICE...: those that do not run, together; returns when each of them is ready.
start() {
    local service
    for service in "$@"; do
        if ! running "$service" >/dev/null; then
            started+=("$service")
            "$(program_of "$service")_start" "$service"
        fi
    done
    for service in ${started[@]+"${started[@]}"}; do
        "$(program_of "$service")_await" "$service"
        say "$service is ready: 127.0.0.1:$(cat "$DIR/$service/port"), pid $(running "$service"), log $DIR/$service/log"
    done
}

restart() {
    local program service
    [ -n "$named" ] || die 2 "the server to restart is not given: expected kafka or minio"
    for service in "${services[@]}"; do
        [ -s "$DIR/$service/port" ] || die 2 "$service was never up in $DIR: run 'up $service --dir $DIR' first"
    done
    program=$(program_of "$named")
    require_tools "$program"
    ensure "$program"
    down
    start "${services[@]}"
    write_env
    started=()
}

# The controller last: brokers that stop tell it so.
down() {
    local number
    for ((number = ${#services[@]} - 1; number >= 0; number--)); do stop "${services[number]}" "$signal"; done
}

reset() {
    [ -z "$named" ] || die 2 "reset applies to the whole stack: expected no '$named'"
    down
    free_ports
    rm -rf "$DIR"/kafka* "$DIR/controller" "$DIR/minio" "$DIR/brokers" "$DIR/cluster-id" "$DIR/env" "$DIR/.lambdalake-stack"
    rmdir "$DIR" 2>/dev/null || say "$DIR contains other files: it is not deleted"
}

status() {
    local service pid health healthy=0
    for service in "${services[@]}"; do
        [ -s "$DIR/$service/port" ] || continue
        health=stopped
        if pid=$(running "$service"); then
            if "$(program_of "$service")_ready" "$service"; then health=healthy; else health="not answering"; fi
        fi
        printf '%-10s %-14s pid %-8s 127.0.0.1:%s  %s\n' \
            "$service" "$health" "${pid:--}" "$(cat "$DIR/$service/port")" "$DIR/$service"
        [ "$health" = healthy ] || healthy=1
    done
    return "$healthy"
}

# Settings of what runs, as exports to be sourced.
write_env() {
    {
        export_line STACK_DIR "$DIR"
        if [ "$(brokers)" != 1 ]; then
            kafka_cluster_env
        elif running kafka >/dev/null; then
            kafka_env kafka
        fi
        if running minio >/dev/null; then minio_env; fi
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
        choose_services
        "$verb"
        ;;
    help | --help | -h) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
