# shellcheck shell=bash
# The Python environment of the end-to-end tests and of whatever uses their modules. Sourced by scripts/test.sh,
# scripts/chaos.sh and scripts/soak.sh, from the repository's root; CACHE is the cache folder.

# make_venv [FILE] sets PYTHON: that of a venv with the end-to-end tests' requirements, or with those of FILE, which
# includes them. It is made elsewhere and renamed into place, so that a half-made one is never used. A venv knows its own path only in its scripts, which are not used: `python -m` is.
fresh="" # the venv half made, for the clean-up after an error
make_venv() {
    local requirements=scripts/end-to-end/requirements.txt more=${1:-} key venv
    key=$({ python3 --version && cat "$requirements" ${more:+"$more"}; } | cksum | tr ' ' '-')
    venv=$CACHE/venv-$key
    if ! [ -d "$venv" ]; then
        mkdir -p "$CACHE"
        fresh=$(mktemp -d "$CACHE/venv.XXXXXX")
        python3 -m venv "$fresh"
        "$fresh/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "${more:-$requirements}"
        mv "$fresh" "$venv"
        rm -rf "${venv:?}/${fresh##*/}" # there when another run was quicker
        fresh=""
    fi
    PYTHON=$venv/bin/python
}
