"""A Secret as the kubelet mounts it: links to files in a folder that is exchanged as a whole."""

from __future__ import annotations

import itertools
from pathlib import Path

_numbers = itertools.count()


def mount(folder: Path, **values: str) -> Path:
    """Make ``folder`` with a file for each value."""
    folder.mkdir()
    swap(folder, **values)
    return folder


def swap(folder: Path, **values: str) -> None:
    """Exchange what the Secret says, in the kubelet's order: a new folder, ``..data`` moved over to it, the links, the old folder."""
    data = folder / "..data"
    old = data.resolve() if data.is_symlink() else None
    new = folder / f"..2026_{next(_numbers)}"
    new.mkdir()
    for name, value in values.items():
        (new / name).write_text(value)
    link = folder / "..data_tmp"
    link.symlink_to(new.name)
    link.replace(data)
    for name in values:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for path in folder.iterdir():
        if not path.name.startswith("..") and path.name not in values:
            path.unlink()
    if old is not None:
        for path in old.iterdir():
            path.unlink()
        old.rmdir()
