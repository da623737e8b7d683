#!/usr/bin/env bash
# Runs a fuzz target for a while, from its seeds and corpus, and merges what reaches new code into the corpus.
# Run it without arguments for its usage.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

TARGETS="decode configuration http"
# The limits of an input's length, and of the memory and time that a target may use for one.
LIMITS=(-max_len=4096 -rss_limit_mb=2048 -malloc_limit_mb=256 -timeout=10)

usage() {
    cat <<TEXT
usage: scripts/fuzz/run.sh TARGET|all SECONDS

  TARGET   one of: $TARGETS
  SECONDS  how long each target runs

Exit codes: 0 done, 1 an input was found that violates an assertion, 2 usage, 3 a tool is missing.
TEXT
}

die() {
    printf 'run.sh: %s\n' "$2" >&2
    exit "$1"
}

# fuzz COMMAND TARGET ARGUMENT...: cargo-fuzz without the address sanitizer, as nothing here is unsafe code.
fuzz() {
    local command=$1
    shift
    cargo +nightly fuzz "$command" --fuzz-dir . --sanitizer none "$@"
}

# run TARGET: new inputs go to a folder of their own; those that reach new code are kept.
run() {
    local target=$1
    work=$(mktemp -d "${TMPDIR:-/tmp}/lambdalake-fuzz.XXXXXX")
    mkdir -p "corpus/$target" "$work/found" "$work/kept"
    fuzz run "$target" "$work/found" "corpus/$target" "seeds/$target" -- \
        "-max_total_time=$seconds" "-dict=dictionaries/$target.dict" "${LIMITS[@]}" -print_final_stats=1 ||
        die 1 "$target: see artifacts/$target"
    # Merging adds to the first folder the inputs that reach new code, so the seeds need not be in the corpus. It
    # ignores how often code is reached; otherwise thousands of inputs would be kept.
    cp "seeds/$target"/* "$work/kept"
    fuzz run "$target" "$work/kept" "corpus/$target" "$work/found" -- -merge=1 -use_counters=0 "${LIMITS[@]}"
    (cd "seeds/$target" && find . -type f -exec rm "$work/kept/{}" \;)
    rm -rf "corpus/$target"
    mv "$work/kept" "corpus/$target"
    rm -rf "$work"
    printf '%s: %s inputs in the corpus\n' "$target" "$(find "corpus/$target" -type f | wc -l)"
}

[ $# = 2 ] || {
    usage >&2
    exit 2
}
[[ $2 =~ ^[1-9][0-9]*$ ]] || die 2 "'$2': expected a whole number of seconds"
seconds=$2 work=""
cargo +nightly fuzz --version >/dev/null 2>&1 ||
    die 3 "cargo-fuzz and a nightly compiler are needed: rustup toolchain install nightly && cargo install cargo-fuzz --locked"
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
case " all $TARGETS " in
    *" $1 "*) ;;
    *) die 2 "unknown target '$1': expected all or one of: $TARGETS" ;;
esac
for target in $TARGETS; do
    case $1 in
        all | "$target") run "$target" ;;
    esac
done
