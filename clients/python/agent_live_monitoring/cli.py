"""`python -m agent_live_monitoring run`: a step of an operator's checklist writes a run.

    python -m agent_live_monitoring run --agent "Refund runbook" --step "Pay out" -- ./pay-out.sh
    python -m agent_live_monitoring run --agent "Refund runbook" --step "The amount is right" --ask

Where to send is in LIVE_MONITORING_URL and LIVE_MONITORING_KEY; LIVE_MONITORING_SPOOL is a folder in which reports
outlive this process. Whether the service answers never changes how a command or a question ends.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from agent_live_monitoring.client import Client
from agent_live_monitoring.problems import Problem
from agent_live_monitoring.runs import RunInHand

RESOLUTIONS = ("resolved", "escalated", "failed")
EXIT_CODES = {"resolved": 0, "failed": 1, "escalated": 3}
ANSWERS = {"d": "resolved", "f": "failed", "e": "escalated"}
NOT_STARTED = 127


def main(arguments: Sequence[str]) -> int:
    """Log the run of a command, of an operator's answer, or of what was done elsewhere.

    Gives the command's own exit code; of an answer 0 done, 1 failed, 3 escalated; else 0 if it was delivered, or 1.
    """
    options = _parser().parse_args(arguments)
    client = _client()
    if options.resolution:
        return _log_one(client, options)
    run = client.run(**_fields(options)) if client else RunInHand(lambda *said: None, {})
    try:
        with run:
            return _command(run, options) if options.command else _ask(run, options.step)
    except KeyboardInterrupt:
        return 130
    finally:
        if client:
            client.close(options.timeout)


def _log_one(client: Client | None, options: argparse.Namespace) -> int:
    if client is None:
        return 1
    fields = _fields(options)
    now = datetime.now(timezone.utc)
    started_at = options.started_at or (None if options.run_id else now)  # of one that is known it is known
    client.log_agent_run(**fields, started_at=started_at, ended_at=now, resolution=options.resolution)
    return 0 if client.close(options.timeout).delivered else 1


def _command(run: RunInHand, options: argparse.Namespace) -> int:
    """Run it on this terminal, without a shell; of one that a signal ended 128 and the signal, as shells have it."""
    command: Sequence[str] = options.command
    try:
        code = subprocess.run(command, check=False).returncode  # noqa: S603 - theirs to choose
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        code = NOT_STARTED
    code = 128 - code if code < 0 else code
    if code:
        run.fail()
    run.fields["metadata"] = {**_metadata(options), "exit_code": code}
    return code


def _ask(run: RunInHand, step: str | None) -> int:
    """Ask the operator; where nobody answers it failed."""
    print(f"{step or 'This step'}: (d)one, (f)ailed or (e)scalated? ", end="", file=sys.stderr, flush=True)  # noqa: T201
    while line := _line():
        if (resolution := ANSWERS.get(line.strip().lower()[:1])) is not None:
            run.fields["resolution"] = resolution
            return EXIT_CODES[resolution]
        print("d, f or e? ", end="", file=sys.stderr, flush=True)  # noqa: T201
    run.fail()
    return EXIT_CODES["failed"]


def _line() -> str:
    """One line of what is typed, empty at its end; what comes after it is left to the next step, another process."""
    line = b""
    while not line.endswith(b"\n") and (letter := os.read(sys.stdin.fileno(), 1)):
        line += letter
    return line.decode(errors="replace")


def _fields(options: argparse.Namespace) -> dict[str, Any]:
    named = (
        "run_id",
        "agent_name",
        "input_kind",
        "org_id",
        "room_id",
        "agent_version",
        "sla_target_seconds",
        "surface",
    )
    return {"metadata": _metadata(options) or None, **{name: getattr(options, name) for name in named}}


def _metadata(options: argparse.Namespace) -> dict[str, str]:
    return {**dict(options.meta), **({"step": options.step} if options.step else {})}


def _client() -> Client | None:
    """The client, or None with a line that says what is missing: a runbook goes on without it."""
    url, key = os.environ.get("LIVE_MONITORING_URL", ""), os.environ.get("LIVE_MONITORING_KEY", "")
    try:
        return Client(url, key, on_error=_tell, spool=os.environ.get("LIVE_MONITORING_SPOOL") or None, exit_timeout=0.0)
    except ValueError as error:
        print(f"live monitoring: not logged: {error}", file=sys.stderr)  # noqa: T201
        return None


def _tell(problem: Problem) -> None:
    what = "not logged" if problem.lost else "trying again"
    print(f"live monitoring: {what}: {problem.code}: {problem.message}", file=sys.stderr)  # noqa: T201


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agent_live_monitoring", description="Log what was done.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="log a run", description=__doc__.splitlines()[0] if __doc__ else None)
    run.add_argument("--agent", dest="agent_name", metavar="NAME", required=True, help="whose run it is")
    run.add_argument("--step", metavar="TEXT", help="what is done; kept in its metadata")
    run.add_argument("--input-kind", default="assist", metavar="KIND", help="assist, ticket, order, ... (assist)")
    run.add_argument("--surface", default="runbook", choices=("chatbot", "chatwoot", "shopify_admin", "runbook"))
    run.add_argument("--run-id", metavar="UUID", help="made if it is not given")
    run.add_argument("--org", dest="org_id", metavar="ID", help="needed with the key of a platform source")
    run.add_argument("--room", dest="room_id", metavar="ID")
    run.add_argument("--agent-version", metavar="V")
    run.add_argument("--sla", dest="sla_target_seconds", type=int, metavar="SECONDS")
    run.add_argument("--meta", action="append", default=[], type=_pair, metavar="NAME=VALUE", help="repeatable")
    run.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS", help="to wait for the service at the end")
    run.add_argument("--started-at", metavar="TIME", help="with --resolution: when it began, RFC 3339")
    how = run.add_mutually_exclusive_group(required=True)
    how.add_argument("--ask", action="store_true", help="ask the operator whether it is done")
    how.add_argument("--resolution", choices=RESOLUTIONS, help="it ended so elsewhere")
    how.add_argument("command", nargs="*", default=[], metavar="COMMAND", help="after --: what is run")
    return parser
