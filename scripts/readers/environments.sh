# shellcheck shell=bash
# The venvs and jars of the readers. Sourced by scripts/readers.sh after harness/venv.sh, from the repository's root.
#
# Everything is pinned, in scripts/readers/packages: NAME.txt for a venv and NAME.xml for the jars that go with it, which
# Maven copies into the cache folder. Both are made once.

# environment NAME sets PYTHON, and JARS if it has jars. It fails, with a message, if something cannot be had.
environment() {
    local packages=scripts/readers/packages/$1
    JARS=""
    make_venv_of "$packages.txt" || return
    [ ! -f "$packages.xml" ] || jars "$packages.xml"
}

# jars POM sets JARS: the folder with the jars of a POM. It is filled elsewhere and renamed into place, as venvs are.
jars() {
    JARS=$CACHE/jars-$(cksum <"$1" | tr ' ' '-')
    [ ! -d "$JARS" ] || return 0
    command -v mvn >/dev/null || {
        echo "mvn is needed: apt-get install maven" >&2
        return 1
    }
    fresh=$(mktemp -d "$CACHE/jars.XXXXXX")
    cp "$1" "$fresh/pom.xml" &&
        mvn -q -B -C -f "$fresh/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
            -DoutputDirectory="$fresh/jars" >&2 || return
    mv "$fresh/jars" "$JARS" || return
    rm -rf "$fresh"
    fresh=""
}
