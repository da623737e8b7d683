# shellcheck shell=bash
# Starts, finds and stops the processes of scripts/stack.sh, and reserves ports for them.
#
# A service SERVICE of a stack lives in $DIR/SERVICE: `pid`, `log`, the files that name its ports, and its data. A
# process is ours if it has the recorded pid and its command line contains that folder, so a reused pid never receives a
# signal. Sourced by stack.sh.

# launch SERVICE COMMAND...: in the background, in a process group of its own (Ctrl-C is for the caller), with no
# descriptor of the caller's, so that `$(stack.sh up)` ends.
launch() {
    local service=$1 folder=$DIR/$1
    shift
    set -m
    nohup "$@" </dev/null >>"$folder/log" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
    echo $! >"$folder/pid"
    set +m
    # Until the child has become COMMAND, its command line is still this script's.
    wait_until 2 running "$service" >/dev/null || true
}

# The pid of a SERVICE that runs, or nothing and 1.
running() {
    local pid
    pid=$(cat "$DIR/$1/pid" 2>/dev/null) || return
    case $(ps -ww -o command= -p "$pid" 2>/dev/null) in
        *"$DIR/$1/"*) echo "$pid" ;;
        *) return 1 ;;
    esac
}

# stop SERVICE [SIGNAL]: TERM and, after half a minute, KILL; returns when it has ended.
stop() {
    local service=$1 signal=${2:-TERM} pid
    if pid=$(running "$service"); then
        kill -s "$signal" "$pid"
        if ! wait_until 30 gone "$service"; then
            say "$service (pid $pid) did not stop: it is killed"
            kill -s KILL "$pid"
            wait_until 10 gone "$service" || die 3 "$service (pid $pid) cannot be killed"
        fi
    fi
    rm -f "$DIR/$service/pid"
}

gone() { ! running "$1" >/dev/null; }

# wait_until SECONDS COMMAND...: runs it every fifth of a second; returns 1 when the time is over.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

# wait_ready SERVICE SECONDS: waits until it is ready, or ends with an error and the end of the log.
wait_ready() {
    local service=$1 seconds=$2
    wait_until "$seconds" ready_or_gone "$service" || fail "$service" "$service is not ready after $seconds s"
    running "$service" >/dev/null || fail "$service" "$service ended while it was starting"
}

ready_or_gone() { gone "$1" || "$(program_of "$1")_ready" "$1"; }

# program_of SERVICE: the program that it runs, which its functions are called after: kafka or minio.
program_of() { case $1 in minio) echo minio ;; *) echo kafka ;; esac }

# fail SERVICE MESSAGE: prints the end of the service's log, and ends with the message.
fail() {
    say "the end of $DIR/$1/log:"
    tail -n 30 "$DIR/$1/log" | sed 's/^/    /' >&2
    die 3 "$2"
}

# port FILE: prints the port recorded in $DIR/FILE. If there is none yet, a free port is chosen and recorded, so a
# restart has the same one. It is below the range of ephemeral ports. A link in the cache folder reserves it until
# `reset`, so two stacks that start together never choose the same port.
port() {
    [ -s "$DIR/$1" ] || reserve_port "$1" >"$DIR/$1"
    cat "$DIR/$1"
}

reserve_port() {
    local port attempt
    mkdir -p "$CACHE/ports"
    # Deletes links of stacks whose folder was deleted by hand.
    find -L "$CACHE/ports" -type l -mtime +1 -exec rm -f {} +
    for attempt in {1..50}; do
        port=$((20000 + RANDOM % 12000))
        if ! open "$port" && ln -s "$DIR/$1" "$CACHE/ports/$port" 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    die 3 "no free port between 20000 and 32000 after $attempt tries: see $CACHE/ports"
}

# Whether something listens on a port.
open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Releases the reserved ports of this stack.
free_ports() {
    local file
    for file in "$DIR"/*/*port; do
        [ -s "$file" ] && rm -f "$CACHE/ports/$(cat "$file")"
    done
    return 0
}
