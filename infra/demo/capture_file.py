"""The capture file of the demo without root: what a router would have seen, as pcap."""

import socket
import struct

from traffic import BANNER, checksum, dns_answer, dns_question, echo

OUTSIDE, INSIDE = "203.0.113.7", "192.168.10.20"
_MACS = {OUTSIDE: b"\x02\0\0\0\0\x07", INSIDE: b"\x02\0\0\0\0\x14"}
_FIN, _SYN, _PUSH, _ACK = 0x01, 0x02, 0x08, 0x10
_TCP, _UDP, _ICMP = 6, 17, 1
# 2026-11-22T00:00:00Z; the agent moves the times to end at the present.
_BEGIN_US = 1_795_305_600_000_000
_STEP_US = 400


class CaptureFile:
    """Collects packets between OUTSIDE and INSIDE, a step of time apart."""

    def __init__(self):
        self._now_us = _BEGIN_US
        self._ident = 0
        self._records = []

    def write(self, path):
        """Writes the file and returns how many packets it has."""
        with open(path, "wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for time_us, frame in self._records:
                out.write(struct.pack("<IIII", time_us // 1_000_000, time_us % 1_000_000, len(frame), len(frame)))
                out.write(frame)
        return len(self._records)

    def tcp(self, port, service, asked, answered):
        """One connection from OUTSIDE to `service`: opened, `asked` and `answered`, closed."""
        client, server = [OUTSIDE, port, 1_000], [INSIDE, service, 9_000]
        self._segment(client, server, _SYN)
        self._segment(server, client, _SYN | _ACK)
        self._segment(client, server, _ACK)
        for sender, receiver, data in ((client, server, asked), (server, client, answered)):
            if data:
                self._segment(sender, receiver, _PUSH | _ACK, data)
                self._segment(receiver, sender, _ACK)
        self._segment(server, client, _FIN | _ACK)
        self._segment(client, server, _FIN | _ACK)
        self._segment(server, client, _ACK)

    def udp(self, port, service, asked, answered):
        self._datagram(OUTSIDE, port, INSIDE, service, asked)
        self._datagram(INSIDE, service, OUTSIDE, port, answered)

    def ping(self, count):
        for sequence in range(1, count + 1):
            self._packet(OUTSIDE, INSIDE, _ICMP, echo(8, 77, sequence))
            self._packet(INSIDE, OUTSIDE, _ICMP, echo(0, 77, sequence))

    def _segment(self, sender, receiver, flags, data=b""):
        """A TCP segment (RFC 9293); a side is [address, port, next sequence number]."""
        acknowledged = receiver[2] if flags & _ACK else 0
        head = struct.pack(
            "!HHIIBBHHH", sender[1], receiver[1], sender[2], acknowledged, 5 << 4, flags, 64_240, 0, 0
        )
        total = checksum(pseudo_header(sender[0], receiver[0], _TCP, len(head) + len(data)) + head + data)
        self._packet(sender[0], receiver[0], _TCP, head[:16] + struct.pack("!H", total) + head[18:] + data)
        sender[2] += len(data) + (1 if flags & (_SYN | _FIN) else 0)

    def _datagram(self, source, source_port, target, target_port, data):
        head = struct.pack("!HHHH", source_port, target_port, 8 + len(data), 0)
        total = checksum(pseudo_header(source, target, _UDP, 8 + len(data)) + head + data) or 0xFFFF
        self._packet(source, target, _UDP, head[:6] + struct.pack("!H", total) + data)

    def _packet(self, source, target, protocol, payload):
        self._ident += 1
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), self._ident, 0x4000, 63, protocol, 0)
        head += socket.inet_aton(source) + socket.inet_aton(target)
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        frame = _MACS[target] + _MACS[source] + b"\x08\x00" + head + payload
        self._records.append((self._now_us, frame))
        self._now_us += _STEP_US


def pseudo_header(source, target, protocol, length):
    return socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, protocol, length)


def write_demo(path):
    """Writes HTTP, DNS, ICMP and telnet from OUTSIDE to INSIDE and returns how many packets that took."""
    capture = CaptureFile()
    request = b"GET / HTTP/1.1\r\nHost: www.example.test\r\n\r\n"
    capture.tcp(40_001, 80, request, b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nhello from the LAN\n")
    question = dns_question("www.example.test", 4_711)
    capture.udp(40_002, 53, question, dns_answer(question))
    capture.ping(3)
    capture.tcp(40_003, 23, b"", BANNER)
    return capture.write(path)
