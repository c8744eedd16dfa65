"""What the demo stands on: printing, running and watching processes, calling the API with curl."""

import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

CALL_S = 30
STOP_S = 15
TAIL_LINES = 25


class StepFailed(Exception):
    """A step did not hold; the message says which and how."""


class Console:
    """Prints steps, commands as they would be typed, and what they answered."""

    def __init__(self):
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.steps = 0

    def step(self, text):
        self.steps += 1
        self._print(self._paint("1", f"\n{self.steps}. {text}"))

    def command(self, text):
        self._print(self._paint("36", f"$ {text}"))

    def answer(self, text, lines_max=40):
        lines = text.rstrip("\n").split("\n")
        for line in lines[:lines_max]:
            self._print(f"  {line}")
        if len(lines) > lines_max:
            self._print(f"  … {len(lines) - lines_max} more lines")

    def note(self, text):
        self._print(self._paint("32", f"→ {text}"))

    def error(self, text):
        self._print(self._paint("31", text))

    def plain(self, text=""):
        self._print(text)

    def table(self, names, rows):
        cells = [[_cell(value) for value in row] for row in rows]
        widths = [max([len(name)] + [len(row[place]) for row in cells]) for place, name in enumerate(names)]
        for row in [list(names), ["-" * width for width in widths]] + cells:
            self._print("  " + "  ".join(value.ljust(width) for value, width in zip(row, widths)).rstrip())

    def _paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self._colour else text

    @staticmethod
    def _print(text):
        print(text, flush=True)


def _cell(value):
    if value is None:
        return "-"
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return str(value)


class Process:
    """A process that the demo started, with its output in files."""

    def __init__(self, name, words, env, folder, may_end=False):
        self.name = name
        self.may_end = may_end
        self.log_path = os.path.join(folder, f"{name}.log")
        self.out_path = os.path.join(folder, f"{name}.out")
        with open(self.log_path, "wb") as log, open(self.out_path, "wb") as out:
            # A session of its own: Ctrl-C reaches the demo only, and the demo stops its processes in order.
            self._child = subprocess.Popen(
                words, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True
            )

    def ended(self):
        """The status, once the process has ended."""
        return self._child.poll()

    def said(self, prefix):
        """The rest of the first line on stdout that begins with `prefix`, once it is complete."""
        with open(self.out_path, encoding="utf-8", errors="replace") as out:
            for line in out:
                if line.startswith(prefix) and line.endswith("\n"):
                    return line[len(prefix):].strip()
        return None

    def tail(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read().rstrip("\n").split("\n")[-TAIL_LINES:]

    def stop(self):
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                pass
        # What it may have left behind has its process group.
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._child.wait()


class Processes:
    """The processes of the demo, stopped in the reverse order of their start."""

    def __init__(self, env, folder):
        self.env = env
        self._folder = folder
        self._started = []

    def start(self, name, words, may_end=False, **env):
        process = Process(name, words, {**self.env, **env}, self._folder, may_end)
        self._started.append(process)
        return process

    def check(self):
        """Raises StepFailed if a process ended that should run."""
        for process in self._started:
            status = process.ended()
            if status is not None and not (process.may_end and status == 0):
                raise StepFailed(f"{process.name} ended with status {status}")

    def wait_for(self, what, seconds, attempt, every_s=0.1):
        """Calls `attempt` until it gives something; StepFailed after `seconds` or when a process ends."""
        deadline = time.monotonic() + seconds
        while True:
            # A line that was said before the end counts, so first the attempt and then the check.
            result = attempt()
            if result:
                return result
            self.check()
            if time.monotonic() > deadline:
                raise StepFailed(f"after {seconds} s still waiting until {what}")
            time.sleep(every_s)

    def tails(self):
        return [(process.name, process.tail()) for process in self._started]

    def stop(self):
        for process in reversed(self._started):
            process.stop()
        self._started = []


class Lines:
    """The lines that a command prints, read as they come."""

    def __init__(self, words, env):
        self._child = subprocess.Popen(
            words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._child.stdout:
            self._lines.put(line.strip())

    def next(self, what, seconds):
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            raise StepFailed(f"after {seconds} s still waiting until {what}") from None

    def stop(self):
        self._child.kill()
        self._child.wait()


class Api:
    """The API, called with curl where the reader is to see it and quietly where the demo waits for something."""

    def __init__(self, console, url, token, env):
        self.url = url
        self._console = console
        self._token = token
        self._env = {**env, "NETKEEP_TOKEN": token}
        # No proxy stands between the demo and its own machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, path, body=None, method=None):
        """Prints a curl command, runs it and returns the answer and when it was there, on the monotonic clock."""
        words = ["curl -sS"]
        if method:
            words.append(f"-X {method}")
        words += [shlex.quote(self.url + path), '-H "Authorization: Bearer $NETKEEP_TOKEN"']
        if body is not None:
            words.append("-H 'Content-Type: application/json'")
            words.append("-d " + shlex.quote(json.dumps(body)))
        command = " ".join(words)
        self._console.command(command)
        # Beyond what is printed: the status on a line of its own, and a limit of time.
        done = subprocess.run(
            ["sh", "-c", f"exec {command} -m {CALL_S} -w '\\n%{{http_code}}'"],
            env=self._env, capture_output=True, text=True, check=False,
        )
        at = time.monotonic()
        if done.returncode != 0:
            raise StepFailed(f"curl ended with status {done.returncode}: {done.stderr.strip()}")
        text, _, status = done.stdout.rpartition("\n")
        if not status.startswith("2"):
            raise StepFailed(f"{path} answered {status}: {text}")
        return (json.loads(text) if text.strip() else None), at

    def peek(self, path, body=None):
        """The answer to a call that the reader need not see; None if there is none yet."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        try:
            with self._opener.open(request, timeout=CALL_S) as answer:
                return json.load(answer)
        except (urllib.error.URLError, OSError, ValueError):
            return None


def child_environment(root):
    """The environment of what the demo starts: no settings and proxies of the user's, our tools first."""
    proxies = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("NETKEEP_") and name.lower() not in proxies
    }
    tools = os.path.join(root, ".tools", "bin")
    sbin = "/usr/local/sbin:/usr/sbin:/sbin"
    kept["PATH"] = f"{tools}:{os.environ.get('PATH', '')}:{sbin}"
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    return kept
