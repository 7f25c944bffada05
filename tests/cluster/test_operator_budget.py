"""Several scalers under one FleetBudget: who gets how many pods, and who gets those that become free."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster.jobs import Jobs
from cluster.kube import Object, until
from cluster.operator_process import OperatorProcess, operating
from cluster.scaling import API_VERSION, Stage
from redis_process import RedisProcess


@pytest.fixture(scope="module", autouse=True)
def operator(stage: Stage, server: RedisProcess) -> Iterator[OperatorProcess]:
    with operating(stage.namespace.name, {"default": server}) as operator:
        yield operator


def budget(name: str, **cap: object) -> Object:
    return {"apiVersion": API_VERSION, "kind": "FleetBudget", "metadata": {"name": name}, "spec": cap}


def until_shared(stage: Stage, timeout: float = 30, **wanted: int) -> None:
    """Wait until each Deployment has its number, all in the same moment."""
    def have() -> dict[str, int]:
        found = {one["metadata"]["name"]: one["spec"]["replicas"] for one in stage.namespace.get("deployments")}
        return {name: found[name] for name in wanted}

    until(lambda: have() == wanted, timeout, what=f"the numbers are {wanted}", trouble=lambda: str(have()))


def status(stage: Stage, name: str) -> Object:
    found: Object = stage.namespace.get("fleetbudget", name)[0].get("status", {})
    return found


def condition(stage: Stage, name: str, kind: str) -> Object:
    return next((one for one in status(stage, name).get("conditions", ()) if one["type"] == kind), {})


def test_the_higher_priority_is_served_first_equals_share_and_what_becomes_free_goes_to_who_waits(stage: Stage, jobs: Jobs) -> None:
    stage.apply(budget("ten", maxReplicas=10))
    stage.put_phantoms("gold", budgetRef={"name": "ten"}, priority=10)
    stage.put_phantoms("silver", budgetRef={"name": "ten"})
    stage.put_phantoms("bronze", budgetRef={"name": "ten"})
    stage.until_seen("gold", "silver", "bronze")
    for name, pods in (("gold", 6), ("silver", 8), ("bronze", 8)):
        jobs.deserve(name, pods)
    until_shared(stage, gold=6, silver=2, bronze=2)
    assert stage.condition("gold", "ScalingLimited")["status"] == "False"
    until(lambda: stage.condition("silver", "ScalingLimited").get("reason") == "Budget", 15, what="silver says what limits it")
    assert "FleetBudget ten leaves it 2 pods" in stage.condition("silver", "ScalingLimited")["message"]
    until(lambda: condition(stage, "ten", "Exhausted").get("status") == "True", 15, what="the budget says that more is wanted")
    assert (status(stage, "ten")["used"], status(stage, "ten")["wanted"], status(stage, "ten")["scalers"]) == (10, 22, 3)
    assert {one["name"]: one["replicas"] for one in status(stage, "ten")["shares"]} == {"gold": 6, "silver": 2, "bronze": 2}

    jobs.deserve("gold", 0)
    until_shared(stage, gold=0, silver=5, bronze=5)
    jobs.deserve("silver", 1)
    until_shared(stage, gold=0, silver=1, bronze=8)
    until(lambda: condition(stage, "ten", "Exhausted").get("status") == "False", 15, what="the budget suffices again")
    until(lambda: status(stage, "ten")["used"] == 9, 15, what="the budget tells what is used")
    until(lambda: stage.condition("bronze", "ScalingLimited").get("status") == "False", 15, what="nothing limits bronze any more")


def test_a_floor_is_kept_from_a_neighbour_of_higher_priority_that_wants_everything(stage: Stage, jobs: Jobs) -> None:
    stage.apply(budget("six", maxReplicas=6))
    stage.put_phantoms("greedy", budgetRef={"name": "six"}, priority=100)
    stage.put_phantoms("modest", budgetRef={"name": "six"}, minReplicas=2)
    stage.until_replicas("modest", 2)
    jobs.deserve("greedy", 20)
    until_shared(stage, greedy=4, modest=2)
    jobs.deserve("modest", 6)
    until(lambda: stage.condition("modest", "ScalingLimited").get("reason") == "Budget", 15, what="modest may not grow")
    assert stage.replicas("modest") == 2


def test_a_smaller_budget_takes_effect_and_a_larger_one_too(stage: Stage, jobs: Jobs) -> None:
    stage.apply(budget("moving", maxReplicas=4))
    stage.put_phantoms("mover", budgetRef={"name": "moving"})
    stage.until_seen("mover")
    jobs.deserve("mover", 10)
    stage.until_replicas("mover", 4)
    stage.apply(budget("moving", maxReplicas=7))
    stage.until_replicas("mover", 7)
    stage.apply(budget("moving", maxReplicas=2))
    stage.until_replicas("mover", 2)


def test_a_budget_of_cpu_counts_what_pods_request(stage: Stage, jobs: Jobs, operator: OperatorProcess) -> None:
    stage.apply(budget("cpus", cpu="1500m"))
    stage.put_phantoms("heavy", cpu="500m", budgetRef={"name": "cpus"}, priority=1)
    stage.put_phantoms("light", cpu="250m", budgetRef={"name": "cpus"})
    stage.until_seen("heavy", "light")
    jobs.deserve("heavy", 2)
    stage.until_replicas("heavy", 2)
    jobs.deserve("light", 8)
    until_shared(stage, heavy=2, light=2)
    until(lambda: status(stage, "cpus").get("used") == 1.5, 15, what="the budget tells how much is used", trouble=lambda: str(
        status(stage, "cpus")))
    assert status(stage, "cpus")["wanted"] == 3
    assert operator.metric("kayan_budget_used", budget="cpus") == 1.5
    stage.namespace.kubectl("delete", "fleetbudget", "cpus")
    until(lambda: 'budget="cpus"' not in (operator.page("/metrics") or ""), 15, what="nothing is told of a budget that is gone")


def test_a_budget_that_is_not_there_lets_nothing_grow_and_is_named(stage: Stage, jobs: Jobs) -> None:
    stage.put_phantoms("orphan", replicas=1, budgetRef={"name": "nowhere"})
    stage.until_seen("orphan")
    jobs.deserve("orphan", 5)
    until(lambda: "there is no FleetBudget nowhere" in stage.condition("orphan", "ScalingLimited").get("message", ""), 15,
          what="the status says that there is no such budget", trouble=lambda: str(stage.status("orphan")))
    stage.stays("orphan", 1, 3)
    stage.apply(budget("nowhere", maxReplicas=3))
    stage.until_replicas("orphan", 3)
    jobs.deserve("orphan", 0)
    stage.until_replicas("orphan", 0)
