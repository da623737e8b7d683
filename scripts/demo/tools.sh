# shellcheck shell=bash
# Checks the tools that the demo needs, and builds the programs. Sourced by scripts/demo.sh, whose `die` it uses.

readonly RUST_MINOR=95 # rust-version in Cargo.toml: 1.95

# Ends with an error that lists all missing tools, and how to install them.
require_tools() {
    local missing=""
    if ! has cargo || ! has rustc; then
        missing+=$'\n  Rust 1.'$RUST_MINOR$' or newer: https://rustup.rs'
    elif ! rust_is_new; then
        missing+=$'\n  Rust 1.'$RUST_MINOR" or newer, this is $(rustc --version 2>&1 | head -n 1): rustup update stable"
    fi
    has cc || missing+=$(hint "a C compiler (cc)" gcc)
    has c++ || missing+=$(hint "a C++ compiler (c++)" g++)
    has make || missing+=$(hint make make)
    has curl || missing+=$(hint curl curl)
    [ -z "$missing" ] || die 3 "these tools are missing:$missing"
}

# hint WHAT PACKAGE
hint() {
    printf '\n  %s: apt-get install %s (Debian), dnf install %s (Fedora), xcode-select --install (macOS)' \
        "$1" "$2" "${2/#g++/gcc-c++}"
}

has() { command -v "$1" >/dev/null 2>&1; }

rust_is_new() {
    local version
    version=$(rustc --version 2>/dev/null | cut -d ' ' -f 2)
    case $version in
        1.*) version=${version#1.} && [ "${version%%.*}" -ge "$RUST_MINOR" ] ;;
        *.*.*) ;; # a Rust 2, some day
        *) return 1 ;;
    esac
}

# Builds the four programs without the features that the demo does not use (tls, jemalloc and, without --verify,
# verify), in the folder that scripts/test.sh also uses. Sets bin.
build() {
    local features=(--no-default-features)
    [ -z "$verify" ] || features+=(--features batch-layer/verify)
    local cache=${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lambdalake}
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
    mkdir -p "$CARGO_TARGET_DIR"
    bin=$(cd "$CARGO_TARGET_DIR" && pwd)/debug
    [ -x "$bin/speed-layer" ] || echo "   the first build takes some minutes, because librdkafka and the Delta library are compiled too"
    cargo build --locked --bins "${features[@]}" -p camera-simulator -p speed-layer -p batch-layer -p serving ||
        die 3 "the build failed: the reason is above"
    echo "   done in $SECONDS s"
}
