"""The page on this machine: a server that answers those who know its address, and asks the model for them."""

import json
import secrets
import sys
import threading
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .answers import read_question
from .page import page

HERE = "127.0.0.1"
MOST_BYTES = 1_000_000  # of a question
PATIENCE = 10  # seconds for a request to arrive
MOST_AT_ONCE = 200  # connections; further ones are closed unheard
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Server(ThreadingHTTPServer):
    """A server of one page, and of the answers of its model.

    Parameters
    ----------
    explorer : Explorer
    port : int, default=0
        0 for any that is free.
    """

    daemon_threads = True
    request_queue_size = 256
    block_on_close = False

    def __init__(self, explorer, port=0):
        self.explorer, self.token = explorer, secrets.token_urlsafe(24)
        self.page = page(explorer.figures(served=True)).encode()
        self.asking = threading.Lock()  # the model uses all cores for one question
        self.room = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__((HERE, port), Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in (HERE, "localhost")}

    @property
    def address(self):
        """Where the page is: str."""
        return f"http://{HERE}:{self.server_port}/{self.token}/"

    def answer(self, what, question):
        """The answer to a question of the page: dict."""
        with self.asking:
            if what == "query":
                return self.explorer.query(question.get("given"))
            if what == "graph":
                return self.explorer.dependence
            return self.explorer.row(question.get("row"))

    def process_request(self, request, client_address):
        """Hear a connection in a thread of its own, if there is room."""
        if not self.room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        """Hear a connection, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.room.release()

    def handle_error(self, request, client_address):
        """Keep quiet about connections that break off."""


class Handler(BaseHTTPRequestHandler):
    """One connection to the server."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "treeflows", ""
    timeout = PATIENCE
    server: Server

    def do_GET(self):
        """Send the page."""
        if self._is_trusted() and self._asked_for("", "index.html"):
            self._send(200, self.server.page, "text/html; charset=utf-8")

    def do_POST(self):
        """Answer a question."""
        if not self._is_trusted() or not self._asked_for("query", "row", "graph"):
            return
        if self.headers.get_content_type() != "application/json":
            self._refuse(415, "a question is JSON")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or self.headers.get("Transfer-Encoding"):
            self._refuse(411, "how long is the question?")
        elif len(length) > 9 or int(length) > MOST_BYTES:
            self._refuse(413, "the question is too long")
        else:
            try:
                question = read_question(self.rfile.read(int(length)))
                told = self.server.answer(self.path.rpartition("/")[2], question)
            except (ValueError, TypeError, OverflowError) as error:
                self._refuse(400, " ".join(str(error).split()))
            except Exception as error:  # such as no memory: the page says so, and the server goes on
                self._refuse(500, f"{type(error).__name__}: {error}")
            else:
                self._send(200, json.dumps(told, allow_nan=False).encode(), "application/json")

    def _is_trusted(self):
        """Whether a request comes from the page itself, or from somebody who typed its address; else it is refused.

        A page of another site could have its name lead to this machine, which the name of the host tells, or could ask
        across sites, which its origin tells.
        """
        host, origin = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if len(host) != 1 or host[0].lower() not in self.server.hosts:
            self._refuse(421, "this is no host of that name")
        elif any(each.lower() not in {f"http://{name}" for name in self.server.hosts} for each in origin):
            self._refuse(403, "pages of other origins are not answered")
        elif self.command == "POST" and self.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            self._refuse(403, "pages of other sites are not answered")
        else:
            return True
        return False

    def _asked_for(self, *names):
        """Whether the path is the secret one and one of these names; else it is refused."""
        start, _, name = self.path.rpartition("/")
        told = start.encode("utf-8", "replace")
        if secrets.compare_digest(told, f"/{self.server.token}".encode()) and name in names:
            return True
        self._refuse(404, "there is nothing here: the address that treeflows explore printed is needed whole")
        return False

    def _refuse(self, code, why):
        self.close_connection = True  # what follows may be the rest of a question that was not read
        self._send(code, json.dumps({"error": why}).encode(), "application/json")

    def _send(self, code, body, kind):
        self.send_response(code)
        headers = {"Content-Type": kind, "Content-Length": str(len(body))} | HEADERS
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code, message=None, explain=None):
        """Refuse what is no request of HTTP."""
        self._refuse(code, message or "no")

    def log_message(self, format, *args):
        """Keep quiet."""


def serve(explorer, port=0, *, open_browser=True):
    """Serve a page on this machine until it is interrupted.

    Parameters
    ----------
    explorer : Explorer
    port : int, default=0
        0 for any that is free.
    open_browser : bool, default=True
        Whether to open the page.

    Raises
    ------
    OSError
        If the port is in use.
    """
    print("the model draws rows for the page …", file=sys.stderr, flush=True)
    try:
        server = Server(explorer, port)
    except OSError as error:
        raise OSError(f"cannot listen at port {port} of {HERE}: {error.strerror}") from None
    with server:
        print(f"{server.address}\nCtrl-C ends it", flush=True)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nended", file=sys.stderr)
