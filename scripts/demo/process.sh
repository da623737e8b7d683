# shellcheck shell=bash
# The programs that the demo starts: each has $work/NAME.pid while it may be running, $work/NAME.out and $work/NAME.log.
# Sourced by scripts/demo.sh, whose `die`, $work and $bin it uses.

started=() # their names, in this order

# start NAME PROGRAM ARGUMENT...: starts it in the background and in a separate process group, so that Ctrl-C reaches
# only the demo, which then stops what it started.
start() {
    local name=$1 program=$2
    shift 2
    set -m
    nohup "$bin/$program" "$@" </dev/null >"$work/$name.out" 2>"$work/$name.log" &
    set +m
    echo $! >"$work/$name.pid"
    started+=("$name")
}

# Whether the program NAME is running.
alive() { [ -s "$work/$1.pid" ] && kill -0 "$(cat "$work/$1.pid")" 2>/dev/null; }

# stop NAME: asks it to end, and returns its exit code.
stop() {
    local pid deadline=$((SECONDS + 30))
    [ -s "$work/$1.pid" ] || return 0
    pid=$(cat "$work/$1.pid")
    rm -f "$work/$1.pid"
    kill "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            kill -s KILL "$pid" 2>/dev/null || true
            break
        fi
        sleep 0.1
    done
    wait "$pid" 2>/dev/null
}

# Stops all running programs, the last one first.
stop_all() {
    local name
    while [ "${#started[@]}" -gt 0 ]; do
        name=${started[${#started[@]} - 1]}
        unset "started[${#started[@]} - 1]"
        stop "$name" || true
    done
}

# The process ids of the running programs.
pids() {
    local name
    for name in "${started[@]}"; do
        if alive "$name"; then printf ' %s' "$(cat "$work/$name.pid")"; fi
    done
}

# await NAME SECONDS WHAT COMMAND...: waits until the command succeeds, while the program NAME is running.
await() {
    local name=$1 deadline=$((SECONDS + $2)) what=$3
    shift 3
    until "$@" >/dev/null 2>&1; do
        alive "$name" || failed "$name" "$name ended while the demo waited for $what"
        [ "$SECONDS" -lt "$deadline" ] || failed "$name" "gave up waiting for $what"
        sleep 0.1
    done
}

# run_layer NAME PROGRAM ARGUMENT...: runs it to its end. If its exit code is not 0, the demo ends with that code.
run_layer() {
    local name=$1 code=0
    start "$@"
    wait "$(cat "$work/$name.pid")" || code=$?
    rm -f "$work/$name.pid"
    [ "$code" = 0 ] || failed "$name" "$2 $3 ended with exit code $code" "$code"
}

# failed NAME MESSAGE [CODE]: prints the end of NAME's output, and ends the demo with the message.
failed() {
    printf '\n' >&2
    tail -n 15 "$work/$1.out" "$work/$1.log" 2>/dev/null | sed 's/^/    /' >&2 || true
    die "${3:-3}" "$2"
}
