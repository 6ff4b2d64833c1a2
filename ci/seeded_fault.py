#!/usr/bin/env python3
"""The service with one rule switched off: a proxy that drops the Idempotency-Key before the service sees
it, so that a key of any form is taken. Prints its address; serves until it is killed.

  ci/seeded_fault.py http://127.0.0.1:PORT
"""

import http.client
import http.server
import sys
from urllib.parse import urlsplit

SERVICE = urlsplit(sys.argv[1])


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        left_out = ("content-length", "idempotency-key")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
        service = http.client.HTTPConnection(SERVICE.hostname, SERVICE.port)
        service.request(self.command, self.path, body, headers)
        answer = service.getresponse()
        content = answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def __getattr__(self, name):
        # Every method, those that HTTP has not heard of too.
        if name.startswith("do_"):
            return self.pass_on
        raise AttributeError(name)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
