"""The traffic of the demo: the servers that answer it, and the clients that make it.

    traffic.py serve ADDRESS          HTTP on 80, DNS on 53, a telnet banner on 23, until it is ended
    traffic.py dns ADDRESS NAME       asks for a name
    traffic.py ping ADDRESS           sends ICMP echo requests
    traffic.py telnet ADDRESS         connects to port 23 and shows the banner
    traffic.py watch ADDRESS          connects to port 23 all the time and tells when that begins and ends to work

The clients end with status 0 when they got an answer and 1 when they did not.
"""

import http.server
import os
import selectors
import socket
import struct
import sys
import threading
import time

HTTP_PORT, DNS_PORT, TELNET_PORT = 80, 53, 23
DNS_ANSWER = "192.0.2.80"
BANNER = b"edge of the LAN: a telnet that should not be open\r\n"

ANSWER_S = 1.5
WATCH_EVERY_S = 0.01
# What is not answered within this time is blocked: an answer here takes well below a millisecond.
WATCH_ANSWER_S = 0.25


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every GET with a line of text."""

    def do_GET(self):
        body = b"hello from the LAN\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def serve(address):
    """Serves until the process is ended; says `ready` when all ports are open."""
    web = http.server.ThreadingHTTPServer((address, HTTP_PORT), Page)
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((address, DNS_PORT))
    telnet = socket.create_server((address, TELNET_PORT), backlog=128)
    for loop in (web.serve_forever, lambda: answer_names(names), lambda: greet(telnet)):
        threading.Thread(target=loop, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


def answer_names(server):
    """Answers every DNS question with one address."""
    while True:
        question, asker = server.recvfrom(512)
        answer = dns_answer(question)
        if answer:
            server.sendto(answer, asker)


def greet(server):
    """Sends every connection the banner and closes it."""
    while True:
        connection, _ = server.accept()
        try:
            connection.sendall(BANNER)
            connection.close()
        except OSError:
            continue


def dns_question(name, number):
    """An A question as RFC 1035 section 4.1 has it."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def dns_answer(question):
    """The answer to a question: its name is DNS_ANSWER. None for what is no question."""
    if len(question) < 17:
        return None
    number = question[:2]
    address = socket.inet_aton(DNS_ANSWER)
    record = b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 60, len(address)) + address
    return number + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + question[12:] + record


def ask_name(address, name):
    number = os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(ANSWER_S)
        client.sendto(dns_question(name, number), (address, DNS_PORT))
        try:
            answer = client.recv(512)
        except OSError:
            return "no answer"
    if answer[:2] != struct.pack("!H", number):
        return "an answer to another question"
    print(f"{name} has address {socket.inet_ntoa(answer[-4:])}")
    return None


def checksum(data):
    """The internet checksum of RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo(kind, number, sequence):
    """An ICMP echo request (8) or reply (0), RFC 792."""
    payload = b"netkeep demo"
    head = struct.pack("!BBHHH", kind, 0, 0, number, sequence)
    return struct.pack("!BBHHH", kind, 0, checksum(head + payload), number, sequence) + payload


def ping(address, count=3):
    number = os.getpid() & 0xFFFF
    answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as client:
        for sequence in range(1, count + 1):
            begin = time.monotonic()
            client.sendto(echo(8, number, sequence), (address, 0))
            while True:
                left = begin + ANSWER_S - time.monotonic()
                if left <= 0:
                    break
                client.settimeout(left)
                try:
                    packet = client.recv(1500)
                except OSError:
                    break
                reply = packet[(packet[0] & 15) * 4:]
                if reply[:1] == b"\0" and reply[4:8] == struct.pack("!HH", number, sequence):
                    answered += 1
                    break
    print(f"{count} echo requests to {address}, {answered} answered")
    return None if answered == count else "not every request was answered"


def telnet(address):
    try:
        with socket.create_connection((address, TELNET_PORT), timeout=ANSWER_S) as client:
            print(f"connected to {address}:{TELNET_PORT}: {client.recv(200).decode().strip()}")
    except OSError:
        return f"no connection to {address}:{TELNET_PORT} within {ANSWER_S} s"
    return None


def watch(address):
    """Prints `open TIME` and `blocked TIME` whenever it changes.

    TIME is that of the first attempt with the new outcome, on the monotonic clock, which all processes share.
    """
    selector = selectors.DefaultSelector()
    state, state_since = None, 0.0
    next_attempt = time.monotonic()
    while True:
        now = time.monotonic()
        if now >= next_attempt:
            next_attempt = now + WATCH_EVERY_S
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            client.setblocking(False)
            client.connect_ex((address, TELNET_PORT))
            selector.register(client, selectors.EVENT_WRITE, now)
        outcomes = []
        for key, _ in selector.select(max(0.0, next_attempt - time.monotonic())):
            refused = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            outcomes.append((key, "blocked" if refused else "open"))
        answered = {key.fileobj for key, _ in outcomes}
        now = time.monotonic()
        outcomes += [
            (key, "blocked")
            for key in list(selector.get_map().values())
            if key.fileobj not in answered and now - key.data > WATCH_ANSWER_S
        ]
        for key, outcome in sorted(outcomes, key=lambda one: one[0].data):
            selector.unregister(key.fileobj)
            key.fileobj.close()
            # Attempts end out of order: an old one that timed out says nothing about what newer ones met.
            if outcome != state and key.data > state_since:
                state, state_since = outcome, key.data
                print(f"{outcome} {key.data:.6f}", flush=True)


def main(words):
    commands = {
        "serve": (serve, 1),
        "dns": (ask_name, 2),
        "ping": (ping, 1),
        "telnet": (telnet, 1),
        "watch": (watch, 1),
    }
    function, count = commands.get(words[0] if words else "", (None, 0))
    if function is None or len(words) != count + 1:
        sys.exit(__doc__)
    failure = function(*words[1:])
    if failure:
        print(failure)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
