#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Write the requirements files: every version with its hashes, and no host.
set -eu
cd "$(dirname "$0")/.."
uv=.tools/uv/bin/uv

compile() { # OUTPUT SOURCE [OPTION...]
    output=$1
    shift
    "$uv" pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --no-emit-package incamera --custom-compile-command "make lock" \
        --output-file "$output" "$@"
    echo "lock: wrote $output"
}

compile requirements-tools.txt requirements-tools.in
compile requirements-node.txt requirements-node.in
compile requirements.txt pyproject.toml --extra node --extra media
compile requirements-dev.txt pyproject.toml --extra dev --constraint requirements.txt
