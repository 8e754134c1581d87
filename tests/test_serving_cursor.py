"""Cursors: opaque, signed, private."""

import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.web.cursor import Cursor, CursorSigner, load_secret
from serving.web.problems import ProblemError

SIGNER = CursorSigner(b"k" * 32)
PLACE = Cursor("at-risk", "s_0001", 41, 12.5)


def test_a_cursor_comes_back() -> None:
    assert SIGNER.read(SIGNER.write(PLACE), audience="at-risk") == PLACE


def test_a_cursor_is_of_one_list_and_one_installation() -> None:
    text = SIGNER.write(PLACE)
    with pytest.raises(ProblemError):
        SIGNER.read(text, audience="win-back")
    with pytest.raises(ProblemError):
        CursorSigner(b"x" * 32).read(text, audience="at-risk")


@given(st.integers(0, 200), st.characters(min_codepoint=33, max_codepoint=126))
def test_an_altered_cursor_is_refused(position: int, character: str) -> None:
    text = SIGNER.write(PLACE)
    at = position % len(text)
    altered = text[:at] + character + text[at + 1 :]
    if altered == text:
        return
    # The last character of a base64 signature holds spare bits, and both alphabets are read: another
    # character may mean the same bytes.
    same = at == len(text) - 1 or {text[at], character} in ({"_", "/"}, {"-", "+"})
    with suppress(ProblemError) if same else pytest.raises(ProblemError):
        assert SIGNER.read(altered, audience="at-risk") == PLACE


@given(st.text(max_size=80))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ProblemError):
        SIGNER.read(text, audience="at-risk")


def test_the_secret_is_private_and_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: load_secret(folder), range(16)))
    assert len(secrets) == 1
    assert len(secrets.pop()) == 32
    assert stat.S_IMODE((folder / "cursor.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["cursor.key"]
