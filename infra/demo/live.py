"""The demo with a real router: traffic between namespaces, filtered by the kernel."""

import shlex
import subprocess
import time

from session import Lines, StepFailed
from steps import Demo

TRAFFIC = "infra/demo/traffic.py"
READY_S = 20
CHANGE_S = 20


class LiveDemo(Demo):
    """A client on the WAN side, a server on the LAN side and a router with an agent between them."""

    def run(self):
        self.server = self.cables.address("server")
        self.serve()
        self.status()
        self.enrol(self.setup_key())
        self.traffic_passes()
        rule = self.block()
        self.flows(rule)
        self.history(rule)
        self.unblock(rule)

    def serve(self):
        words = ["ip", "netns", "exec", self.cables.server, "python3", TRAFFIC, "serve", self.server]
        servers = self.processes.start("servers", words)
        self.processes.wait_for("the servers are ready", READY_S, lambda: servers.said("ready") is not None)

    def enrol(self, key):
        self.console.step("The agent, in the router; wan0 is in zone WAN, lan0 in zone LAN")
        # The router reaches the control plane at the same address as this host does.
        words = ["ip", "netns", "exec", self.cables.router] + self.agent_words(
            self.api.url, "--interface", "wan0=WAN", "--interface", "lan0=LAN"
        )
        self.show_agent_command(words, key)
        self.processes.start("netkeep-agent", words, NETKEEP_SETUP_KEY=key)
        self.device = self.processes.wait_for(
            "the device is online and runs the config that it should", READY_S, self._device_in_sync
        )["id"]
        answer, _ = self.api.call("/api/v1/devices")
        self.show_device(answer["data"][0])

    def _device_in_sync(self):
        devices = (self.api.peek("/api/v1/devices") or {}).get("data") or []
        return next((device for device in devices if device["online"] and in_sync(device)), None)

    def traffic_passes(self):
        self.console.step("Traffic from the WAN to the LAN: no rule forbids it")
        self._http()
        self._client("python3", TRAFFIC, "dns", self.server, "www.example.test")
        self._client("python3", TRAFFIC, "ping", self.server)
        self._telnet(passes=True)

    def block(self):
        self.console.step("A rule: no telnet from the WAN to the LAN")
        watch = self._watch()
        try:
            expect(watch, "open")
            rule, answered_at = self.create_rule()
            applied_at = self._applied(rule["revision"])
            blocked_at = expect(watch, "blocked")
        finally:
            watch.stop()
        self._telnet(passes=False)
        self._http()
        self.console.note(f"from the 201 to the first connection refused: {since(answered_at, blocked_at)}")
        self.console.note(f"from the 201 until the API shows that the device runs it: {since(answered_at, applied_at)}")
        return rule

    def unblock(self, rule):
        self.console.step("Delete the rule: telnet passes again")
        watch = self._watch()
        try:
            expect(watch, "blocked")
            _, answered_at = self.api.call(f"/api/v1/firewall/rules/{rule['id']}", method="DELETE")
            open_at = expect(watch, "open")
        finally:
            watch.stop()
        self._telnet(passes=True)
        self.console.note(f"from the answer to the first connection: {since(answered_at, open_at)}")

    def _applied(self, revision):
        """Waits until the API shows that the device runs this revision or a later one, and returns when."""
        path = f"/api/v1/devices/{self.device}"
        self.processes.wait_for(
            f"the device runs revision {revision}", CHANGE_S,
            lambda: applied_revision(self.api.peek(path)) >= revision, 0.01,
        )
        return time.monotonic()

    def _watch(self):
        words = ["ip", "netns", "exec", self.cables.client, "python3", TRAFFIC, "watch", self.server]
        return Lines(words, self.processes.env)

    def _http(self):
        self._client("curl", "-sS", "-m", "3", f"http://{self.server}/")

    def _telnet(self, passes):
        self._client("python3", TRAFFIC, "telnet", self.server, succeeds=passes)

    def _client(self, *words, succeeds=True):
        """Shows and runs a command in the client; StepFailed unless it ends as expected."""
        words = ["ip", "netns", "exec", self.cables.client, *words]
        self.console.command(shlex.join(words))
        done = subprocess.run(
            words, env=self.processes.env, capture_output=True, text=True, timeout=30, check=False
        )
        self.console.answer((done.stdout + done.stderr).strip() or "(no output)")
        if (done.returncode == 0) != succeeds:
            expected = "an answer" if succeeds else "no answer"
            raise StepFailed(f"expected {expected} from: {shlex.join(words)}")

    def hints(self):
        client, router = self.cables.client, self.cables.router
        return [
            f"ip netns exec {client} python3 {TRAFFIC} telnet {self.server}",
            f"ip netns exec {client} curl http://{self.server}/",
            f"ip netns exec {router} nft list table inet netkeep",
        ]


def in_sync(device):
    desired = device.get("desired")
    return desired is not None and applied_revision(device) >= desired["revision"]


def applied_revision(device):
    return ((device or {}).get("applied") or {}).get("revision", 0)


def expect(watch, state):
    """Waits until the connections of the watch are `state`, and returns since when they are."""
    deadline = time.monotonic() + CHANGE_S
    while True:
        what = f"connections to the telnet port are {state}"
        seen, at = watch.next(what, max(0.0, deadline - time.monotonic())).split()
        if seen == state:
            return float(at)


def since(begin, end):
    """The time between two moments. The answer is printed before curl ends, so the effect may come first."""
    milliseconds = (end - begin) * 1000
    return f"{milliseconds:.0f} ms" if milliseconds > 0 else "at once: it was so before curl ended"
