"""The front door: ``kayan`` and ``python -m kayan_workers`` are the same."""

from __future__ import annotations


def main() -> None:
    from kayan_workers.cli.app import app
    from kayan_workers.mounted import adopt

    adopt()
    app(prog_name="kayan")


if __name__ == "__main__":
    main()
