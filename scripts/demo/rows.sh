# shellcheck shell=bash
# Averages by REST, as tables for people. Responses are parsed with awk: a window is the text between two braces.
# Sourced by scripts/demo.sh, whose $url, $work and $day it uses.

get() { curl --silent --show-error --fail --max-time 10 --noproxy '*' "$1"; }

# commas NUMBER: 1000000 as 1,000,000.
commas() {
    local rest=$1 text=""
    while [ "${#rest}" -gt 3 ]; do
        text=,${rest: -3}$text
        rest=${rest%???}
    done
    echo "$rest$text"
}

# Indents the output of a program.
indented() { fold -s -w 110 | sed 's/^/   /'; }

# windows INTERVAL: of the camera on the day.
windows() {
    get "$url/kvfv/$camera/avg-speed?from=${day}T00:00:00Z&to=${day}T23:59:59Z&interval=$1" | awk -v RS='}' -f "$here/demo/windows.awk"
}

# The first camera that the server knows. Sets camera, and day to that of its latest window.
choose_camera() {
    local answer
    answer=$(get "$url/kvfv?limit=1")
    camera=$(printf '%s' "$answer" | sed -n 's/.*"kvfv_id":"\([^"]*\)".*/\1/p')
    day=$(printf '%s' "$answer" | sed -n 's/.*"window_start":"\([^T]*\)T.*/\1/p')
    [ -n "$camera" ] && [ -n "$day" ]
}

# show_newest SECONDS: prints the camera's day so far, if it has rows already.
show_newest() {
    local count average
    [ -n "$camera" ] || choose_camera 2>/dev/null || return 0
    read -r _ count average _ < <(windows 24h) || return 0
    printf '   after %2d s: camera %s, day so far: %7s vehicles, %6.2f km/h on average, provisional\n' \
        "$1" "$camera" "$(commas "$count")" "$average"
}

# has_followed: whether the server has read the table's log since the second $stopped_at.
has_followed() {
    local refreshed
    refreshed=$(get "$url/health/ready" | sed -n 's/.*"refreshed_at":"\([^.Z]*\).*/\1/p')
    [[ $refreshed > $stopped_at ]]
}

is_final() { windows 24h | grep ' final$'; }

# keep_rows NAME: stores the present rows of the camera, for compare_rows.
keep_rows() {
    local interval
    for interval in 24h 1h 5m; do
        windows "$interval" | sed "s/^/$interval /"
    done >"$work/rows.$1"
}

# Prints the day, and the windows of an hour and of 5 minutes that changed most, in the order of time.
compare_rows() {
    local interval
    awk -f "$here/demo/join.awk" "$work/rows.provisional" "$work/rows.final" >"$work/rows.joined"
    for interval in 24h 1h 5m; do
        grep "^$interval " "$work/rows.joined" | sort -k 11,11nr -k 2,2 | awk 'NR <= 4' | sort -k 2,2
    done | awk -f "$here/demo/compare.awk"
    awk '$1 == "5m" { windows++; if ($3 != $7) changed++ }
         END { printf "   %d of its %d windows of 5 minutes changed\n", changed, windows }' "$work/rows.joined"
}
