"""A headless Chromium driven by its own protocol over pipes: no driver, and no port to listen at."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe", "about:blank"),
)
PATIENCE = 30  # seconds for an answer


def path():
    """Where Chromium is, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """One browser with one page."""

    def __init__(self, folder):
        pipes = [os.pipe(), os.pipe()]
        # the browser reads from descriptor 3 and writes to 4, whatever these are here
        read, write = (fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (pipes[0][0], pipes[1][1]))
        start = f"import os, sys; os.dup2({read}, 3); os.dup2({write}, 4); os.execv(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-c", start, path(), f"--user-data-dir={folder}", *FLAGS]
        self.log = open(f"{folder}.log", "wb")  # noqa: SIM115 - as long as the browser runs
        self.process = subprocess.Popen(command, pass_fds=(read, write), stdout=self.log, stderr=self.log)
        for fd in (read, write, pipes[0][0], pipes[1][1]):
            os.close(fd)
        self.sent, self.got = os.fdopen(pipes[0][1], "wb", 0), os.fdopen(pipes[1][0], "rb", 0)
        self.rest, self.last, self.session, self.events = b"", 0, None, []
        os.set_blocking(self.got.fileno(), False)
        targets = self.send("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, **parameters):
        """Send a command, and return its result."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.sent.write(json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            told = self._message(until)
            if told.get("id") == self.last:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                return told["result"]
            self.events.append(told)

    def _message(self, until):
        while b"\0" not in self.rest:
            if time.monotonic() > until or self.process.poll() is not None:
                raise TimeoutError("the browser does not answer")
            more = self.got.read(1 << 20)
            if more is None:
                time.sleep(0.002)
                continue
            self.rest += more
        first, _, self.rest = self.rest.partition(b"\0")
        return json.loads(first)

    def run(self, script):
        """The value of an expression of JavaScript, awaited."""
        told = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(json.dumps(told["exceptionDetails"])[:2000])
        return told["result"].get("value")

    def open(self, address, width=1280, height=900, *, dark=False):
        """Open a page, and wait until it is ready."""
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **shape)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=address)
        self.wait(f"location.href === {json.dumps(address)} && document.documentElement?.dataset.ready")

    def wait(self, condition):
        """Wait until an expression is true."""
        until = time.monotonic() + PATIENCE
        while not self.run(f"Boolean({condition})"):
            if time.monotonic() > until:
                raise TimeoutError(condition)
            time.sleep(0.02)

    def picture(self):
        """The page as it looks: bytes of a PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def problems(self):
        """Errors of scripts, and requests that the page made: list of str."""
        self.run("0")
        told = []
        for event in self.events:
            what, of = event.get("method"), event.get("params", {})
            if what == "Runtime.exceptionThrown" or (what == "Log.entryAdded" and of["entry"]["level"] == "error"):
                told.append(json.dumps(of)[:500])
        return told

    def requests(self):
        """Addresses that were asked for: list of str."""
        self.run("0")
        return [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]

    def close(self):
        """End the browser."""
        for pipe in (self.sent, self.got):
            pipe.close()
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
