"""The steps that both forms of the demo take."""

import json

BLOCK_TELNET = {
    "name": "Block Telnet", "zone_from": "WAN", "zone_to": "LAN", "protocol": "tcp", "port": "23", "action": "drop",
}
NEWEST_FLOWS = (
    "SELECT time, src, dst, dst_port, protocol, verdict, rule, verdict_source, bytes_sent"
    " FROM flows ORDER BY time DESC LIMIT 10"
)
VISIBLE_S = 30


class Demo:
    """One run of the demo. `cables` is the network, where there is one."""

    def __init__(self, console, processes, api, binary, folder, cables):
        self.console = console
        self.processes = processes
        self.api = api
        self.binary = binary
        self.folder = folder
        self.cables = cables

    def show(self, answer, lines_max=40):
        self.console.answer(json.dumps(answer, indent=2, ensure_ascii=False), lines_max)

    def status(self):
        self.console.step("Is it well?")
        answer, _ = self.api.call("/api/v1/system/status")
        self.show(answer)

    def setup_key(self):
        """Creates the key with which the router enrols, and returns its secret."""
        self.console.step("A setup key, with which devices enrol themselves")
        answer, _ = self.api.call("/api/v1/setup-keys", {"name": "demo", "type": "reusable"}, "POST")
        self.show({**answer, "key": answer["key"][:8] + "…"})
        return answer["key"]

    def create_rule(self):
        """Creates the rule and returns it, and when the 201 was there."""
        rule, at = self.api.call("/api/firewall/rules", BLOCK_TELNET, "POST")
        self.show(rule)
        return rule, at

    def flows(self, rule):
        self.console.step("Every flow is a row: who, with whom, what became of it, by which rule")
        self.processes.wait_for(
            "a dropped flow with the rule's id is in the flow table", VISIBLE_S,
            lambda: self._dropped_by(rule, self.api.peek("/api/v1/sql", {"query": NEWEST_FLOWS})), 0.25,
        )
        answer, _ = self.api.call("/api/v1/sql", {"query": NEWEST_FLOWS}, "POST")
        self.console.table([column["name"] for column in answer["columns"]], answer["data"])
        self.console.plain()
        answer, _ = self.api.call("/api/traffic/logs?action=drop")
        self.show(answer, 30)

    @staticmethod
    def _dropped_by(rule, answer):
        if not answer:
            return False
        names = [column["name"] for column in answer["columns"]]
        rows = [dict(zip(names, row)) for row in answer["data"]]
        return any(row["verdict"] == "drop" and row["rule"] == rule["id"] for row in rows)

    def history(self, rule):
        self.console.step("Every change is an event: who did what, and when")
        path = f"/api/v1/firewall/rules/{rule['id']}/history"
        self.processes.wait_for(
            "the rule's history is there", VISIBLE_S, lambda: (self.api.peek(path) or {}).get("data")
        )
        of_the_rule = ["revision", "time", "name", "actor", "credential"]
        of_the_org = ["revision", "time", "type", "subject", "actor", "credential"]
        for path, names in ((path, of_the_rule), ("/api/v1/events?per_page=5", of_the_org)):
            answer, _ = self.api.call(path)
            self.console.table(names, [[event.get(name) for name in names] for event in answer["data"]])
            self.console.plain()

    def agent_words(self, url, *more):
        return [
            self.binary, "agent", "--url", url, "--state-dir", f"{self.folder}/agent", "--name", "edge-1",
            "--window-ms", "1000", "--heartbeat-ms", "1000", *more,
        ]

    def show_agent_command(self, words, key):
        self.console.command(f"export NETKEEP_SETUP_KEY={key[:8]}…")
        self.console.command(" ".join(words))

    def show_device(self, device):
        seen = {name: device.get(name) for name in ("id", "name", "online", "desired", "applied")}
        self.show(seen)
