"""The console in a real browser: from an empty folder and a CSV to the list of customers at risk.

Every page in both languages, wide and narrow, without a complaint of the browser, a request to another host,
or a violation that axe finds.
"""

import csv
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from test_serving_main import free_port, status, wait_until

from serving.console.pages import NAVIGATION

pytestmark = [pytest.mark.slow, pytest.mark.browser]

WIDTHS = (1280, 390)
LOCALES = {"en": "en-GB", "ko": "ko-KR"}
SETUP_SECONDS = 600
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over an empty folder."""
    var, port = tmp_path_factory.mktemp("var"), free_port()
    command = [sys.executable, "-m", "serving", "--port", str(port), "--var", str(var)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            base = f"http://127.0.0.1:{port}"
            wait_until(lambda: status(f"{base}/healthz") == 200)
            yield base
        finally:
            server.terminate()


def write_orders(path: Path) -> None:
    """Write 250 customers' orders of twenty months as a German shop would: semicolons, commas, day first."""
    chance = random.Random(4)
    prices = [round(chance.uniform(3, 60), 2) for _ in range(30)]
    today = date(2026, 11, 1)
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, delimiter=";")
        rows.writerow(["Kundennummer", "Bestellnummer", "Datum", "Artikel", "Menge", "Betrag"])
        for customer in range(250):
            usual_days = chance.choice([10, 20, 40, 80])
            day = date(2025, 3, 1) + timedelta(days=chance.randrange(120))
            end = today if chance.random() < 0.6 else day + timedelta(days=chance.randrange(60, 500))
            while day < min(end, today):
                for product in chance.sample(range(30), chance.randint(1, 3)):
                    money = f"{prices[product]:.2f}".replace(".", ",")
                    rows.writerow([customer, f"{customer}-{day}", f"{day:%d.%m.%Y}", f"P{product}", 1, money])
                day += timedelta(days=max(1, round(chance.expovariate(1 / usual_days))))


def watched(page: Page, base: str) -> list[str]:
    """Collect what a page complains of, and every request to another host."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    # What is given up because the page moves on is no failure.
    page.on(
        "requestfailed",
        lambda request: (
            None if request.failure == "net::ERR_ABORTED" else complaints.append(f"failed: {request.url}")
        ),
    )
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((base, "data:")) else complaints.append(f"away: {request.url}")
        ),
    )
    return complaints


def violations(page: Page) -> list[tuple[str, Any]]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found]


@pytest.fixture(scope="module")
def scored(address: str, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The set-up as a person does it, from a file to scores."""
    orders = tmp_path_factory.mktemp("files") / "bestellungen.csv"
    write_orders(orders)
    page = browser.new_page(locale="en-GB")
    complaints = watched(page, address)
    page.goto(f"{address}/setup")
    assert violations(page) == []
    page.set_input_files("input[type=file]", orders)
    page.click("text=Upload")
    page.wait_for_selector("text=Check what each column is")
    assert violations(page) == []
    chosen = [each.input_value() for each in page.locator("thead select").all()]
    assert chosen == ["customer_id", "order_id", "ordered_at", "product_id", "quantity", "amount"]
    assert page.locator("[name=date_format]").input_value() == "%d.%m.%Y"
    assert page.locator("[name=decimal_mark]").input_value() == ""  # as the column of money is written
    page.fill("[name=currency]", "EUR")
    page.click("text=Load, train and score")
    page.wait_for_selector("text=Done: every customer has scores", timeout=SETUP_SECONDS * 1_000)
    assert violations(page) == []
    assert "orders of 250 customers" in (page.text_content("pre") or "")
    assert complaints == []
    words = {"title": "Worth keeping", "slug": "worth-keeping", "text": "predicted_clv > 50"}
    assert page.request.post(f"{address}/segments", form=words).ok
    page.close()
    return address


def test_from_a_csv_to_the_list_at_risk_and_its_csv(scored: str, browser: Browser) -> None:
    page = browser.new_page(locale="en-GB")
    complaints = watched(page, scored)
    page.goto(scored)
    page.click("text=See who")
    heading = page.text_content("h1") or ""
    count = int(re.findall(r"(\d+) customer", heading)[0])
    assert count > 0
    with page.expect_download() as download:
        page.click("text=Download CSV")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("customer_id,risk_band,")
    assert len(lines) == count + 1
    page.locator("tbody th a").first.click()
    assert page.text_content("h1") == lines[1].split(",")[0]
    assert complaints == []
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", LOCALES)
def test_every_page_is_sound_in_every_language_and_width(
    scored: str, browser: Browser, language: str, width: int
) -> None:
    page = browser.new_page(locale=LOCALES[language], viewport={"width": width, "height": 900})
    complaints = watched(page, scored)
    page.goto(f"{scored}/lists/at-risk")
    customer = page.locator("tbody th a").first.get_attribute("href")
    assert customer
    calculator = "/value?clv=100&cac=20&conversion_rate=0.1"
    acting = (
        "/lists/at-risk/plan?offer_cost=2",
        "/lists/at-risk?sort=predicted_clv",
        "/moves?by=stages",
        "/segments?q=predicted_clv+%3E+50",
        "/segments?q=predicted+1",
        "/segments/high-value",
        "/segments?q=lapsed&unsaved=taken&title=Lost&slug=high-value",
        "/lists/at-risk?where=predicted_clv+%3E+1e12",
    )
    paths = [*(path for path, _ in NAVIGATION), customer, "/customers", "/setup", calculator, *acting]
    for path in paths:
        answer = page.goto(f"{scored}{path}")
        assert answer is not None
        assert answer.ok, path
        assert page.get_attribute("html", "lang") == language
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert complaints == []
    page.close()


def test_a_condition_completes_and_counts_while_it_is_typed(scored: str, browser: Browser) -> None:
    page = browser.new_page(locale="en-GB")
    complaints = watched(page, scored)
    page.goto(f"{scored}/segments")
    page.click("textarea")
    page.keyboard.type("churn_probability_90 > 0.1 and histor")
    buttons = page.locator("#suggestions button")
    buttons.nth(1).wait_for()
    for key, focused in (("ArrowDown", 0), ("ArrowDown", 1), ("ArrowUp", 0)):
        page.keyboard.press(key)
        assert buttons.nth(focused).evaluate("each => each === document.activeElement")
    page.keyboard.press("Escape")
    assert not page.locator("#suggestions").is_visible()
    page.keyboard.type("i")
    page.click("#suggestions button >> text=historic_clv")
    page.keyboard.type(" > 10")
    page.wait_for_selector("#count:has-text('of 250 customers')")
    page.click("text=Count and show")
    assert page.locator("tbody th.id").count() > 0
    page.fill("[name=title]", "Likely to leave")
    page.fill("[name=slug]", "likely-to-leave")
    page.click("#save button")
    assert page.text_content("h1") == "Likely to leave"
    assert violations(page) == []
    assert complaints == []
    page.close()


def test_the_slider_tells_what_fewer_would_bring(scored: str, browser: Browser) -> None:
    page = browser.new_page(locale="en-GB")
    page.goto(f"{scored}/lists/at-risk/plan?offer_cost=1&margin_share=0.5")
    page.focus("#how-many")
    page.keyboard.press("Home")
    assert (page.text_content("output") or "").startswith("Contacted: 0 · Expected profit: €0")
    page.keyboard.press("ArrowRight")
    assert not (page.text_content("output") or "").startswith("Contacted: 0 ")
    page.close()


def test_dark_colours_are_as_readable(scored: str, browser: Browser) -> None:
    page = browser.new_page(color_scheme="dark", locale="en-GB")
    for path in ("/", "/lists/at-risk", "/rfm", "/value?clv=x"):
        page.goto(f"{scored}{path}")
        assert violations(page) == [], path
    page.close()


def test_the_keyboard_leads_to_everything(scored: str, browser: Browser) -> None:
    page = browser.new_page(locale="en-GB")
    page.goto(f"{scored}/lists/at-risk")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id"))
    assert {"Overview", "Scorecard", "find", "Download CSV", "For Excel"} <= reached
    page.close()
