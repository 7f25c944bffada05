"""What the chart gives to Prometheus and Grafana, run by Prometheus's own programs and held against what a worker exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml
from chart.fleet import LONG, QUEUES, fleet, pod_of, series, worker
from chart.prometheus import STEP, Prometheus, Series, Settings, alerts, promtool, rendered, rules, scraping, trial
from chart.rendered import CHART
from kayan import worker as worker_process
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import RedisAddress, Server
from kayan_workers.processors.table import ROLES
from servers import PROJECT
from waiting import wait_until

EMAIL = pod_of("email")
DASHBOARD: dict[str, Any] = json.loads((CHART / "files/dashboard.json").read_text())


class Case(NamedTuple):
    """How an alert comes about: what differs from a healthy fleet, when it has not fired yet and when it has, and what it then says."""

    alert: str
    changes: Series
    quiet: str
    fires: str
    labels: dict[str, str]
    summary: str
    description: str
    gone: tuple[str, ...] = ()
    """The pods of the healthy fleet that are not there."""


def everywhere(metric: str, values: str, **labels: str) -> Series:
    """The same values from every worker, as with what they all read from Redis."""
    return {series(metric, pod_of(role.name), **labels): values for role in ROLES}


def cron_job(metric: str, name: str = "kayan-workers-temp-files") -> str:
    """A series of kube-state-metrics."""
    return f'kube_cronjob_{metric}{{namespace="live", cronjob="{name}"}}'


KAYAN = "kubectl --namespace live exec deploy/kayan-workers-analytics -- kayan"
PODS = "--selector app.kubernetes.io/instance=kayan-workers"
CASES = [
    Case(
        "KayanJobsFail",
        {series("kayan_jobs_failed_total", EMAIL, queue="email", reason="permanent"): f"0x60 0+2x{LONG}"},
        "31m", "50m", {"severity": "warning", "queue": "email"},
        "Jobs of email fail",
        "About 64.5 jobs of email failed for good within 15 minutes, more than 5 % of its attempts. "
        f"Why each did: {KAYAN} jobs email --state failed",
    ),
    Case(
        "KayanCleanupFails",
        {series("kayan_jobs_failed_total", pod_of("cleanup"), queue="cleanup", reason="attempts"): f"0x60 1x{LONG}"},
        "30m", "32m", {"severity": "warning", "queue": "cleanup"},
        "A cleanup failed",
        "A job of cleanup failed for good within two hours, so something was not tidied up. "
        f"Which and why: {KAYAN} jobs cleanup --state failed",
    ),
    Case(
        "KayanJobsWait",
        everywhere("kayan_queue_oldest_waiting_seconds", f"0+30x{LONG}", queue="variant-generation"),
        "12m", "20m", {"severity": "warning", "queue": "variant-generation"},
        "Jobs of variant-generation wait too long",
        "The next job of variant-generation has been waiting for 20m 0s. Workers are too few, or too slow. "
        f"How deep the queues are: {KAYAN} queues",
    ),
    Case(
        "KayanQueueWithoutWorker",
        everywhere("kayan_queue_oldest_waiting_seconds", f"0+30x{LONG}", queue="email"),
        "10m", "11m", {"severity": "critical", "queue": "email"},
        "Nobody works on email",
        "The next job of email has been waiting for 11m 0s, and no worker takes jobs of that queue. "
        f"What became of the workers: kubectl --namespace live get deployments,pods {PODS}",
        gone=(EMAIL,),
    ),
    Case(
        "KayanNoWorkers", {}, "4m", "6m", {"severity": "critical"},
        "No worker is seen",
        "Not one worker of kayan-workers answers Prometheus: none runs, or none is scraped. "
        f"Whether they run: kubectl --namespace live get deployments,pods {PODS}",
        gone=tuple(pod_of(role.name) for role in ROLES),
    ),
    Case(
        "KayanWorkersDie",
        {series("kayan_jobs_stalled_total", EMAIL, queue="email", outcome="repeated"): f"0x60 4x{LONG}",
         series("kayan_job_locks_lost_total", EMAIL, queue="email"): f"0x62 2x{LONG}"},
        "30m", "34m", {"severity": "warning", "queue": "email"},
        "Workers of email die at their jobs",
        "About 6 jobs of email lost their worker within 15 minutes: it was killed, ran out of memory or was cut off from Redis. "
        f"How their containers ended: kubectl --namespace live describe pods {PODS} | grep -e ^Name: -e Reason: -e 'Exit Code:'",
    ),
    Case(
        "KayanWorkerRestarts",
        {series("process_start_time_seconds", EMAIL): f"1x20 2x20 3x20 4x{LONG}"},
        "30m", "33m", {"severity": "warning", "pod": EMAIL},
        f"The worker {EMAIL} begins again and again",
        f"The worker in {EMAIL} began anew 3 times within an hour. "
        f"Its last words: kubectl --namespace live logs {EMAIL} --previous --tail 50",
    ),
    Case(
        "KayanRedisAway",
        everywhere("kayan_redis_up", f"1x20 0x{LONG}") | everywhere("kayan_queue_depth_read_ok", f"1x21 0x{LONG}"),
        "12m", "13m", {"severity": "critical"},
        "Redis does not answer",
        f"7 workers get no answer from Redis, and take no jobs until they do. What is wrong: {KAYAN} check analytics",
    ),
    Case(
        "KayanWorkersHold",
        everywhere("kayan_worker_edge_usable", f"1x20 0x{LONG}", edge="database"),
        "14m", "16m", {"severity": "critical", "edge": "database"},
        "Workers cannot use their database",
        "7 workers cannot use their database, and take no jobs that need it until they can. None of those that wait loses an attempt. "
        f"Why, and what to do: kubectl --namespace live logs {PODS} --prefix --tail 1000 --max-log-requests 50 "
        "| grep -e database.unusable -e 'cannot be used'",
    ),
    Case(
        "KayanCleanupNotQueued",
        {cron_job("created"): f"0x{LONG}", cron_job("status_last_schedule_time"): f"_x20 600x{LONG}"},
        "69m", "71m", {"severity": "warning", "cronjob": "kayan-workers-temp-files"},
        "A cleanup was not queued",
        "kayan-workers-temp-files should have queued its cleanup an hour ago or more, and did not: its pod cannot start, or does not reach "
        "Redis. What became of it: kubectl --namespace live describe cronjob kayan-workers-temp-files",
    ),
    Case(
        "KayanQueueStaysPaused",
        everywhere("kayan_queue_jobs", f"0x20 12x{LONG}", queue="notification", state="paused"),
        "70m", "71m", {"severity": "warning", "queue": "notification"},
        "The queue notification has been paused for an hour",
        "12 jobs of notification wait, as somebody paused the queue an hour ago or more and did not resume it. "
        f"Let them go on: {KAYAN} resume notification",
    ),
]  # fmt: skip


def case_series(case: Case) -> Series:
    return {name: values for name, values in (fleet() | case.changes).items() if not any(f'pod="{pod}"' in name for pod in case.gone)}


def ever(state: str, at: str = "148m") -> dict[str, Any]:
    """Which alerts were in that state at any moment before ``at``."""
    return {"expr": f'group by (alertname) (count_over_time(ALERTS{{alertstate="{state}"}}[{at}]))', "eval_time": at}


def never_fires(series: Series, settings: Settings | None = None, *, namespace: str = "live") -> str:
    return trial(rules(settings, namespace=namespace), series, promql_expr_test=[ever("firing") | {"exp_samples": []}])


# -- the rules -------------------------------------------------------------------------------------------------------------------


def test_monitoring_is_off_unless_asked_for() -> None:
    assert rendered("PrometheusRule") == rendered("PodMonitor") == []
    assert not [found for found in rendered("ConfigMap") if "dashboard" in found["metadata"]["name"]]


def test_promtool_has_nothing_against_the_rules(tmp_path: Any) -> None:
    for number, settings in enumerate(({}, {"operator.enabled": True, "monitoring.prometheusRule.failureRatio": 0.005})):
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.safe_dump(rules(settings)))
        result = promtool("check", "rules", "--lint=all", "--lint-fatal", str(file))
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("case", CASES, ids=[case.alert for case in CASES])
def test_an_alert_fires_when_it_should_and_says_what_to_do(case: Case) -> None:
    said = {"summary": case.summary, "description": case.description}
    expected = {"exp_labels": {"namespace": "live", **case.labels}, "exp_annotations": said}
    when = [{"alertname": case.alert, "eval_time": case.quiet, "exp_alerts": []},
            {"alertname": case.alert, "eval_time": case.fires, "exp_alerts": [expected]}]  # fmt: skip
    assert trial(rules(), case_series(case), alert_rule_test=when) == ""


def test_every_alert_has_a_case_here() -> None:
    assert sorted(case.alert for case in CASES) == sorted(alerts(rules()))


@pytest.mark.parametrize("case", CASES, ids=[case.alert for case in CASES])
def test_other_releases_of_the_same_prometheus_hear_nothing_of_it(case: Case) -> None:
    neighbour = {
        name.replace('namespace="live", pod="kayan-workers-', 'namespace="staging", pod="kayan-workers-2-'): values
        for name, values in case_series(case).items()
    }
    assert never_fires(fleet("staging") | neighbour | case_series(case), namespace="staging") == ""


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_a_healthy_fleet_fires_nothing(busy: bool) -> None:
    assert never_fires(fleet(busy=busy)) == ""


def test_a_rollout_fires_nothing() -> None:
    old: Series = {}
    new: Series = {}
    for number, role in enumerate(ROLES):
        busy = role.name != "cleanup"
        born = 40 + 3 * number
        old |= worker(role.name, leaves=born + 2, dies=born + 60, busy=busy)
        new |= worker(role.name, pod_of(role.name, 1), born=born, busy=busy)
    assert never_fires(old | new) == ""


def test_scaling_up_and_down_again_fires_nothing() -> None:
    crowd = {}
    for number in range(1, 10):
        crowd |= worker("email", pod_of("email", number), born=20 + number, leaves=100 - number, dies=103 - number)
    assert never_fires(fleet() | crowd) == ""


def test_a_queue_without_workers_is_no_alarm_while_one_is_on_its_way() -> None:
    waiting = everywhere("kayan_queue_oldest_waiting_seconds", f"0x60 0+30x16 0x{LONG}", queue="email")
    scaled = {name: values for name, values in (fleet() | waiting).items() if f'pod="{EMAIL}"' not in name}
    assert never_fires(scaled | worker("email", born=77), {"operator.enabled": "external"}) == ""


def test_a_worker_that_leaves_is_no_help_to_its_queue() -> None:
    waiting = everywhere("kayan_queue_oldest_waiting_seconds", f"0+30x{LONG}", queue="email")
    for leaves, alarm in ((20, ["KayanJobsWait", "KayanQueueWithoutWorker"]), (LONG, ["KayanJobsWait"])):
        expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in alarm]
        assert (
            trial(
                rules(), fleet() | worker("email", leaves=leaves) | waiting, promql_expr_test=[ever("firing") | {"exp_samples": expected}]
            )
            == ""
        )


def test_a_queue_that_is_worked_by_node_alone_is_no_alarm() -> None:
    without = {name: values for name, values in fleet().items() if f'pod="{EMAIL}"' not in name}
    assert 'queue="email", state="waiting"' in str(without)
    assert never_fires(without) == ""


def test_where_something_scales_the_workers_none_at_all_is_no_alarm() -> None:
    assert never_fires({"up": f"1x{LONG}"}, {"operator.enabled": "external"}) == ""


def test_cleanups_that_were_queued_in_time_or_are_suspended_and_other_cron_jobs_are_no_alarm() -> None:
    """They come daily, fail once and are tried again within the hour; their next start comes, and then the one after that."""
    last, done, following = (cron_job(f"{what}_time") for what in ("status_last_schedule", "status_last_successful", "next_schedule"))
    healthy = {last: f"0x60 1800x{LONG}", done: f"5x120 3600x{LONG}", following: f"1800x60 88200x{LONG}", cron_job("created"): f"0x{LONG}"}
    suspended, others = "kayan-workers-own-records", "kayan-workers-2-temp-files"
    quiet = {
        cron_job("status_last_schedule_time", suspended): f"600x{LONG}", cron_job("created", suspended): f"0x{LONG}",
        cron_job("spec_suspend", suspended): f"1x{LONG}", cron_job("next_schedule_time", others): f"0x{LONG}",
    }  # fmt: skip
    assert never_fires(fleet() | healthy | quiet) == ""


def test_a_cleanup_that_nothing_starts_is_an_alarm() -> None:
    overdue = {cron_job("created"): f"0x{LONG}", cron_job("next_schedule_time"): f"600x{LONG}"}
    expected = ever("firing") | {"exp_samples": [{"labels": '{alertname="KayanCleanupNotQueued"}', "value": 1}]}
    assert trial(rules(), fleet() | overdue, promql_expr_test=[expected]) == ""


def test_cron_jobs_are_watched_by_the_names_that_the_chart_gives_them_where_their_state_is_scraped() -> None:
    assert "KayanCleanupNotQueued" not in alerts(rules({"monitoring.prometheusRule.kubeStateMetrics": False}))
    for settings in ({}, {"fullnameOverride": "a-release-whose-name-is-as-long-as-it-is"}):
        pattern = re.search(r'cronjob=~"([^"]*)"', alerts(rules(settings))["KayanCleanupNotQueued"]["expr"])
        assert pattern
        made = [found["metadata"]["name"] for found in rendered("CronJob", settings)]
        assert made
        assert all(re.fullmatch(pattern[1], name) for name in made)


def test_an_outage_of_redis_is_one_alarm() -> None:
    gone = everywhere("kayan_redis_up", f"1x20 0x{LONG}") | everywhere("kayan_queue_depth_read_ok", f"1x18 0x{LONG}")
    for queue in QUEUES:
        gone |= everywhere("kayan_queue_oldest_waiting_seconds", f"20x19 9999x{LONG}", queue=queue)
    expected = ever("firing") | {"exp_samples": [{"labels": '{alertname="KayanRedisAway"}', "value": 1}]}
    assert trial(rules(), fleet() | gone, promql_expr_test=[expected]) == ""


def test_a_single_failure_is_no_alarm() -> None:
    once = {name: values for name, values in fleet(busy=False).items() if f'pod="{EMAIL}"' not in name} | worker("email", busy=False)
    once[series("kayan_jobs_started_total", EMAIL, queue="email")] = f"0x60 2x{LONG}"
    once[series("kayan_jobs_failed_total", EMAIL, queue="email", reason="permanent")] = f"0x60 2x{LONG}"
    assert never_fires(once) == ""


def test_thresholds_and_runbooks_are_those_of_the_values() -> None:
    told = {"failureRatio": 0.2, "oldestWaitingSeconds": 7200, "runbookUrl": "https://runbooks.example.com/kayan#"}
    found = alerts(rules({f"monitoring.prometheusRule.{name}": value for name, value in told.items()}))
    assert "> 0.2 *" in found["KayanJobsFail"]["expr"]
    assert "more than 20 % of" in found["KayanJobsFail"]["annotations"]["description"]
    assert found["KayanJobsWait"]["expr"].rstrip().endswith("> 7200")
    assert {name: alert["annotations"]["runbook_url"] for name, alert in found.items()} == {
        name: f"https://runbooks.example.com/kayan#{name}" for name in found
    }


def test_every_alert_says_how_bad_it_is_and_waits_before_it_fires() -> None:
    for alert in alerts(rules()).values():
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert re.fullmatch(r"[1-9]\d*[mh]", alert["for"])


def test_pods_with_long_names_are_seen() -> None:
    name = "a-name-as-long-as-this"
    settings = {
        "fullnameOverride": "a-release-whose-name-is-as-long-as-it-is",
        f"workers.{name}": {"family": "messaging", "roles": ["email"]},
    }
    [deployment] = [found["metadata"]["name"] for found in rendered("Deployment", settings) if found["metadata"]["name"].endswith(name)]
    pattern = re.search(r'pod=~"([^"]*)"', alerts(rules(settings))["KayanNoWorkers"]["expr"])
    assert pattern
    # Kubernetes cuts what a pod's name begins with, its ReplicaSet's and a dash, to 58 characters, and adds five
    assert re.fullmatch(pattern[1], f"{deployment}-7d9f8b6c5-"[:58] + "x0q4z")


# -- the README ------------------------------------------------------------------------------------------------------------------


def plain(expression: str) -> str:
    """An expression as the README has it: without the release's own selectors."""
    expression = re.sub(r'namespace="live", (pod|cronjob)=~"[^"]*"(, )?', "", expression).replace("{}", "")
    words = " ".join(expression.replace("(namespace, ", "(").replace(" by (namespace) ", "").split())
    return words.replace("( ", "(").replace(" )", ")")


def test_the_readme_lists_the_same_alerts() -> None:
    rows = re.findall(r"^\| `(Kayan\w+)` \| `(.*?)` for (\w+) \|", (PROJECT / "README.md").read_text(), flags=re.MULTILINE)
    assert rows == [(name, plain(alert["expr"]), alert["for"]) for name, alert in alerts(rules()).items()]


# -- the dashboard ---------------------------------------------------------------------------------------------------------------


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> list[tuple[str, str, str]]:
    """Panel, expression and legend, with the variables chosen as somebody would."""
    chosen = {"$namespace": "live", "$queue": ".*", "$__rate_interval": "10s"}
    found = []
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in chosen.items():
                expression = expression.replace(name, value)
            found.append((panel["title"], expression, target["legendFormat"]))
    return found


def test_the_dashboard_reaches_grafana_as_it_is_in_the_file() -> None:
    annotations = {"commonAnnotations": {"team": "media"}, "monitoring.dashboard.annotations": {"grafana_folder": "Kayan"}}
    settings = {"monitoring.dashboard.enabled": True, **annotations}
    [found] = [found for found in rendered("ConfigMap", settings) if found["metadata"]["name"] == "kayan-workers-dashboard"]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"] == {"grafana_folder": "Kayan", "team": "media"}
    assert json.loads(found["data"]["kayan-workers.json"]) == DASHBOARD


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
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_asks_whichever_prometheus_and_namespace_are_chosen() -> None:
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "namespace", "queue"]
    for panel in panels():
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        for target in panel["targets"]:
            assert 'namespace="$namespace"' in target["expr"]


def test_the_dashboard_names_only_alerts_that_there_are() -> None:
    named = set(re.findall(r"Kayan[A-Z]\w+", " ".join(panel["description"] for panel in panels())))
    assert named <= set(alerts(rules()))


# -- a real worker, scraped by a real Prometheus ---------------------------------------------------------------------------------

SELECTOR = re.compile(r"\b((?:kayan|process)_\w+)\{[^}]*\}")


def selectors(expression: str) -> list[str]:
    found = [match[0] for match in SELECTOR.finditer(expression)]
    assert len(found) == len(re.findall(r"\b(?:kayan|process)_\w+", expression)), f"a metric without a selector: {expression}"
    assert found
    return found


@pytest.fixture
def variables(redis_url: str, database_url: str, tmp_path: Any) -> dict[str, str]:
    return {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "KAYAN_STORAGE": f"folder:{tmp_path / 'objects'}",
            "KAYAN_MAIL": f"outbox:{tmp_path / 'outbox'}"}  # fmt: skip


@pytest.fixture
def prometheus(variables: dict[str, str]) -> Iterator[Prometheus]:
    """Scrapes a worker of all queues, as if it were the pod that works on mails."""
    with (
        worker_process("all", variables=variables) as running,
        scraping({EMAIL: running.url.removeprefix("http://")}, "live", rules()) as found,
    ):
        yield found


async def test_a_real_worker_answers_every_question_of_the_dashboard_and_the_rules(prometheus: Prometheus, redis_url: str) -> None:
    started = 'kayan_jobs_started_total{queue="email"}'
    await wait_until(lambda: prometheus.query(started), 30)
    server = Server(RedisAddress(url=redis_url))
    queue = Queue("email", server)
    await queue.add({"to": ["ada@example.com", 5]})
    await wait_until(lambda: prometheus.query(f"increase({started}[10s]) > 0"), 30)
    await queue.close()
    await server.close()

    own = rules({"monitoring.prometheusRule.kubeStateMetrics": False})
    for alert in alerts(own).values():
        for selector in selectors(alert["expr"]):
            assert prometheus.series(selector), f"no worker exports {selector}"
    for title, expression, legend in dashboard_expressions():
        for selector in selectors(expression):
            assert prometheus.series(selector), f"{title}: no worker exports {selector}"
        answer = prometheus.query(expression)
        assert answer, f"{title}: no answer to {expression}"
        for row in answer:
            assert set(re.findall(r"{{(\w+)}}", legend)) <= set(row["metric"]), f"{title}: {legend} of {row['metric']}"


async def test_a_real_prometheus_takes_the_rules_and_fires_none_over_an_idle_worker(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, Any]]:
        found = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return found if all(rule["health"] == "ok" for rule in found) else []

    assert {rule["name"] for rule in await wait_until(evaluated, 30)} == set(alerts(rules()))
    await wait_until(lambda: prometheus.query("kayan_redis_up == 1"), 30)
    await wait_until(lambda: not any(rule["alerts"] for rule in evaluated()), 30)


def test_steps_are_what_prometheus_is_told() -> None:
    [monitor] = rendered("PodMonitor", {"monitoring.podMonitor.enabled": True})
    assert monitor["spec"]["podMetricsEndpoints"][0]["interval"] == f"{STEP}s"
