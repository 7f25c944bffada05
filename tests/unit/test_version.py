"""One version, of the packages, the chart and the images, however they are built."""

from __future__ import annotations

from typing import Any

import yaml
from boxes import VERSION
from servers import PROJECT


def read(name: str) -> Any:
    return yaml.safe_load((PROJECT / name).read_text())


def test_the_chart_has_the_packages_version() -> None:
    chart = read("charts/Chart.yaml")

    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


def test_every_image_that_skaffold_builds_is_told_it() -> None:
    arguments = [artifact["docker"].get("buildArgs", {}) for artifact in read("skaffold.yaml")["build"]["artifacts"]]

    assert [each.get("VERSION") for each in arguments] == [VERSION] * len(arguments)


def test_every_image_that_compose_builds_is_told_it() -> None:
    built = [service for service in read("images/compose.yaml")["services"].values() if "build" in service]

    assert [service["build"]["args"] for service in built] == [{"VERSION": VERSION}] * len(built)
    assert {service["image"].rpartition(":")[2] for service in built} == {VERSION}
