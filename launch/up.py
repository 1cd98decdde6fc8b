"""bin/up: the whole service on one machine, in the foreground, until INT or TERM."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from launch import engines, ports, programs
from launch.guardian import guarded_by
from launch.instance import SHOWN, Instance, default_folder, write_private
from launch.say import LaunchError, Parser, Stopped, say, tail
from launch.supervise import Supervisor
from launch.venv import Venv, clean_environment

READY_PATIENCE = 120.0
STOP_ORDER = ("simulator", "beat", "dispatcher", "worker", "web", "standins", "valkey", "postgres")
DESCRIPTION = "Start the service with its engines on this machine and keep it running until INT or TERM."


def main(arguments: Sequence[str]) -> int:
    """Exit code 0: stopped in order, or told of a running instance; 2: could not start, one sentence why."""
    options = _parser().parse_args(arguments)
    instance = Instance(Path(options.data).absolute() if options.data else default_folder())
    if options.stop:
        say("Stopped." if instance.stop() else f"Nothing runs in {instance.folder}.")
        return 0
    if options.print_env:
        known = instance.environment()
        for name in SHOWN:
            say(f"{name}={known.get(name, '')}")
        return 0
    return _up(instance, options.port, demo=not options.no_demo)


def _parser() -> Parser:
    parser = Parser(prog="bin/up", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--port", type=ports.port, default=8000, help="port of the pages and the API (default 8000)")
    parser.add_argument("--no-demo", action="store_true", help="no demo data, no log-ins, no traffic")
    parser.add_argument("--data", metavar="DIR", help="data folder (default $LIVE_DATA or .run in the checkout)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--stop", action="store_true", help="stop the running instance and wait until it has ended")
    what.add_argument("--print-env", action="store_true", help="print addresses and secrets of the running instance")
    return parser


def _up(instance: Instance, port: int, demo: bool) -> int:
    instance.create()
    running = instance.acquire()
    if running:
        say(f"It is already running at {running.url}")
        return 0
    ports.require_free(port)
    venv = Venv()
    engines.install(venv, clean_environment())
    supervisor = Supervisor(instance.folder)
    sockets = instance.sockets()
    remove = "" if sockets == instance.folder else str(sockets)
    with suppress(Stopped), guarded_by(supervisor, instance, STOP_ORDER, remove):
        _start(instance, supervisor, venv, sockets, port, demo)
        while True:
            supervisor.wait(3600.0)
    say("Stopped.")
    return 0


def _start(instance: Instance, supervisor: Supervisor, venv: Venv, sockets: Path, port: int, demo: bool) -> None:
    """Engines, schema, processes, readiness, log-ins. Raises LaunchError and Stopped."""
    given = clean_environment()
    own = engines.prepare(instance.folder, sockets, venv, given)
    values = programs.environment(instance, own, given, port, demo)
    write_private(instance.folder / "env.json", values)
    make = programs.Maker(venv.python, given | values, instance.folder)
    if values["STANDINS_URL"]:
        supervisor.start(make.standins(values["STANDINS_URL"]))
    engines.start(own, supervisor)
    supervisor.run(*make.setup_steps())
    make.note_setup()
    for program in make.services(port):
        supervisor.start(program)
    logins = _set_up_demo(instance, supervisor, make) if demo else []
    supervisor.wait_until(lambda: ports.answers(port, "/readyz"), READY_PATIENCE, "web", every=0.25)
    if demo:
        supervisor.start(make.simulator())
    instance.announce(values["BASE_URL"])
    say(f"\nLive board: {values['BASE_URL']}")
    for login in logins:
        say(f"  {login['role']:<12}{login['email']:<32}{login['password']}")
    if values["STANDINS_URL"]:
        say("Pushes: a stand-in takes them, no phone rings. NOTIFICATION_SERVICE_URL names the real service.")
    if not demo:
        say(f"First log-in, as a link: {_invite(instance)}")
    say(f"Logs: {instance.folder / 'logs'}    Stop: Ctrl-C or bin/up --stop")


def _invite(instance: Instance) -> str:
    """The command that invites the first person."""
    where = "" if instance.folder == default_folder() else f"LIVE_DATA={shlex.quote(str(instance.folder))} "
    return f"{where}bin/manage user invite --specialist --sso-id ID --email MAIL"


def _set_up_demo(instance: Instance, supervisor: Supervisor, make: programs.Maker) -> list[dict[str, str]]:
    """Make the demo data and give its log-ins; the command keeps them, so every start tells the same."""
    supervisor.run(make.demo_setup())
    try:
        logins: list[dict[str, str]] = json.loads(tail(supervisor.log_of("demo-setup"), 1))["logins"]
    except (ValueError, KeyError, TypeError) as error:
        raise LaunchError(
            f"demo-setup did not end with its log-ins; its log is {supervisor.log_of('demo-setup')}."
        ) from error
    return logins
