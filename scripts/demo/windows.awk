# A response of /kvfv/ID/avg-speed, read with RS="}" so that a record is a window, as lines of:
# window_start count avg_speed p85 status.
function field(name,   value) {
    if (!match($0, "\"" name "\":\"?[^,\"}]*")) return "-"
    value = substr($0, RSTART, RLENGTH)
    sub(/^"[^"]*":"?/, "", value)
    return value
}
/"window_start"/ { print field("window_start"), field("count"), field("avg_speed"), field("p85"), field("status") }
