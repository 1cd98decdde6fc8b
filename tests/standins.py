"""The stand-in for notification-service as a real process, driven over HTTP like a stranger."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CLIENT_ID = "test-client"
CLIENT_SECRET = "test-client-secret"
RECEIPT_SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


class Standins:
    """One running stand-in. `log()` gives what came since the test began."""

    def __init__(self, data: Path, receipts_url: str | None = None) -> None:
        command = [sys.executable, "-m", "demo.standins", "--port", "0", "--data", str(data)]
        environ = os.environ | {
            "NOTIFICATION_SERVICE_CLIENT_ID": CLIENT_ID,
            "NOTIFICATION_SERVICE_CLIENT_SECRET": CLIENT_SECRET,
            "NOTIFICATION_SERVICE_RECEIPT_SECRET": RECEIPT_SECRET,
            "BASE_URL": "",
        }
        command += ["--receipts-url", receipts_url] if receipts_url else []
        self.process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        assert "ready on" in ready, f"the stand-ins did not start: {ready!r}"
        self.url = ready.split()[-1]
        self.seen = 0

    def stop(self) -> None:
        """End it and wait until it is gone."""
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def reset(self) -> None:
        """Behave again, and forget what came so far."""
        self.behave("ok")
        self.seen = max((row["n"] for row in self._log(self.seen)), default=self.seen)

    def behave(self, mode: str, **details: Any) -> None:
        """As `PUT /_behaviour` has it: status, retry_after, delay_ms, for_requests."""
        self._put("/_behaviour", {"mode": mode, **details})

    def tokens(self, tokens: dict[str, int]) -> None:
        """How many phones each sso_id has from now on."""
        self._put("/_tokens", tokens)

    def receipt(self, sso_id: str, state: str) -> None:
        """Post a receipt for this person's newest notification."""
        self._put("/_receipts", {"sso_id": sso_id, "state": state})

    def log(self) -> list[dict[str, Any]]:
        """Every request below /v1 since the test began, oldest first."""
        return self._log(self.seen)

    def _log(self, since: int) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/_log?since={since}", timeout=10) as answer:
            return json.load(answer)["requests"]

    def _put(self, path: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            self.url + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status < 300, answer.read()
