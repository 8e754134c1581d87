"""The console's set-up: what is uploaded, what it seems to be, what may go wrong, what is left behind."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from test_serving_api import open_client

from features.layout import Layout
from features.mapping import load_mapping
from serving.console.setup_desk import mapping_text
from serving.setup_run import Runner, SetupStatus, read_status

ORDERS = "Kunde,Datum,Betrag\n1,2026-01-02,9.90\n2,2026-01-03,5\n"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with open_client(tmp_path) as opened:
        yield opened


def upload(client: TestClient, text: str = ORDERS, name: str = "orders.csv", **headers: str) -> str:
    answer = client.post("/setup/upload", files={"file": (name, text.encode())}, headers=headers)
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", answer.text)


def test_an_uploaded_file_is_shown_with_what_its_columns_may_be(client: TestClient, tmp_path: Path) -> None:
    page = upload(client)
    assert "orders.csv: 2 rows. Check what each column is." in page
    assert re.findall(r'<option value="(\w+)" selected>', page)[:3] == ["customer_id", "ordered_at", "amount"]
    assert "<bdi>9.90</bdi>" in page
    stored = tmp_path / "setup/orders.csv"
    assert (stored.stat().st_mode & 0o777, stored.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_names_in_the_file_are_text_on_the_page(client: TestClient) -> None:
    page = upload(client, "<script>alert(1)</script>,b\n<img src=x>,2\n")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("orders.pdf", ORDERS, "This kind of file cannot be read."),
        ("orders.csv", "", "The file is empty."),
        ("orders.xlsx", "no workbook", "The file cannot be read as a table:"),
        ("../../x.csv.exe", ORDERS, "This kind of file cannot be read."),
    ],
)
def test_a_file_that_is_none_is_refused_and_not_kept(
    client: TestClient, tmp_path: Path, name: str, text: str, words: str
) -> None:
    assert words in upload(client, text, name)
    assert not (tmp_path / "setup").exists()
    assert "Traceback" not in upload(client, text, name)


def test_no_file_and_no_columns_are_told(client: TestClient) -> None:
    assert "Choose a file first." in client.post("/setup/upload").text
    assert "Choose a file first." in client.post("/setup/start").text
    upload(client)
    assert "Say at least which columns" in client.post("/setup/start", data={"column-0": "customer_id"}).text
    assert "File of orders" in client.post("/setup/clear").text


# In the future, so that the work ends soon, and only because of that.
GERMAN = "Käufer;am;bezahlt\nJürgen;31.12.2997;51,79\nAnna;1.2.2998;8,00\n".encode("cp1252")
THREE = {"column-0": "customer_id", "column-1": "ordered_at", "column-2": "amount"}


def ended(folder: Path) -> SetupStatus:
    end = time.monotonic() + 120
    while (status := read_status(folder)) is None or status.state == "running":
        assert time.monotonic() < end
        time.sleep(0.1)
    return status


def test_a_german_excel_file_is_read_as_the_chosen_columns_are_written(
    client: TestClient, tmp_path: Path
) -> None:
    shown = client.post("/setup/upload", files={"file": ("orders.csv", GERMAN)}).text
    assert "Western European (cp1252)" in shown
    assert "<bdi>Jürgen</bdi>" in shown
    client.post("/setup/start", data=THREE | {"decimal_mark": "", "date_format": ""})
    mapping = load_mapping(tmp_path / "setup/mapping.toml")
    assert (mapping.encoding, mapping.decimal_mark, mapping.date_format) == ("cp1252", ",", ("%d.%m.%Y",))
    status = ended(tmp_path / "setup")
    assert "2: dated later than tomorrow" in status.error
    assert "cannot be read" not in status.error
    assert client.get("/setup").text.count(" selected>") == 3


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"column-0": "amount"}, "Say at least which columns"),
        (
            {"column-3": "amount"},
            "Two columns are set to the same meaning; leave one of them out: <bdi>amount",
        ),
        ({"time_zone": "Berlin"}, "There is no such time zone."),
        ({"time_zone": "../etc"}, "There is no such time zone."),
        ({"currency": "Eur"}, "A currency is three capital letters"),
    ],
)
def test_a_wrong_choice_is_told_in_the_form_which_keeps_the_others(
    client: TestClient, tmp_path: Path, choice: dict[str, str], words: str
) -> None:
    upload(client, "a,b,c,d\n1,2026-01-02,9.90,3\n")
    typed = THREE | {"mode": "replace", "time_zone": "Asia/Seoul", "currency": "KRW", "decimal_mark": "."}
    page = client.post("/setup/start", data=typed | choice).text
    assert words in re.sub(r"\s+", " ", page)
    selected = re.findall(r'<option value="([^"]+)" selected>', page)
    assert selected[1:3] == ["ordered_at", "amount"]
    assert selected[-2:] == [".", "replace"]
    for name in ("time_zone", "currency"):
        assert f'value="{(typed | choice)[name]}"' in page
    assert client.get("/setup").text.count(" selected>") == len(selected)
    assert not (tmp_path / "setup/mapping.toml").exists()


def test_a_header_alone_is_no_file_of_orders(client: TestClient, tmp_path: Path) -> None:
    assert "The file has a header and no rows." in upload(client, "Kunde,Datum,Betrag\n")
    assert not (tmp_path / "setup").exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://example.com"},
        {"origin": "null"},
    ],
)
def test_another_sites_form_does_nothing(client: TestClient, tmp_path: Path, headers: dict[str, str]) -> None:
    for path in ("/setup/upload", "/setup/start", "/setup/clear"):
        answer = client.post(path, files={"file": ("orders.csv", b"a,b\n1,2\n")}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:regulars:problem:cross-site")
    assert not (tmp_path / "setup").exists()


def test_a_file_whose_dates_cannot_be_read_ends_the_work_with_the_reason(
    client: TestClient, tmp_path: Path
) -> None:
    upload(client, "Kunde,Datum,Betrag\n1,some day,9.90\n")
    columns = {"column-0": "customer_id", "column-1": "ordered_at", "column-2": "amount"}
    client.post("/setup/start", data=columns)
    assert load_mapping(tmp_path / "setup/mapping.toml").columns == {
        "Kunde": "customer_id",
        "Datum": "ordered_at",
        "Betrag": "amount",
    }
    status = ended(tmp_path / "setup")
    assert status.state == "failed"
    page = client.get("/setup").text
    assert "It ended early:" in page
    assert "1 cells of column 'Datum' (100%) cannot be read" in status.error
    assert "Traceback" not in status.error
    assert "Check what each column is" in page
    assert not (tmp_path / "history").exists()


def test_a_worker_that_died_has_failed(tmp_path: Path) -> None:
    gone = SetupStatus(state="running", pid=2**22 - 1, step=1)
    (tmp_path / "status.json").write_text(gone.model_dump_json())
    found = read_status(tmp_path)
    assert found is not None
    assert (found.state, found.error) == ("failed", "it was stopped; begin again")


@pytest.mark.slow
def test_the_uploaded_file_is_gone_once_its_orders_are_in_the_history(tmp_path: Path) -> None:
    folder = tmp_path / "setup"
    folder.mkdir()
    (folder / "orders.csv").write_text("customer_id,ordered_at,amount\n1,2026-01-02,9.90\n")
    (folder / "mapping.toml").write_text(mapping_text({"columns": {}}))
    done = Runner(Layout(tmp_path), format_name=None, mode="upsert").run()
    status = json.loads((folder / "status.json").read_text())
    assert (done, status["state"], status["step"], status["error"]) == (True, "done", 4, "")
    assert "1 orders of 1 customers" in status["report"]
    assert not (folder / "orders.csv").exists()
    assert (tmp_path / "history/manifest.json").exists()


def test_a_mapping_is_written_as_it_is_read(tmp_path: Path) -> None:
    columns = {'a "b"': "customer_id", "c\\d": "ordered_at", "돈\x7f\t": "amount"}
    path = tmp_path / "mapping.toml"
    path.write_text(mapping_text({"currency": "KRW", "time_zone": "", "columns": columns}), encoding="utf-8")
    mapping = load_mapping(path)
    assert (mapping.columns, mapping.currency, mapping.time_zone) == (columns, "KRW", None)
