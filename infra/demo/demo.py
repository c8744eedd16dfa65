"""Shows Netkeep at work: a rule created over HTTP is enforced on a router, and the router's traffic answers SQL.

As root it builds a client, a router and a server out of network namespaces. Without root it replays a capture file
through the same packet path. Every command that it prints is the one that it runs, from the root of the repository.
"""

import argparse
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback

# Leaves no __pycache__ in the repository.
sys.dont_write_bytecode = True

import network
from live import LiveDemo
from replay import ReplayDemo
from session import Api, Console, Processes, StepFailed, child_environment

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_S = 60


def main():
    options = parse_options()
    os.chdir(ROOT)
    console = Console()
    if not os.path.exists(options.binary):
        console.error(f"{options.binary} is missing: make demo builds it")
        return 1
    env = child_environment(ROOT)
    os.environ["PATH"] = env["PATH"]
    if not shutil.which("curl"):
        console.error("curl is missing (apt-get install curl)")
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    return run(console, options, env)


def parse_options():
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--binary", default=os.path.join(target, "debug", "netkeep"), help="the netkeep to run")
    parser.add_argument("--replay", action="store_true", help="replay a capture file even as root")
    return parser.parse_args()


def run(console, options, env):
    folder = tempfile.mkdtemp(prefix="netkeep-demo-")
    processes = Processes(env, folder)
    cables = None
    finished = False
    try:
        cables = build_network(console, options)
        host = cables.address("host") if cables else "127.0.0.1"
        api, token = start_control_plane(console, processes, options.binary, folder, host)
        scene = LiveDemo if cables else ReplayDemo
        demo = scene(console, processes, api, options.binary, folder, cables)
        demo.run()
        finished = True
        console.plain()
        console.note(f"all {console.steps} steps held")
        if sys.stdin.isatty() and sys.stdout.isatty():
            stay(console, processes, demo, api, token)
        return 0
    except StepFailed as failure:
        report(console, processes, f"step {console.steps} did not hold: {failure}")
        return 1
    except network.NoNetwork as failure:
        report(console, processes, f"the network could not be built: {failure}")
        return 1
    except KeyboardInterrupt:
        console.plain()
        return 0 if finished else 130
    except Exception:
        report(console, processes, f"step {console.steps} met what it did not expect:\n{traceback.format_exc()}")
        return 1
    finally:
        # A second Ctrl-C must not leave namespaces behind; every wait below has an end.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        processes.stop()
        if cables:
            cables.close()
        shutil.rmtree(folder, ignore_errors=True)


def interrupt(number, frame):
    raise KeyboardInterrupt


def build_network(console, options):
    """The namespaces, or None where a capture file has to do."""
    if options.replay:
        return None
    try:
        network.check()
    except network.NoNetwork as reason:
        console.note(f"no network namespaces ({reason}): a capture file is replayed, its rules evaluated, not enforced")
        return None
    return network.Network()


def start_control_plane(console, processes, binary, folder, host):
    console.step("The control plane: everything in one process, over a nats-server of its own")
    words = [
        binary, "up", "--data-dir", os.path.join(folder, "data"),
        "--listen", f"{host}:{free_port(host)}", "--nats-listen", f"{host}:{free_port(host)}",
    ]
    console.command(" ".join(words))
    up = processes.start("netkeep-up", words)
    url, token = (
        processes.wait_for(f"netkeep up prints {prefix}", START_S, lambda: up.said(prefix))
        for prefix in ("NETKEEP_URL=", "NETKEEP_TOKEN=")
    )
    console.answer(f"NETKEEP_URL={url}\nNETKEEP_TOKEN={token[:6]}…")
    console.command(f"export NETKEEP_TOKEN={token[:6]}…")
    api = Api(console, url, token, processes.env)
    processes.wait_for("the API answers", START_S, lambda: api.peek("/api/v1/system/status"))
    return api, token


def free_port(host):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def stay(console, processes, demo, api, token):
    """Leaves everything running until Ctrl-C and says what can be done with it."""
    console.plain("\nEverything stays up until Ctrl-C. In another terminal:\n")
    console.plain(f"  export NETKEEP_URL={api.url} NETKEEP_TOKEN={token}")
    console.plain('  curl -sS $NETKEEP_URL/api/v1/devices -H "Authorization: Bearer $NETKEEP_TOKEN"')
    console.plain('  curl -sS $NETKEEP_URL/api/v1/sql -H "Authorization: Bearer $NETKEEP_TOKEN" \\')
    console.plain("    -H 'Content-Type: application/json' \\")
    console.plain('    -d \'{"query": "SELECT verdict, count(*) AS flows FROM flows GROUP BY verdict"}\'')
    for line in demo.hints():
        console.plain(f"  {line}")
    console.plain(f"\nThe API, to try in a browser: {api.url}/api-docs")
    while True:
        processes.check()
        time.sleep(0.5)


def report(console, processes, message):
    for name, lines in processes.tails():
        console.plain(f"\n--- the end of {name}'s log")
        console.answer("\n".join(lines) or "(empty)")
    console.plain()
    console.error(f"The demo failed: {message}")


if __name__ == "__main__":
    sys.exit(main())
