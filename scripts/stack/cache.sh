# shellcheck shell=bash
# The pinned servers of scripts/stack.sh, in a cache folder: Kafka's jars (Maven copies them) and the MinIO binary (Go
# compiles it, a few minutes, once). Beside them Toxiproxy (Go, seconds), which scripts/chaos.sh puts in front of both.
#
# Each has a folder whose name is derived from its source, with a manifest of checksums. A folder is filled elsewhere
# and renamed into place, so an incomplete one is never used. Every start checks the manifest, and a damaged folder is
# created again. Sourced by stack.sh and chaos.sh, whose `die`, `say` and $here it uses.

readonly MINIO_PACKAGE=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
readonly TOXIPROXY_PACKAGE=github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0
readonly CACHE=${LAMBDALAKE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lambdalake}
scratch= # the folder being filled, for the clean-up after an error

# Sets KAFKA_HOME, MINIO_HOME and TOXIPROXY_HOME, the folders of the servers, which may not exist yet.
name_cache_folders() {
    KAFKA_HOME=$CACHE/kafka-$(checksums <"$here/stack/pom.xml" | cut -c1-12)
    MINIO_HOME=$CACHE/minio-${MINIO_PACKAGE##*-}
    TOXIPROXY_HOME=$CACHE/toxiproxy-${TOXIPROXY_PACKAGE##*@}
}

# require_tools SERVICE...: ends with an error that lists all missing tools, and how to install them.
require_tools() {
    local missing="" service
    for service in "$@"; do
        case $service in
            kafka)
                [ "$(java_version)" -ge 17 ] || missing+=$(hint "java 17 or newer" default-jre-headless openjdk)
                whole "$KAFKA_HOME" || has mvn || missing+=$(hint mvn maven maven)
                ;;
            minio)
                has curl || missing+=$(hint curl curl curl)
                whole "$MINIO_HOME" || has go || missing+=$go_hint
                ;;
            toxiproxy) whole "$TOXIPROXY_HOME" || has go || missing+=$go_hint ;;
        esac
    done
    [ -z "$missing" ] || die 3 "these tools are missing:$missing"
}

readonly go_hint=$'\n'"  go 1.24 or newer: https://go.dev/dl (macOS: brew install go)"
hint() { printf '\n  %s: apt-get install %s (Debian), brew install %s (macOS)' "$1" "$2" "$3"; }

has() { command -v "$1" >/dev/null 2>&1; }

# The feature release of the first `java` in PATH; 0 if there is none.
java_version() {
    local version
    version=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/.*java.specification.version = //p')
    version=${version%%.*}
    echo "${version:-0}"
}

# ensure SERVICE: makes sure that its folder exists and is complete.
ensure() {
    local home
    case $1 in
        kafka) home=$KAFKA_HOME ;;
        minio) home=$MINIO_HOME ;;
        toxiproxy) home=$TOXIPROXY_HOME ;;
    esac
    whole "$home" && return
    mkdir -p "$CACHE"
    scratch=$(mktemp -d "$CACHE/building.XXXXXX")
    if [ -e "$home" ]; then
        say "$home is damaged: making it again"
        mv "$home" "$scratch/damaged"
        rm -rf "$scratch/damaged"
    fi
    say "fetching $1 into $home: once; MinIO is compiled, which takes some minutes"
    "fetch_$1" "$scratch" >"$scratch/log" 2>&1 || {
        tail -n 20 "$scratch/log" >&2
        die 3 "$1 could not be fetched: the reason is above (is there a network, or a mirror for Maven or Go?)"
    }
    rm "$scratch/log"
    (cd "$scratch" && find . -type f ! -name manifest -exec "${CHECKSUM[@]}" {} + >manifest)
    # If another stack was faster, mv has put ours inside its folder: delete ours, theirs is equivalent.
    mv "$scratch" "$home"
    rm -rf "${home:?}/${scratch##*/}"
    scratch=
    whole "$home" || die 3 "$home does not match its manifest just after it was made: check the disk"
}

# fetch_SERVICE FOLDER: fills the folder. -C: a jar that does not match its published checksum is an error.
fetch_kafka() {
    cp "$here/stack/pom.xml" "$1/pom.xml" &&
        mvn -q -B -C -f "$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1/libs"
}

fetch_minio() { install_go_program "$MINIO_PACKAGE" "$1"; }

# Go names a program after its folder.
fetch_toxiproxy() { install_go_program "$TOXIPROXY_PACKAGE" "$1" && mv "$1/server" "$1/toxiproxy"; }

# install_go_program PACKAGE FOLDER
install_go_program() { GOBIN=$2 CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' "$1"; }

CHECKSUM=(sha256sum)
has sha256sum || CHECKSUM=(shasum -a 256)

checksums() { "${CHECKSUM[@]}" "$@"; }

whole() { [ -s "$1/manifest" ] && (cd "$1" && checksums --check --status manifest) 2>/dev/null; }
