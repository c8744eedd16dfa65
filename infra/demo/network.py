"""The network of the demo: a client, a router and a server, each a network namespace, and a cable to this host."""

import ipaddress
import json
import os
import shutil
import subprocess


class NoNetwork(Exception):
    """Namespaces cannot be made here; the message says why."""


class Network:
    """    client --- wan0 [router] lan0 --- server
                        mgmt0
                          |
                        this host

    What it makes carries the pid of this process in its name; `close` removes all of it.
    """

    def __init__(self):
        pid = os.getpid()
        self.client, self.router, self.server = (f"nk{pid}-{role}" for role in ("client", "router", "server"))
        self.host_cable = f"nkm{pid}"
        self._namespaces = []
        try:
            self._block = free_block()
            self._build()
        except BaseException:
            self.close()
            raise

    def address(self, name):
        """An address by its role: host, manage, wan, client, lan or server."""
        ends = {"host": "0.1", "manage": "0.2", "wan": "1.1", "client": "1.2", "lan": "2.1", "server": "2.2"}
        return f"{self._block}.{ends[name]}"

    def _build(self):
        for namespace in (self.client, self.router, self.server):
            self._namespaces.append(namespace)
            run("ip", "netns", "add", namespace)
            self._ip(namespace, "link", "set", "lo", "up")
        self._cable(self.client, "eth0", "client", self.router, "wan0", "wan")
        self._cable(self.server, "eth0", "server", self.router, "lan0", "lan")
        run("ip", "link", "add", self.host_cable, "type", "veth", "peer", "name", "mgmt0", "netns", self.router)
        run("ip", "address", "add", f"{self.address('host')}/24", "dev", self.host_cable)
        run("ip", "link", "set", self.host_cable, "up")
        self._up(self.router, "mgmt0", "manage")
        self._ip(self.client, "route", "add", "default", "via", self.address("wan"))
        self._ip(self.server, "route", "add", "default", "via", self.address("lan"))
        run("ip", "netns", "exec", self.router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")

    def _cable(self, left, left_name, left_role, right, right_name, right_role):
        run(
            "ip", "link", "add", left_name, "netns", left, "type", "veth",
            "peer", "name", right_name, "netns", right,
        )
        self._up(left, left_name, left_role)
        self._up(right, right_name, right_role)

    def _up(self, namespace, interface, role):
        self._ip(namespace, "address", "add", f"{self.address(role)}/24", "dev", interface)
        self._ip(namespace, "link", "set", interface, "up")

    def _ip(self, namespace, *words):
        run("ip", "-netns", namespace, *words)

    def close(self):
        """Removes the namespaces and, with the router's, both ends of the cable to this host."""
        for namespace in self._namespaces:
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)
        # The kernel takes a namespace down in the background; the cable goes at once if it is asked to.
        subprocess.run(["ip", "link", "delete", self.host_cable], capture_output=True, check=False)
        self._namespaces = []


def check():
    """Raises NoNetwork unless this process may make namespaces and filter packets in them."""
    if os.geteuid() != 0:
        raise NoNetwork("not root")
    for tool, package in (("ip", "iproute2"), ("nft", "nftables")):
        if not shutil.which(tool):
            raise NoNetwork(f"{tool} is missing (apt-get install {package})")
    probe = f"nk{os.getpid()}-probe"
    try:
        run("ip", "netns", "add", probe)
        run("ip", "netns", "exec", probe, "nft", "add table inet netkeep_probe")
    finally:
        subprocess.run(["ip", "netns", "delete", probe], capture_output=True, check=False)


def free_block():
    """The first 10.x of 10.77 … 10.126 that no interface of this host has an address in, as `10.x`."""
    listed = json.loads(run("ip", "-json", "-4", "address") or "[]")
    taken = [
        ipaddress.ip_interface(f"{address['local']}/{address['prefixlen']}").network
        for interface in listed
        for address in interface.get("addr_info", [])
    ]
    for second in range(77, 127):
        block = ipaddress.ip_network(f"10.{second}.0.0/16")
        # A host inside a /8 is everybody's neighbour; only a narrower network is a conflict.
        if not any(block.overlaps(network) and network.prefixlen >= 12 for network in taken):
            return f"10.{second}"
    raise NoNetwork("10.77.0.0/16 to 10.126.0.0/16 are all in use on this host")


def run(*words):
    """Runs a command and returns what it printed; NoNetwork if it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or f"status {done.returncode}"
        raise NoNetwork(f"`{' '.join(words)}` failed: {said}")
    return done.stdout
