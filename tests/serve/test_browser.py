"""The pages in a real browser, beside a campaign that runs."""

import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from ssefw.store import connect
from tests.conftest import CAMPAIGN, REPOSITORY, call_ssefw, start_ssefw
from tests.job_states import MESSAGE, fail

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("chromium") is None or shutil.which("chromedriver") is None,
        reason="needs chromium and chromium-driver (apt install chromium chromium-driver)",
    ),
]

SCRIPT = "<script>alert(1)</script>"
WIDTHS = (1280, 390)
"""Of a desktop and of a phone."""

LONG = 240
"""Seconds for which a busy machine is waited for."""


@pytest.fixture
def folder(tmp_path):
    """A store of two candidates, of which one has a failed job."""
    named = CAMPAIGN.replace("name: copper\n", f'name: "{SCRIPT}"\n')
    (tmp_path / "c.yaml").write_text(named)
    assert call_ssefw("submit", "c.yaml", "--store", "st", folder=tmp_path) == 0
    with connect(tmp_path / "st") as connection:
        fail(connection, tmp_path)
    return tmp_path


def started(folder, *options):
    """Start a server; return its process and the address that it has printed."""
    command = [sys.executable, "-m", "ssefw", "serve", "--store", "st", "--port", "0", *options]
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(REPOSITORY)}
    )
    return server, server.stdout.readline().strip()


def ended(server, how):
    server.send_signal(how)
    code = server.wait(LONG)
    server.stdout.close()
    return code


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "got")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )
    driver.set_page_load_timeout(LONG)
    yield driver
    driver.quit()


def until(browser, there):
    return WebDriverWait(browser, LONG).until(lambda _: there())


def text_of(browser):
    return browser.find_element(By.TAG_NAME, "body").text


@contextmanager
def other_site(target):
    """A server of a page that sends a form to a target as soon as it is opened."""
    fields = "".join(f'<input name="{name}" value="x">' for name in ("word", "candidate"))
    form = (
        f'<form method="post" action="{target}"><input name="verb" value="cancel">{fields}</form>'
    )
    text = f"<title>nice</title>{form}<script>document.forms[0].submit()</script>".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def fits(browser, address, width):
    """Whether a page is no wider than a screen."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(address)
    return browser.execute_script("return document.documentElement.scrollWidth") <= width


def press(browser, label):
    """Press a button, and confirm in the dialog that opens."""
    browser.find_element(By.XPATH, f"//main//button[normalize-space()={label!r}]").click()
    path = f"//dialog//button[normalize-space()={label!r}]"
    until(browser, lambda: browser.find_elements(By.XPATH, path))[0].click()


def work_on_a_failure(browser, page):
    """Read why a job failed, run it again, pause the campaign and resume it."""
    browser.find_element(By.CSS_SELECTOR, ".attention li a").click()
    until(browser, lambda: MESSAGE in text_of(browser))
    assert "second" in browser.find_element(By.ID, "log").text
    press(browser, "Run again")
    until(browser, lambda: "1 job is ready to run again" in text_of(browser))
    browser.get(page)
    press(browser, "Pause")
    until(browser, lambda: "The whole campaign is paused" in text_of(browser))
    press(browser, "Resume")
    until(browser, lambda: "It goes on" in text_of(browser))


def attack(browser, page, folder):
    """See that another server and a name that is a script do nothing."""
    # A page of another server sends a form, with the cookie of this browser.
    with other_site(f"{page}/change") as evil:
        browser.get(evil)
        until(browser, lambda: "Changes are made from the pages only" in text_of(browser))
    with connect(folder / "st", read_only=True) as connection:
        assert not list(connection.database["holds"].find({}))
    # An alert would make the driver fail.
    browser.get(f"{page}?q=alert")
    browser.find_element(By.CSS_SELECTOR, "table.candidates td a").click()
    until(browser, lambda: SCRIPT in text_of(browser))


def download(browser, folder):
    """Find outcomes, and return the lines of their CSV."""
    browser.find_element(By.LINK_TEXT, "Results").click()
    Select(browser.find_element(By.NAME, "status")).select_by_visible_text("bound")
    browser.find_element(By.XPATH, "//button[.='Find']").click()
    browser.find_element(By.ID, "csv").click()
    file = until(browser, lambda: next(iter((folder / "got").glob("*.csv")), None))
    return Path(file).read_text().splitlines()


def test_a_group_works_with_the_pages(browser, folder):
    server, address = started(folder)
    try:
        base = old = address.partition("/?")[0]
        browser.get(f"{base}/?token=wrong")
        assert "That is not the token" in text_of(browser)
        browser.get(address)
        until(browser, lambda: "1 failed: engine" in text_of(browser))
        assert "token" not in browser.current_url
        page = browser.current_url
        work_on_a_failure(browser, page)
        attack(browser, page, folder)

        # An outcome appears on a page that is not loaded again.
        browser.get(page)
        browser.execute_script("window.isTheSame = true")
        worker = start_ssefw("work", "--store", "st", folder=folder)
        until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "tbody .chip.bound"))
        assert browser.execute_script("return window.isTheSame")
        worker.communicate(timeout=LONG)

        # The server is killed, and nothing is lost.
        ended(server, signal.SIGKILL)
        server, address = started(folder)
        base = address.partition("/?")[0]
        browser.get(address)
        until(browser, lambda: "2 of 2 candidates concluded" in text_of(browser))
        browser.find_element(By.CSS_SELECTOR, "table.candidates td a").click()
        candidate = browser.current_url
        until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#msd svg path"))
        until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#growth svg .end"))
        until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#elements span"))
        assert len(download(browser, folder)) == 3
        for shown in (page.replace(old, base), candidate, f"{base}/results", f"{base}/site"):
            for width in WIDTHS:
                assert fits(browser, shown, width), (shown, width)
        # But for the connection that broke with the server, no script failed, nor the policy.
        said = [line for line in browser.get_log("browser") if line["source"] != "network"]
        assert [line for line in said if line["level"] == "SEVERE"] == []
        assert ended(server, signal.SIGTERM) in {0, -signal.SIGTERM}
    finally:
        if server.poll() is None:
            ended(server, signal.SIGKILL)
