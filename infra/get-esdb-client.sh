#!/bin/sh
# Gets the official Python client of EventStoreDB into .tools/esdb-client, for the cross-check in
# command-svc/tests/journal/python.rs. Fails where it cannot be had.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv=$root/.tools/esdb-client
wanted=$root/infra/esdb-client.txt

if [ -x "$venv/bin/python" ] && cmp -s "$wanted" "$venv/installed.txt"; then
    exit 0
fi
echo 'tools: getting the Python client of EventStoreDB from PyPI into .tools'
mkdir -p "$root/.tools"
rm -rf "$venv"
# Debian's python3 may lack ensurepip (python3-venv); a python3 that has it may come second on PATH.
for python in python3 /usr/bin/python3; do
    "$python" -m venv "$venv" >/dev/null 2>&1 && break
    rm -rf "$venv"
done
if [ ! -x "$venv/bin/python" ]; then
    echo 'tools: python3 cannot make a virtual environment (apt-get install python3-venv)' >&2
    exit 1
fi
if ! PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip install --quiet --only-binary=:all: \
    --requirement "$wanted"; then
    rm -rf "$venv"
    echo 'tools: the Python client of EventStoreDB could not be had' >&2
    exit 1
fi
cp "$wanted" "$venv/installed.txt"
