"""The demo without root: a capture file goes through the agent's packet path, the rules are evaluated."""

import os

import capture_file
from steps import VISIBLE_S, Demo


class ReplayDemo(Demo):
    """A router that saw a host on the WAN talk to one on the LAN."""

    def run(self):
        self.status()
        key = self.setup_key()
        self.console.step("A rule: no telnet from the WAN to the LAN")
        rule, _ = self.create_rule()
        self.replay(key)
        self.flows(rule)
        self.history(rule)
        self.delete(rule)

    def replay(self, key):
        capture = os.path.join(self.folder, "demo.pcap")
        packets = capture_file.write_demo(capture)
        self.console.step(
            f"The agent reads {packets} packets (HTTP, DNS, ICMP, telnet) that {capture_file.OUTSIDE} and"
            f" {capture_file.INSIDE} exchanged"
        )
        words = self.agent_words(
            self.api.url, "--interface", "lan0=LAN", "--interface", "wan0=WAN", "--replay", capture, "--replay-rebase"
        )
        self.show_agent_command(words, key)
        self.processes.start("netkeep-agent", words, may_end=True, NETKEEP_SETUP_KEY=key)
        self.processes.wait_for("the device is enrolled", VISIBLE_S, self._devices)
        answer, _ = self.api.call("/api/v1/devices")
        self.show_device(answer["data"][0])

    def _devices(self):
        return (self.api.peek("/api/v1/devices") or {}).get("data")

    def delete(self, rule):
        self.console.step("Delete the rule; the rows keep what it decided")
        self.api.call(f"/api/v1/firewall/rules/{rule['id']}", method="DELETE")
        self.console.answer("(deleted)")

    def hints(self):
        return []
