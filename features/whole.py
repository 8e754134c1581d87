"""Files that are either as they were or as they should be, whatever dies when."""

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file (UTF-8) under another name and give it its own in one step; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
