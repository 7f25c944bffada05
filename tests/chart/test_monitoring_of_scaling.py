"""What the chart gives to Prometheus and Grafana about scaling, run by Prometheus's own program on made-up series."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, NamedTuple

import pytest
import yaml
from chart.fleet import LONG, fleet, series
from chart.prometheus import STEP, Series, Settings, alerts, promtool, rendered, rules, trial
from chart.rendered import CHART
from kayan_operator.metrics import Metrics
from servers import PROJECT

LEADER, STANDBY = "kayan-workers-operator-6f9c7d8b5-x0q4z", "kayan-workers-operator-6f9c7d8b5-x1q4z"
SCALER = "kayan-workers-email"
ENABLED: Settings = {"operator.enabled": True}
DASHBOARD: dict[str, Any] = json.loads((CHART / "files/scaling.json").read_text())
EXPORTED = set(re.findall("^# TYPE (kayan_\\w+) ", asyncio.run(Metrics().page()).decode(), re.MULTILINE))
"""What the operator exports, by name."""


def operator(pod: str = LEADER, *, leads: str = f"1x{LONG}") -> Series:
    """What one pod of a healthy operator says, as far as rules ask."""
    return {
        series("kayan_operator_is_leader", pod): leads,
        series("kayan_operator_last_look_timestamp_seconds", pod): f"0+{STEP}x{LONG}",
        series("kayan_operator_redis_up", pod, server="default"): f"1x{LONG}",
        series("kayan_jobs_interrupted_by_scaling_total", pod, scaler=SCALER): f"0x{LONG}",
        series("kayan_scaler_condition", pod, scaler=SCALER, type="ScalingLimited", status="False", reason="WithinLimits"): f"1x{LONG}",
    }


def limited(pod: str, reason: str) -> str:
    return series("kayan_scaler_condition", pod, scaler=SCALER, type="ScalingLimited", status="True", reason=reason)


def pair() -> Series:
    """A leader, and one that stands by: what that one knew when it led is old."""
    old = {
        series("kayan_operator_last_look_timestamp_seconds", STANDBY): f"0x{LONG}",
        series("kayan_operator_redis_up", STANDBY, server="default"): f"0x{LONG}",
        limited(STANDBY, "Budget"): f"1x{LONG}",
    }
    return fleet() | operator() | operator(STANDBY, leads=f"0x{LONG}") | old


class Case(NamedTuple):
    """How an alert comes about, when it has not fired yet and when it has, and what it then says."""

    alert: str
    changes: Series
    quiet: str
    fires: str
    labels: dict[str, str]
    summary: str
    description: str


KUBECTL = "kubectl --namespace live"
PICK = "--selector app.kubernetes.io/instance=kayan-workers,app.kubernetes.io/component=operator"
CASES = [
    Case(
        "KayanNobodyScales", {series("kayan_operator_is_leader", LEADER): f"1x20 0x{LONG}"}, "12m", "13m", {"severity": "critical"},
        "Nobody scales the workers",
        "No pod of the operator leads: none runs, none gets hold of the Lease, or none is scraped. Workers stay as many as they are. "
        f"What became of them: {KUBECTL} get pods,lease {PICK}",
    ),
    Case(
        "KayanScalingStale", {series("kayan_operator_last_look_timestamp_seconds", LEADER): f"0+{STEP}x20 600x{LONG}"}, "13m", "15m",
        {"severity": "critical"},
        "The operator has stopped looking",
        "The operator that leads last looked at the queues 5m 0s ago. Workers stay as many as they are. "
        f"What it says: {KUBECTL} logs {PICK} --prefix --tail 50",
    ),
    Case(
        "KayanOperatorRedisAway", {series("kayan_operator_redis_up", LEADER, server="default"): f"1x20 0x{LONG}"}, "12m", "13m",
        {"severity": "critical", "server": "default"},
        "The operator gets no answer from Redis",
        "The Redis server default does not answer the operator, and whoever works on its queues keeps its number of pods. "
        f"Why: {KUBECTL} get queuescalers --output wide",
    ),
    Case(
        "KayanScalingInterruptsJobs", {series("kayan_jobs_interrupted_by_scaling_total", LEADER, scaler=SCALER): f"0x30 2x{LONG}"},
        "15m", "18m", {"severity": "warning", "scaler": SCALER},
        f"Scaling in has ended jobs of {SCALER}",
        f"About 2 jobs of {SCALER} lost their pod to a smaller number of pods within an hour, and were begun again by others. "
        f"Who changed the number: {KUBECTL} describe queuescaler {SCALER}",
    ),
    Case(
        "KayanScalingLimited", {limited(LEADER, "MaxReplicas"): f"_x20 1x{LONG}"},
        "39m", "42m", {"severity": "warning", "scaler": SCALER, "reason": "MaxReplicas"},
        f"There are fewer pods of {SCALER} than its jobs deserve",
        f"For half an hour MaxReplicas has kept {SCALER} from having as many pods as its jobs deserve. "
        f"How many that would be: {KUBECTL} describe queuescaler {SCALER}",
    ),
]  # fmt: skip


def own_alerts(settings: Settings = ENABLED) -> dict[str, dict[str, Any]]:
    return {name: alert for name, alert in alerts(rules(settings)).items() if name not in alerts(rules())}


def never_fires(given: Series, *, namespace: str = "live") -> str:
    at = "148m"
    fired = {"expr": f'group by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{at}]))', "eval_time": at, "exp_samples": []}
    return trial(rules(ENABLED, namespace=namespace), given, promql_expr_test=[fired])


def test_there_are_alerts_of_scaling_only_where_the_operator_is() -> None:
    assert sorted(own_alerts()) == sorted(case.alert for case in CASES)
    assert own_alerts({"operator.enabled": "external"}) == {}
    assert "KayanNoWorkers" not in alerts(rules({"operator.enabled": "external"}))


def test_promtool_has_nothing_against_the_rules(tmp_path: Any) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rules({**ENABLED, "monitoring.prometheusRule.runbookUrl": "https://runbooks.example.com/#"})))
    result = promtool("check", "rules", "--lint=all", "--lint-fatal", str(file))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("case", CASES, ids=[case.alert for case in CASES])
def test_an_alert_fires_when_it_should_and_says_what_to_do(case: Case) -> None:
    said = {"summary": case.summary, "description": case.description}
    expected = {"exp_labels": {"namespace": "live", **case.labels}, "exp_annotations": said}
    when = [{"alertname": case.alert, "eval_time": case.quiet, "exp_alerts": []},
            {"alertname": case.alert, "eval_time": case.fires, "exp_alerts": [expected]}]  # fmt: skip
    assert trial(rules(ENABLED), pair() | case.changes, alert_rule_test=when) == ""


def test_an_operator_that_is_not_there_at_all_is_an_alarm() -> None:
    expected = {"exp_labels": {"namespace": "live", "severity": "critical"}, "exp_annotations": {
        "summary": CASES[0].summary, "description": CASES[0].description}}  # fmt: skip
    assert trial(rules(ENABLED), fleet(), alert_rule_test=[
        {"alertname": "KayanNobodyScales", "eval_time": "3m", "exp_alerts": [expected]}]) == ""  # fmt: skip


def test_a_healthy_pair_fires_nothing_whatever_the_one_that_stands_by_remembers() -> None:
    assert never_fires(pair()) == ""


def test_another_leader_fires_nothing() -> None:
    """Within two minutes, as with a Lease that runs out."""
    taken_over = {
        series("kayan_operator_is_leader", LEADER): "1x50 stale", series("kayan_operator_is_leader", STANDBY): f"0x53 1x{LONG}",
        series("kayan_operator_last_look_timestamp_seconds", STANDBY): f"0x53 1620+{STEP}x{LONG}",
        series("kayan_operator_redis_up", STANDBY, server="default"): f"1x{LONG}",
        limited(STANDBY, "Budget"): "1x50 stale",
    }  # fmt: skip
    assert never_fires(pair() | taken_over) == ""


@pytest.mark.parametrize("case", CASES, ids=[case.alert for case in CASES])
def test_other_releases_of_the_same_prometheus_hear_nothing_of_it(case: Case) -> None:
    mine = {name.replace('namespace="live"', 'namespace="staging"'): values for name, values in pair().items()}
    assert never_fires(mine | pair() | case.changes, namespace="staging") == ""


def test_every_alert_says_how_bad_it_is_waits_before_it_fires_and_has_its_runbook() -> None:
    found = own_alerts({**ENABLED, "monitoring.prometheusRule.runbookUrl": "https://runbooks.example.com/#"})
    for name, alert in found.items():
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert re.fullmatch(r"[1-9]\d*[mh]", alert["for"])
        assert alert["annotations"]["runbook_url"] == f"https://runbooks.example.com/#{name}"


def test_the_readme_lists_the_same_alerts() -> None:
    def plain(expression: str) -> str:
        expression = re.sub(r'namespace="live", pod=~"[^"]*"(, )?', "", expression).replace("{}", "")
        words = " ".join(expression.replace("(namespace, ", "(").replace(" by (namespace) ", "").split())
        return words.replace("( ", "(").replace(" )", ")")

    rows = re.findall(r"^\| `(Kayan\w+)` \| `(.*?)` for (\w+) \|", (PROJECT / "charts/README.md").read_text(), flags=re.MULTILINE)
    assert rows == [(name, plain(alert["expr"]), alert["for"]) for name, alert in own_alerts().items()]


def names(expression: str) -> set[str]:
    return {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"\bkayan_\w+", expression)}


def test_alerts_ask_only_for_what_the_operator_exports() -> None:
    for name, alert in own_alerts().items():
        assert names(alert["expr"]) <= EXPORTED, name


# -- the dashboard ---------------------------------------------------------------------------------------------------------------


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def test_the_dashboard_reaches_grafana_beside_the_workers_where_there_is_an_operator() -> None:
    for enabled, there in ((True, True), (False, False)):
        settings = {"monitoring.dashboard.enabled": True, "operator.enabled": enabled}
        [found] = [found for found in rendered("ConfigMap", settings) if found["metadata"]["name"] == "kayan-workers-dashboard"]
        assert ("kayan-scaling.json" in found["data"]) is there
    assert DASHBOARD["uid"] != json.loads((CHART / "files/dashboard.json").read_text())["uid"]


def test_every_panel_says_what_it_shows_in_which_unit_and_has_its_own_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_asks_for_what_there_is_in_the_namespace_that_is_chosen(tmp_path: Any) -> None:
    asked = [target for panel in panels() for target in panel["targets"]]
    for target in asked:
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["expr"].count('namespace="$namespace"') == len(re.findall(r"\bkayan_\w+", target["expr"]))
        assert names(target["expr"]) <= EXPORTED
    alerting = {name for alert in own_alerts().values() for name in names(alert["expr"])}
    assert {name for target in asked for name in names(target["expr"])} | alerting == EXPORTED, "nothing is exported for nobody"
    assert set(re.findall(r"Kayan[A-Z]\w+", " ".join(panel["description"] for panel in panels()))) <= set(own_alerts())
    expressions = [target["expr"].replace("$__rate_interval", "5m") for target in asked]
    file = tmp_path / "rules.yaml"
    records = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    result = promtool("check", "rules", "--lint=none", str(file))
    assert result.returncode == 0, result.stdout + result.stderr
