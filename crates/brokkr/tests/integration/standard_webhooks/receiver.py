"""A receiver of webhooks that does as the file `mode` says, and verifies with the library standardwebhooks of PyPI.

Its arguments are a port and a directory. Each request becomes a line of the file `told`.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

PORT, DIRECTORY = int(sys.argv[1]), Path(sys.argv[2])
HANG_SECONDS = 120
LOCK = threading.Lock()


def lines(name):
    path = DIRECTORY / name
    return path.read_text().split() if path.exists() else []


def verifies(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        secrets = lines("secrets")
        mode = (lines("mode") or ["200"])[0]
        told = {
            "path": self.path,
            "id": headers.get("webhook-id"),
            "verified": [verifies(secret, body, headers) for secret in secrets],
            "forged": any(verifies(secret, body + " ", headers) for secret in secrets),
            "mode": mode,
            "body": json.loads(body),
        }
        with LOCK, open(DIRECTORY / "told", "a") as file:
            file.write(json.dumps(told) + "\n")
        if mode == "hang":
            time.sleep(HANG_SECONDS)
            return
        self.send_response(int(mode))
        if mode == "307":
            self.send_header("location", f"http://127.0.0.1:{PORT}/inside")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()
