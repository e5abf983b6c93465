"""A receiver of churnwatch's webhooks, with Python's standard library alone: it believes, and acts once.

    export WEBHOOK_SECRET=whsec_...      # as in the file that `secret:` of the destination names
    python webhook_receiver.py --port 8000

Copy `is_believed` and `is_news`. Answer 2xx once you have it. 400 or 422, three times, means that you never will; after 401,
429 or a 5xx it comes again.
"""

import argparse
import base64
import contextlib
import hashlib
import hmac
import json
import os
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LIMIT_BYTES = 1_000_000
TOLERANCE_S = 300


def is_believed(headers: Message, body: bytes, secret: str) -> bool:
    """Whether who has the secret sent this body, and lately. See standardwebhooks.com."""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    wanted = "v1," + base64.b64encode(digest).decode()
    return any(hmac.compare_digest(given, wanted) for given in headers.get("webhook-signature", "").split())


# A real one keeps this where it keeps what it does, in one transaction with it.
latest: dict[str, int] = {}


def is_news(alert: dict[str, Any]) -> bool:
    """Whether this step of the alert, or a later one, has not come before: the same one may come again."""
    if alert["sequence"] <= latest.get(alert["alert_id"], 0):
        return False
    latest[alert["alert_id"]] = alert["sequence"]
    return True


class Receiver(BaseHTTPRequestHandler):
    """Prints each step of an alert once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Believe, act, and only then say so."""
        length = int(self.headers.get("content-length", 0))
        if not 0 < length <= LIMIT_BYTES:
            self.answer(413, "empty, or too long")
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if not is_believed(self.headers, body, os.environ["WEBHOOK_SECRET"]):
            self.answer(401, "the signature is wrong, or old")
            return
        alert = json.loads(body)
        if is_news(alert):
            print(self.headers["ce-type"], alert.get("customer_id"), alert["rule"], flush=True)
        self.answer(204)

    def answer(self, status: int, text: str = "") -> None:
        """With a reason, which churnwatch writes into its log."""
        self.send_response(status)
        if text:
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing for each call."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    with ThreadingHTTPServer((options.host, options.port), Receiver) as server:
        print("listening on port", server.server_port, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
