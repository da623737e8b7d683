# shellcheck shell=bash
# Starting, knowing and stopping the processes of scripts/stack.sh, and ports for them.
#
# A service SERVICE of a stack lives in $DIR/SERVICE: `pid`, `log`, the files that name its ports, and its data. A
# process counts as ours when it has the pid noted there and names that folder on its command line, so a pid that the
# system gave to somebody else is never signalled. Sourced by stack.sh.

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

# stop SERVICE [SIGNAL]: TERM and, after half a minute, KILL; returns when it is gone.
stop() {
    local service=$1 signal=${2:-TERM} pid
    if pid=$(running "$service"); then
        kill -s "$signal" "$pid"
        if ! wait_until 30 gone "$service"; then
            say "$service (pid $pid) does not stop: killed"
            kill -s KILL "$pid"
            wait_until 10 gone "$service" || die 3 "$service (pid $pid) cannot be killed"
        fi
    fi
    rm -f "$DIR/$service/pid"
}

gone() { ! running "$1" >/dev/null; }

# wait_until SECONDS COMMAND...: asks every fifth of a second; 1 when the time is up.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

# wait_ready SERVICE SECONDS: until `SERVICE_ready`, or an error with the end of its log.
wait_ready() {
    local service=$1 seconds=$2
    wait_until "$seconds" ready_or_gone "$service" || fail "$service" "$service is not ready after $seconds s"
    running "$service" >/dev/null || fail "$service" "$service ended while it was starting"
}

ready_or_gone() { gone "$1" || "$1_ready"; }

# fail SERVICE MESSAGE: ends with the message, below the end of the service's log.
fail() {
    say "the end of $DIR/$1/log:"
    tail -n 30 "$DIR/$1/log" | sed 's/^/    /' >&2
    die 3 "$2"
}

# port FILE: the port noted in $DIR/FILE; a free one is taken and noted when there is none yet, so that a restart has
# the same. Below the range that systems hand out by themselves. A link in the cache folder reserves it until `reset`,
# so two stacks that start together never choose alike.
port() {
    [ -s "$DIR/$1" ] || reserve_port "$1" >"$DIR/$1"
    cat "$DIR/$1"
}

reserve_port() {
    local port attempt
    mkdir -p "$CACHE/ports"
    # Links of stacks whose folder was deleted by hand.
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

# Gives the reserved ports of this stack back.
free_ports() {
    local file
    for file in "$DIR"/*/*port; do
        [ -s "$file" ] && rm -f "$CACHE/ports/$(cat "$file")"
    done
    return 0
}
