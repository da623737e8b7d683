# shellcheck shell=bash
# The Python environment of scripts/harness and of whatever uses it. Sourced by scripts/test.sh, scripts/chaos.sh,
# scripts/soak.sh, scripts/bench.sh and scripts/defects.sh, from the repository's root; CACHE is the cache folder.

# Where Python finds the packages: harness, and those of the tools. Nothing else says it.
export PYTHONPATH=$PWD/scripts
# The folders of the sources stay as they are.
export PYTHONDONTWRITEBYTECODE=1

# make_venv [FILE] sets PYTHON: that of a venv with the harness's requirements, or with those of FILE, which includes
# them. It is made elsewhere and renamed into place, so that a half-made one is never used. A venv knows its own path only in its scripts, which are not used: `python -m` is.
fresh="" # the venv half made, for the clean-up after an error
make_venv() {
    local requirements=scripts/harness/requirements.txt more=${1:-} key venv
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
