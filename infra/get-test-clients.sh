#!/bin/sh
# Gets what tests/it/contract.rs and tests/it/clients.rs need into .tools/test-clients: from PyPI what tries the API out
# (schemathesis) and makes a Python client of it, from npm what makes a TypeScript client. Fails where it cannot be had.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tools=$root/.tools/test-clients
python=$tools/python
node=$tools/node
wanted=$root/infra/test-clients.txt
locked=$root/tests/clients
node_major_min=18

say() { echo "tools: $*"; }

die() { echo "tools: $*" >&2; exit 1; }

get_python() {
    if [ -x "$python/bin/python" ] && cmp -s "$wanted" "$python/installed.txt"; then
        return 0
    fi
    say 'getting schemathesis and openapi-python-client from PyPI into .tools'
    mkdir -p "$tools"
    rm -rf "$python"
    # Debian's python3 may lack ensurepip (python3-venv); a python3 that has it may come second on PATH.
    for candidate in python3 /usr/bin/python3; do
        "$candidate" -m venv "$python" >/dev/null 2>&1 && break
        rm -rf "$python"
    done
    [ -x "$python/bin/python" ] || die 'python3 cannot make a virtual environment (apt-get install python3-venv)'
    if ! PIP_DISABLE_PIP_VERSION_CHECK=1 "$python/bin/python" -m pip install --quiet --only-binary=:all: \
        --requirement "$wanted"; then
        rm -rf "$python"
        die 'schemathesis and openapi-python-client could not be had'
    fi
    cp "$wanted" "$python/installed.txt"
}

node_is_new() {
    command -v npm >/dev/null 2>&1 || return 1
    major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p')
    [ -n "$major" ] && [ "$major" -ge "$node_major_min" ]
}

install_node() {
    node_is_new && return 0
    if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
        say 'installing: nodejs npm'
        log=$(mktemp)
        # One unreachable source must not stop the others.
        DEBIAN_FRONTEND=noninteractive apt-get update -qq >"$log" 2>&1 || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm \
            >>"$log" 2>&1 </dev/null || { say 'apt-get could not install nodejs and npm:'; tail -n 5 "$log"; }
        rm -f "$log"
    fi
    node_is_new || die "Node.js $node_major_min or newer with npm is needed (apt-get install nodejs npm)"
}

get_node() {
    install_node
    if cmp -s "$locked/package-lock.json" "$node/installed.json"; then
        return 0
    fi
    say 'getting openapi-typescript and openapi-fetch from npm into .tools'
    rm -rf "$node"
    mkdir -p "$node"
    cp "$locked/package.json" "$locked/package-lock.json" "$node/"
    if ! (cd "$node" && npm ci --silent --ignore-scripts --no-audit --no-fund); then
        rm -rf "$node"
        die 'the TypeScript tools could not be had'
    fi
    cp "$locked/package-lock.json" "$node/installed.json"
}

get_python
get_node
