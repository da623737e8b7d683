# shellcheck shell=bash
# The Python environment of scripts/harness and of whatever uses it. Sourced by scripts/test.sh, scripts/chaos.sh,
# scripts/soak.sh, scripts/readers.sh, scripts/bench.sh and scripts/defects.sh, from the repository's root; CACHE is the
# cache folder.

# Where Python finds the packages: harness, and those of the tools. This is the only place that sets it.
export PYTHONPATH=$PWD/scripts
# Python writes no files into the folders of the sources.
export PYTHONDONTWRITEBYTECODE=1

# make_venv [FILE] sets PYTHON: that of a venv with the harness's requirements, or with those of FILE, which includes
# them.
make_venv() { make_venv_of scripts/harness/requirements.txt ${1:+"$1"}; }

# make_venv_of FILE... sets PYTHON: that of a venv with the requirements of the last FILE, which may include the others.
# It is created elsewhere and renamed into place, so an incomplete one is never used. Only the scripts of a venv contain
# its path, and these are not used: `python -m` is.
fresh="" # the incomplete venv, for the clean-up after an error
make_venv_of() {
    local key venv
    key=$({ python3 --version && cat "$@"; } | cksum | tr ' ' '-')
    venv=$CACHE/venv-$key
    if ! [ -d "$venv" ]; then
        mkdir -p "$CACHE"
        fresh=$(mktemp -d "$CACHE/venv.XXXXXX")
        python3 -m venv "$fresh" || return
        "$fresh/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "${*: -1}" || return
        mv "$fresh" "$venv" || return
        rm -rf "${venv:?}/${fresh##*/}" # exists if another run was faster
        fresh=""
    fi
    PYTHON=$venv/bin/python
}
