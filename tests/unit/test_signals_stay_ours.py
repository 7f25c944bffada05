"""Whoever imports this package as a library keeps their signal handlers: only the command ``kayan worker`` sets any."""

from __future__ import annotations

import subprocess
import sys

IMPORT_ALL = """
import importlib, pkgutil, signal
import kayan_workers

before = {number: signal.getsignal(number) for number in signal.valid_signals()}
for module in pkgutil.walk_packages(kayan_workers.__path__, "kayan_workers."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print([number.name for number, handler in before.items() if signal.getsignal(number) is not handler])
"""


def test_importing_every_module_sets_no_signal_handler() -> None:
    imported = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False)

    assert (imported.returncode, imported.stdout.strip()) == (0, "[]"), imported.stderr
