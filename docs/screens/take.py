"""Take the pictures of docs/screens: a database of its own, the evening of scene.py, the real web process, chromium.

    eval "$(bin/up --print-env | sed 's/^/export /')"; export SECRET_KEY=any-long-text
    python docs/screens/take.py

Needs the packages of requirements-dev.txt and chromium (CHROMIUM, else /usr/bin/chromium).
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DATABASE = "live_screens"
PASSWORD = re.search(r'PASSWORD = "(.+?)"', (HERE / "scene.py").read_text())[1]  # type: ignore[index]
WIDE, PHONE = {"width": 1440, "height": 1340}, {"width": 360, "height": 780}
# name, who, path ("alert": the alert to show), size, theme, language
PICTURES = [
    ("board-light", "rina", "/", WIDE, "light", "en"),
    ("board-dark", "rina", "/", WIDE, "dark", "en"),
    ("board-id", "rina", "/", WIDE, "light", "id"),
    ("board-phone-light", "rina", "/", PHONE, "light", "en"),
    ("board-phone-dark", "rina", "/", PHONE, "dark", "id"),
    ("alert-light", "rina", "alert", WIDE, "light", "en"),
    ("alert-dark", "rina", "alert", WIDE, "dark", "en"),
    ("alert-phone-light", "rina", "alert", PHONE, "light", "en"),
    ("alert-phone-dark", "rina", "alert", PHONE, "dark", "id"),
    ("login-light", "", "/accounts/login/", {"width": 1440, "height": 900}, "light", "en"),
    ("login-dark", "", "/accounts/login/", {"width": 1440, "height": 900}, "dark", "id"),
    ("login-phone", "", "/accounts/login/", PHONE, "light", "en"),
    ("reach-light", "rina", "/reach", {"width": 1440, "height": 900}, "light", "en"),
    ("reach-phone-dark", "rina", "/reach", PHONE, "dark", "en"),
    ("success-light", "rina", "/success", {"width": 1440, "height": 1100}, "light", "en"),
    ("success-phone-dark", "rina", "/success", PHONE, "dark", "id"),
    ("setup-light", "rina", "/setup/melati", {"width": 1440, "height": 900}, "light", "en"),
]


@contextmanager
def pictures_database() -> Iterator[str]:
    """A new, empty database beside the one of DATABASE_URL; gone afterwards."""
    given = os.environ["DATABASE_URL"]
    url = urlunsplit(urlsplit(given)._replace(path=f"/{DATABASE}"))
    with psycopg.connect(given, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {DATABASE}")
        try:
            yield url
        finally:
            server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def run_of_demo(env: dict[str, str], *arguments: str) -> str:
    """One command of the service; what it printed."""
    done = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, *arguments], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout


@contextmanager
def serving(env: dict[str, str]) -> Iterator[str]:
    """The web process at its BASE_URL, by which it knows its own pages' sockets; its address."""
    command = [sys.executable, "manage.py", "serve", "--port", str(urlsplit(env["BASE_URL"]).port)]
    web = subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert web.stdout is not None
    try:
        found = re.search(r"http://\S+", web.stdout.readline())
        assert found, "the web process did not start"
        yield found[0]
    finally:
        web.terminate()
        web.wait(20)


def sign_in(page: Page, who: str) -> None:
    page.goto("/accounts/login/?next=/preferences")
    page.fill("[name=login]", f"{who}@example.com")
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/preferences")


def switch_language(page: Page, language: str) -> None:
    page.goto("/accounts/login/")
    if page.url.endswith("/accounts/login/"):
        page.click(f"button[value={language}]")
        page.wait_for_selector(f"html[lang={language}]")
        return
    page.goto("/preferences")
    page.select_option("[name=locale]", language)
    page.click("main button[type=submit]")
    page.wait_for_selector(f"html[lang={language}]")


def take_pictures(browser: Browser, url: str, alert: str) -> None:
    """Every picture of PICTURES."""
    for name, who, path, size, theme, language in PICTURES:
        context = browser.new_context(
            base_url=url,
            viewport=size,  # type: ignore[arg-type]
            color_scheme=theme,  # type: ignore[arg-type]
            reduced_motion="reduce",
            device_scale_factor=1,
        )
        page = context.new_page()
        if who:
            sign_in(page, who)
        switch_language(page, language)
        page.goto(f"/alerts/{alert}" if path == "alert" else path)
        if path in ("/", "alert"):
            page.wait_for_selector("#link[data-state=live]")
        page.evaluate("document.fonts.ready")
        if size is PHONE and path == "alert":  # the whole page, with the bar of acts at its end
            page.set_viewport_size({**PHONE, "height": page.evaluate("document.documentElement.scrollHeight")})
        page.screenshot(path=HERE / f"{name}.png")
        context.close()
        sys.stdout.write(f"{name}.png\n")


def retake_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as data, pictures_database() as url:
        env = os.environ | {
            "DATABASE_URL": url,
            "DATA_DIR": data,
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "STATIC_COMPRESS": "0",
            "LOG_LEVEL": "ERROR",
            "BASE_URL": f"http://127.0.0.1:{port}",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}",
        }
        for command in (["migrate"], ["createcachetable"], ["collectstatic", "--noinput"]):
            run_of_demo(env, "manage.py", *command)
        play = "import django; django.setup(); import scene; print(scene.play_evening()['alert'].pk)"
        alert = run_of_demo(env, "-c", play).split()[-1]
        with serving(env) as address, sync_playwright() as playwright:
            chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            )
            take_pictures(browser, address, alert)
            browser.close()


if __name__ == "__main__":
    retake_all()
