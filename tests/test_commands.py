"""The set-up commands: what they print, and one sentence with exit code 2 for whatever is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import ManagementUtility, get_commands

from orgs import auth
from orgs.models import Agent, ApiKey, Assignment, Org, Source, User
from tests.factories import OrgFactory, SourceFactory, UserFactory

ROOT = Path(__file__).resolve().parent.parent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "_open_connections")]


@pytest.fixture
def _open_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command closes its connections at the end; a test still needs its own."""
    monkeypatch.setattr("django.db.connections.close_all", lambda: None)


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str]) -> Any:
    """`manage("org", "create", ...)` -> (exit code, stdout, stderr), as from the shell."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            ManagementUtility(["manage.py", *arguments]).execute()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out.strip(), err.strip()

    return run


def refused(answer: tuple[int, str, str]) -> str:
    """The one sentence of a refusal."""
    code, _, err = answer
    assert code == 2
    assert len(err.splitlines()) == 1
    return err


# --- org ---


def test_org_create(manage: Any) -> None:
    code, out, err = manage("org", "create", "--external-id", "melati", "--name", "Toko Melati")
    assert (code, err) == (0, "")
    assert out == ("Org melati (Toko Melati) made: Asia/Jakarta, id, https://chat.qontak.com/inbox/{room_id}")
    org = Org.objects.get()
    assert (org.external_id, org.name, org.zone, org.locale) == ("melati", "Toko Melati", "Asia/Jakarta", "id")


def test_org_create_with_everything(manage: Any) -> None:
    options = ["--zone", "Europe/Berlin", "--locale", "en", "--room-url", "https://chat.example/{account_id}/{room_id}"]
    assert manage("org", "create", "--external-id", "m", "--name", "M", *options)[0] == 0
    org = Org.objects.get()
    assert (org.zone, org.locale) == ("Europe/Berlin", "en")
    assert org.room_url_template == "https://chat.example/{account_id}/{room_id}"


def test_org_create_again(manage: Any) -> None:
    OrgFactory(external_id="melati", name="Before")
    again = manage("org", "create", "--external-id", "melati", "--name", "After")
    assert refused(again) == "org: There is an org 'melati' already."
    assert Org.objects.get().name == "Before"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--zone", "Mars/Phobos"], "org: --zone: Mars/Phobos is not a time zone such as Asia/Jakarta."),
        (["--zone", "Factory"], "org: --zone: Factory is not a time zone such as Asia/Jakarta."),
        (["--external-id", " "], "org: --external-id: This field cannot be blank."),
        (["--external-id", "mel\u200bati"], "org: --external-id: It holds a character that cannot be seen (U+200B)."),
        (["--room-url", "javascript:{room_id}"], "org: --room-url: A room link starts with https://."),
        (["--room-url", "http://chat.example/{room_id}"], "org: --room-url: A room link starts with https://."),
        (["--room-url", "https://x/{who}"], "org: --room-url: Only {room_id}, {org_id} and {account_id} can be used."),
        (["--name", ""], "org: --name: This field cannot be blank."),
        (["--name", "x" * 201], "org: --name: Ensure this value has at most 200 characters (it has 201)."),
        (["--locale", "fr"], "invalid choice: 'fr'"),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_org_create_refuses(manage: Any, options: list[str], said: str) -> None:
    assert said in refused(manage("org", "create", "--external-id", "m", "--name", "M", *options))
    assert not Org.objects.exists()


@pytest.mark.parametrize("arguments", [["org"], ["org", "create"], ["org", "delete"], ["apikey", "create"]])
def test_what_is_missing_is_said_in_one_sentence(manage: Any, arguments: list[str]) -> None:
    assert "(see --help)" in refused(manage(*arguments))


def test_org_create_in_another_spelling(manage: Any) -> None:
    code, _, err = manage("org", "create", "--external-id", " melati\u00a0", "--name", "M", "--locale", "id-ID")
    assert (code, err) == (0, "")
    assert [(org.external_id, org.locale) for org in Org.objects.all()] == [("melati", "id")]
    assert "already" in refused(manage("org", "create", "--external-id", "melati ", "--name", "M"))


def test_near_twins_are_named_and_made(manage: Any) -> None:
    OrgFactory(external_id="melati")
    UserFactory(sso_id="rina")
    code, _, err = manage("org", "create", "--external-id", "Melati", "--name", "M")
    assert (code, err) == (0, "Note: 'Melati' is nearly the same as 'melati', which is there already.")
    code, out, err = manage("user", "invite", "--sso-id", "Rina", "--email", "r@example.com")
    assert (code, err) == (0, "Note: 'Rina' is nearly the same as 'rina', which is there already.")
    assert len(out.splitlines()) == 1
    assert manage("user", "invite", "--sso-id", "Rina ", "--email", "r@example.com")[2] == ""


def test_people_and_sources_are_found_in_any_spelling(manage: Any) -> None:
    org = OrgFactory(external_id="melati")
    SourceFactory(org=org, name="Chat bot")
    assert manage("apikey", "create", "--source", "Chat\u00a0bot ", "--org", " melati", "--scopes", "read")[0] == 0
    User.objects.create_user(None, sso_id="rina")
    assert manage("user", "invite", "--sso-id", " rina", "--email", "rina@example.com")[0] == 0
    hidden = manage("user", "invite", "--sso-id", "ri\u200bna", "--email", "x@example.com")
    assert refused(hidden) == "user: --sso-id: It holds a character that cannot be seen (U+200B)."
    hidden = manage("webhook", "create", "--kind", "qontak", "--org", "melati", "--organization-id", "q\ufeff1")
    assert "--organization-id: It holds a character that cannot be seen (U+FEFF)." in refused(hidden)


# --- assignments ---


@pytest.fixture
def csv_file(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "people.csv"
        path.write_text(text, "utf-8")
        return str(path)

    return write


def test_assignments_import(manage: Any, csv_file: Any) -> None:
    OrgFactory(external_id="melati")
    file = csv_file("org,role,tier,sso_id,external_user_id,name,locale\nmelati,Leads,1,rina,7,Rina,id\n")

    code, out, _ = manage("assignments", "import", file, "--dry-run")
    assert (code, out.splitlines()[-1]) == (0, "1 added, 0 changed, 0 unchanged, 0 refused. (dry run)")
    assert not Assignment.objects.exists()

    code, out, _ = manage("assignments", "import", file)
    assert (code, out.splitlines()[-1]) == (0, "1 added, 0 changed, 0 unchanged, 0 refused.")
    assert Assignment.objects.get().user.sso_id == "rina"

    assert manage("assignments", "import", file)[1] == "0 added, 0 changed, 1 unchanged, 0 refused."


def test_assignments_import_refuses_a_line(manage: Any, csv_file: Any) -> None:
    answer = manage("assignments", "import", csv_file("org,role,tier,sso_id\nnowhere,Leads,1,rina\n"))
    assert refused(answer) == "assignments: Nothing was written: correct the refused lines first."
    assert "line 2: refused: There is no org nowhere." in answer[1]
    assert "(column org)" in answer[1]


def test_assignments_import_without_a_file(manage: Any, tmp_path: Path) -> None:
    said = refused(manage("assignments", "import", str(tmp_path / "none.csv")))
    assert said.endswith("none.csv cannot be read: No such file or directory.")


# --- user ---


def test_user_invite_prints_a_link_that_works_once(manage: Any, client: Any) -> None:
    code, out, err = manage("user", "invite", "--sso-id", "rina", "--email", "Rina@Example.com")
    assert (code, err) == (0, "")
    person = User.objects.get()
    assert (person.sso_id, person.email, person.is_specialist) == ("rina", "rina@example.com", False)
    address = "/" + out.split("/", 3)[3]
    assert client.get(address).status_code == 200
    chosen = {"password": "a-long-enough-Passw0rd", "again": "a-long-enough-Passw0rd"}
    assert client.post(address, chosen).status_code == 302
    assert client.get(address).status_code == 410


def test_user_invite_makes_a_specialist(manage: Any) -> None:
    manage("user", "invite", "--sso-id", "dewi", "--email", "dewi@example.com", "--specialist")
    assert User.objects.get().is_specialist


def test_user_invite_takes_somebody_known_by_the_sso_id(manage: Any) -> None:
    person = UserFactory(sso_id="rina", email=None, name="Rina")
    person.set_unusable_password()
    person.save()
    assert manage("user", "invite", "--sso-id", "rina", "--email", "rina@example.com")[0] == 0
    assert User.objects.get().name == "Rina"


def test_user_invite_again_gives_a_new_link(manage: Any, client: Any) -> None:
    arguments = ("user", "invite", "--sso-id", "rina", "--email", "rina@example.com")
    older, newer = manage(*arguments)[1], manage(*arguments)[1]
    assert [client.get("/" + link.split("/", 3)[3]).status_code for link in (older, newer)] == [410, 200]


def test_user_invite_refuses(manage: Any) -> None:
    has_password = UserFactory(sso_id="bayu", email="bayu@example.com")
    has_password.set_password("a-long-enough-Passw0rd")
    has_password.save()
    invite = ("user", "invite", "--sso-id")
    assert "has a password already" in refused(manage(*invite, "bayu", "--email", "bayu@example.com"))
    assert "is known as bayu@example.com" in refused(manage(*invite, "bayu", "--email", "b@example.com"))
    assert "belongs to 'bayu' already" in refused(manage(*invite, "rina", "--email", "BAYU@example.com"))
    assert "valid email address" in refused(manage(*invite, "rina", "--email", "rina"))
    assert User.objects.count() == 1


# --- source, apikey ---


def test_source_create(manage: Any) -> None:
    OrgFactory(external_id="melati")
    assert manage("source", "create", "--name", "bot", "--org", "melati")[:2] == (0, "Source bot of org melati made.")
    assert manage("source", "create", "--name", "bot", "--platform")[:2] == (0, "Source bot of the platform made.")
    assert sorted(str(source.org) for source in Source.objects.all()) == ["None", "Toko melati"]


def test_source_create_with_origins(manage: Any) -> None:
    pages = ["--origin", "https://admin.shop.example", "--origin", "http://localhost:3000"]
    assert manage("source", "create", "--name", "shop", "--platform", *pages, *pages)[0] == 0
    assert Source.objects.get().allowed_origins == ["https://admin.shop.example", "http://localhost:3000"]


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("*", "* is no origin such as https://shop.example"),
        ("https://Shop.example/", "https://Shop.example/ is not written as browsers write it: https://shop.example."),
    ],
)
def test_source_create_refuses_what_is_no_origin(manage: Any, origin: str, said: str) -> None:
    sentence = refused(manage("source", "create", "--name", "shop", "--platform", "--origin", origin))
    assert sentence.startswith(f"source: --origin: {said}")
    assert not Source.objects.exists()


def test_source_create_refuses(manage: Any) -> None:
    OrgFactory(external_id="melati")
    manage("source", "create", "--name", "bot", "--org", "melati")
    create = ("source", "create", "--name", "bot")
    assert refused(manage(*create, "--org", "melati")) == ("source: There is a source 'bot' of org melati already.")
    assert refused(manage(*create, "--org", "nowhere")) == "source: There is no org 'nowhere'."
    assert "one of the arguments --org --platform is required" in refused(manage(*create))
    assert "not allowed with" in refused(manage(*create, "--platform", "--org", "melati"))


def test_apikey_create_prints_the_key_alone(manage: Any) -> None:
    source = SourceFactory(name="bot")
    options = ("--scopes", "ingest,read", "--expires", "30", "--rate", "0")
    code, out, err = manage("apikey", "create", "--source", "bot", *options)
    assert (code, err) == (0, "")
    key = auth.find_key(out)
    assert (key.source, key.scopes, key.rate_per_minute) == (source, ["ingest", "read"], 0)
    assert key.expiry_date is not None
    assert round((key.expiry_date - key.created).total_seconds() / 86400) == 30


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scopes", "ingest,root"], "apikey: --scopes: 'root' is not ingest, read or act."),
        (["--scopes", ","], "apikey: --scopes: say ingest, read or act."),
        (["--scopes", "read", "--expires", "0"], "'0' is not a whole number from 1 to 3650"),
        (["--scopes", "read", "--rate", "many"], "'many' is not a whole number"),
        (["--scopes", "read", "--org", "nowhere"], "apikey: There is no org 'nowhere'."),
    ],
)
def test_apikey_create_refuses(manage: Any, options: list[str], said: str) -> None:
    SourceFactory(name="bot")
    assert said in refused(manage("apikey", "create", "--source", "bot", *options))
    assert not ApiKey.objects.exists()


def test_apikey_create_refuses_an_unknown_source_and_a_third_key(manage: Any) -> None:
    SourceFactory(name="bot")
    create = ("apikey", "create", "--scopes", "read", "--source")
    assert refused(manage(*create, "cat")) == "apikey: --source: there is no source 'cat'."
    manage(*create, "bot")
    manage(*create, "bot")
    assert refused(manage(*create, "bot")) == "apikey: Source 'bot' has two live keys: revoke one of them first."


def test_apikey_create_asks_which_of_two_sources(manage: Any) -> None:
    source = SourceFactory(name="bot")
    SourceFactory(name="bot", org=None)
    create = ("apikey", "create", "--scopes", "read", "--source", "bot")
    assert "several sources are called 'bot'" in refused(manage(*create))
    assert auth.find_key(manage(*create, "--org", source.org.external_id)[1]).source == source
    assert auth.find_key(manage(*create, "--platform")[1]).source.org is None


def test_a_sender_changes_over_to_a_new_key(manage: Any) -> None:
    source = SourceFactory(name="bot")
    SourceFactory(name="cat")
    of_bot = ("--source", "bot")
    old = manage("apikey", "create", *of_bot, "--scopes", "ingest")[1]
    new = manage("apikey", "create", *of_bot, "--scopes", "ingest,act", "--expires", "30")[1]
    code, listed, _ = manage("apikey", "list", *of_bot)
    rows = [line.split("\t") for line in listed.splitlines()]
    assert code == 0
    assert [row[:2] for row in rows] == [[old.split(".")[0], "ingest"], [new.split(".")[0], "ingest,act"]]
    assert rows[0][3] == "ends never" and rows[1][3].startswith("ends 20")
    assert not any(secret.split(".")[1] in listed for secret in (old, new))
    code, said, _ = manage("apikey", "revoke", "--key", old)  # the whole key, as it stands in the sender's settings
    assert code == 0 and old not in said and said.startswith(f"Key {old.split('.')[0]} of source bot is revoked")
    with pytest.raises(auth.InvalidKey):
        auth.find_key(old)
    assert auth.find_key(new).source == source
    assert len(manage("apikey", "list", *of_bot)[1].splitlines()) == 1
    assert manage("apikey", "list", "--source", "cat")[:2] == (0, "")
    assert manage("apikey", "create", *of_bot, "--scopes", "ingest")[0] == 0


@pytest.mark.parametrize("prefix", ["nobodys1", "", ".", "\u200b", "a" * 300])
def test_apikey_revoke_refuses_what_is_no_live_key(manage: Any, prefix: str) -> None:
    live = manage("apikey", "create", "--source", SourceFactory(name="bot").name, "--scopes", "read")[1]
    said = refused(manage("apikey", "revoke", "--key", prefix))
    assert said == "apikey: --key: there is no live key of this prefix."
    assert auth.find_key(live)


@pytest.mark.parametrize(
    "arguments",
    [
        ["org", "create", "--external-id", "caf\udce9", "--name", "x"],
        ["user", "invite", "--sso-id", "u", "--email", "\udce9@x.example"],
        ["erase", "--person", "rina\udce9"],
        ["purge", "--org", "\udce9"],
        ["apikey", "revoke", "--key", "\udce9"],
        ["wall", "list", "--org", "\udce9"],
    ],
)
def test_what_is_not_utf_8_is_refused_by_every_command(manage: Any, arguments: list[str]) -> None:
    """A terminal in another encoding sends such bytes for an accent."""
    assert refused(manage(*arguments)) == f"{arguments[0]}: an argument is not UTF-8."


# --- the database is away, demo ---


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "arguments", [("org", "create", "--external-id", "m", "--name", "M"), ("demo_setup",)], ids=["org", "demo"]
)
def test_a_missing_database_is_one_sentence(arguments: tuple[str, ...]) -> None:
    done = shell(*arguments, DATABASE_URL="postgresql://live@/live?host=/nonexistent", DEMO="1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "The database does not answer" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_only_a_demo_and_its_own_commands_have_the_demo() -> None:
    assert not apps.is_installed("demo")
    listed = {demo: shell("help", "--commands", DEMO=demo).stdout.split() for demo in ("0", "1")}
    assert {"demo_setup", "simulate", "standins"} == set(listed["1"]) - set(listed["0"])
    refused = shell("demo_setup", DEMO="0")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "only in demo mode" in refused.stderr


@pytest.fixture
def demo_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of tests, which is no demo, as if the command line named it."""
    monkeypatch.setitem(get_commands(), "demo_setup", "demo")


@pytest.mark.usefixtures("demo_command")
def test_demo_data_needs_demo_mode(manage: Any, settings: Any) -> None:
    settings.DEMO = False
    assert "only in demo mode" in refused(manage("demo_setup"))
    assert not Org.objects.exists()


@pytest.fixture
def demo(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo_command: None) -> Path:
    settings.DEMO = True
    settings.DATA_DIR = tmp_path
    monkeypatch.setenv("STANDINS_URL", "http://127.0.0.1:9999")
    monkeypatch.setenv("DEMO_DAYS", "1")
    return tmp_path / "demo.json"


def test_demo_setup_makes_a_small_world(manage: Any, demo: Path) -> None:
    code, out, _ = manage("demo_setup")
    assert code == 0
    content = json.loads(demo.read_text("utf-8"))
    assert json.loads(out.splitlines()[-1]) == {"logins": content["logins"]}
    assert demo.stat().st_mode & 0o777 == 0o600
    assert [org["name"] for org in content["orgs"]] == ["Toko Melati", "Bank Cendana", "Kopi Selasar"]
    assert (Org.objects.count(), Agent.objects.filter(production=True).count()) == (15, 24)
    assert {org.room_url_template for org in Org.objects.all()} == {"http://127.0.0.1:9999/rooms/{room_id}"}
    assert auth.find_key(content["source_key"]).scopes == ["ingest", "read", "act"]


def test_demo_log_ins_work_and_see_the_orgs(manage: Any, demo: Path) -> None:
    manage("demo_setup")
    supervisor, specialist = json.loads(demo.read_text("utf-8"))["logins"]
    people = [User.objects.get(email=login["email"]) for login in (supervisor, specialist)]
    assert [
        person.check_password(login["password"]) for person, login in zip(people, (supervisor, specialist), strict=True)
    ] == [True, True]
    assert len(auth.visible_orgs(people[0]).pks) == 3
    assert auth.visible_orgs(people[1]) == auth.EVERY_ORG


def test_demo_setup_again_changes_nothing(manage: Any, demo: Path) -> None:
    first, kept = manage("demo_setup")[1], demo.read_bytes()
    assert manage("demo_setup")[1] == first
    assert demo.read_bytes() == kept
    assert (Org.objects.count(), ApiKey.objects.count(), Assignment.objects.count()) == (15, 1, 21)


def test_demo_setup_makes_a_new_key_when_its_file_is_lost(manage: Any, demo: Path) -> None:
    for _ in range(4):
        manage("demo_setup")
        demo.unlink()
    manage("demo_setup")
    auth.find_key(json.loads(demo.read_text("utf-8"))["source_key"])
    assert ApiKey.objects.filter(revoked=False).count() == 2
