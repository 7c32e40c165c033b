"""A web server on this machine whose answers a test chooses."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """Answers to the requests for one path.

    Attributes:
        body: The file.
        headers: Further headers; None takes one away.
        status: Of each request in turn; the last one stays. 200 sends the body.
        cut: Bytes after which the connection ends, of each request in turn; None sends all.
        ranges: Whether parts can be asked for.
        slow: Seconds before the body.
        stall: Seconds between the last byte and the end of a connection that is cut.
        text: Body of an answer that is no file.
    """

    body: bytes = b''
    headers: dict = field(default_factory=dict)
    status: list = field(default_factory=lambda: [200])
    cut: list = field(default_factory=lambda: [None])
    ranges: bool = True
    slow: float = 0
    stall: float = 0
    text: bytes = b'no'


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        path = self.path
        self.server.asked.append((path, dict(self.headers)))
        answer = self.server.answers.get(path)
        self.close_connection = True
        if answer is None:
            return self._send(404, b'not here', {})
        status = answer.status.pop(0) if len(answer.status) > 1 else answer.status[0]
        if status != 200:
            return self._send(status, answer.text, answer.headers)
        cut = answer.cut.pop(0) if len(answer.cut) > 1 else answer.cut[0]
        tag, begin = answer.headers.get('ETag'), 0
        found = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range') or '')
        if found and answer.ranges and self.headers.get('If-Range') == tag:
            begin = int(found[1])
            if begin >= len(answer.body):
                return self._send(416, b'', {})
            status = 206
        time.sleep(answer.slow)
        return self._send(status, answer.body[begin:], answer.headers, cut=cut, begin=begin)

    def _send(self, status, body, headers, cut=None, begin=0):
        whole = {'Content-Length': str(len(body)), 'Content-Type': 'application/octet-stream'}
        if status == 206:
            last = begin + len(body)
            whole['Content-Range'] = f'bytes {begin}-{last - 1}/{last}'
        whole = {**whole, **headers}
        self.send_response(status)
        for key, value in whole.items():
            if value is not None:
                self.send_header(key, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body if cut is None else body[:cut])
            if cut is not None:
                time.sleep(self.server.answers[self.path].stall)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serving(answers):
    """Yields a server: ``.url``, ``.answers`` (path -> `Answer`), ``.asked`` [(path, headers)]."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    server.answers, server.asked = dict(answers), []
    server.url = f'http://127.0.0.1:{server.server_address[1]}'
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
