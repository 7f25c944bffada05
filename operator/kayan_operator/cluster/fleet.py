"""What the watches say of the cluster: scalers, budgets, their Deployments, and who else scales them. From memory, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kayan_operator.decision.policy import Policy
from kayan_operator.decision.spec import SpecError, cpus, read_budget, read_scaler, target_of

Object = Mapping[str, Any]

SCALING = "workers.kayanlive.com/scaling"
"""The annotation by which a Deployment says ``off``: its number is its own."""


class Key(NamedTuple):
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(slots=True, kw_only=True)
class Scaler:
    """A QueueScaler as it was last seen."""

    key: Key
    uid: str
    version: int
    generation: int
    created: str
    target: Key | None
    policy: Policy | None
    error: str = ""
    """Why there is no policy."""
    status: Object = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Budget:
    """A FleetBudget as it was last seen."""

    key: Key
    uid: str
    generation: int
    cap: float = 0
    of: str = "replicas"
    error: str = ""
    status: Object = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Deployment:
    """A Deployment's numbers."""

    key: Key
    uid: str
    version: int
    """Of the object; a later state has a higher one."""
    replicas: int
    ready: int
    present: int
    """Pods that are not terminating."""
    terminating: int
    updated: int
    is_settled: bool
    """No rollout is under way: all pods are of the newest template, and its controller has seen the newest spec."""
    selector: str
    cpu: float
    """CPUs that one pod requests."""
    is_switched_off: bool = False
    """It wants to be scaled by nobody."""


@dataclass(slots=True, kw_only=True)
class Autoscaler:
    """A HorizontalPodAutoscaler."""

    key: Key
    uid: str
    version: int
    target: Key
    owner: str
    """Who made it, in words: ``ScaledObject email``; empty when nobody says so."""
    owner_uid: str
    spec: Object


class Fleet:
    """Everything that the watches have brought. ``changed`` is called with the key of each scaler that is to be looked at again."""

    def __init__(self, *, prefix: str, changed: Callable[[Key], None] = lambda key: None) -> None:
        self._prefix = prefix
        self.changed = changed
        self.scalers: dict[Key, Scaler] = {}
        self.budgets: dict[Key, Budget] = {}
        self.deployments: dict[Key, Deployment] = {}
        self.autoscalers: dict[Key, Autoscaler] = {}
        self._by_target: dict[Key, set[Key]] = {}
        self._autoscalers_of: dict[Key, dict[Key, Autoscaler]] = {}

    # -- what the watches bring ------------------------------------------------------------------------------------------------

    def see_scaler(self, body: Object) -> None:
        key = key_of(body)
        seen = _scaler(body, self._prefix)
        before = self.scalers.get(key)
        if before and before.uid == seen.uid and before.version > seen.version:
            return
        self.scalers[key] = seen
        if before and before.target != seen.target:
            self._leave(before)
        if seen.target:
            self._by_target.setdefault(seen.target, set()).add(key)
        if before is None or before.generation != seen.generation or before.uid != seen.uid:
            self._change_of_target(seen.target)
            self.changed(key)

    def lose_scaler(self, key: Key, uid: str = "") -> None:
        """Of one that is gone; with a ``uid`` only of that very object: another may have taken its name already."""
        gone = self.scalers.get(key)
        if gone is None or _is_another(gone, uid):
            return
        del self.scalers[key]
        self._leave(gone)
        self.changed(key)
        self._change_of_target(gone.target)

    def see_budget(self, body: Object) -> None:
        key, metadata = key_of(body), body["metadata"]
        budget = Budget(key=key, uid=metadata["uid"], generation=metadata.get("generation", 0), status=body.get("status") or {})
        try:
            budget.cap, budget.of = read_budget(body.get("spec") or {})
        except SpecError as error:
            budget.error = str(error)
        self.budgets[key] = budget

    def lose_budget(self, key: Key, uid: str = "") -> None:
        if not _is_another(self.budgets.get(key), uid):
            self.budgets.pop(key, None)

    def see_deployment(self, body: Object) -> None:
        seen = deployment_of(body)
        before = self.deployments.get(seen.key)
        if before is not None and before.uid == seen.uid and before.version > seen.version:
            return
        self.deployments[seen.key] = seen
        if before is None or (before.replicas, before.ready, before.present, before.is_settled, before.is_switched_off) != (
            seen.replicas, seen.ready, seen.present, seen.is_settled, seen.is_switched_off
        ):
            self._change_of_target(seen.key)

    def lose_deployment(self, key: Key, uid: str = "") -> None:
        gone = self.deployments.get(key)
        if gone and not _is_another(gone, uid):
            del self.deployments[key]
            self._change_of_target(key)

    def scaled(self, key: Key, replicas: int, version: int) -> None:
        """We have just written this number; the watch has yet to tell."""
        deployment = self.deployments.get(key)
        if deployment and version >= deployment.version:
            deployment.version, deployment.replicas = version, replicas

    def see_autoscaler(self, body: Object) -> None:
        seen = _autoscaler(body)
        before = self.autoscalers.get(seen.key)
        if before and before.uid == seen.uid and before.version > seen.version:
            return
        if before and before.target != seen.target:
            self.lose_autoscaler(seen.key)
        self.autoscalers[seen.key] = seen
        self._autoscalers_of.setdefault(seen.target, {})[seen.key] = seen
        if before is None or before.target != seen.target or before.spec != seen.spec:
            self._change_of_target(seen.target)

    def lose_autoscaler(self, key: Key, uid: str = "") -> None:
        gone = self.autoscalers.get(key)
        if gone and not _is_another(gone, uid):
            del self.autoscalers[key]
            self._autoscalers_of[gone.target].pop(key, None)
            self._change_of_target(gone.target)

    # -- what others ask -------------------------------------------------------------------------------------------------------

    def rivals(self, scaler: Scaler) -> list[Autoscaler]:
        """Autoscalers of its target that are not its own."""
        return [one for one in self._of_target(scaler) if one.owner_uid != scaler.uid]

    def own_autoscaler(self, scaler: Scaler) -> Autoscaler | None:
        return next((one for one in self._of_target(scaler) if one.owner_uid == scaler.uid), None)

    def first_of_target(self, scaler: Scaler) -> Scaler:
        """Of several scalers of one Deployment the one that may scale it: the oldest, by name when they are of one age."""
        assert scaler.target
        rivals = [self.scalers[key] for key in self._by_target.get(scaler.target, ())]
        return min(rivals, key=lambda one: (one.created, one.key), default=scaler)

    def is_target(self, deployment: Key) -> bool:
        """Whether any scaler names it."""
        return bool(self._by_target.get(deployment))

    def of_budget(self, key: Key) -> list[Scaler]:
        return [
            scaler for scaler in self.scalers.values()
            if scaler.policy and scaler.policy.budget == key.name and scaler.key.namespace == key.namespace
        ]

    def _of_target(self, scaler: Scaler) -> Iterable[Autoscaler]:
        return self._autoscalers_of.get(scaler.target, {}).values() if scaler.target else ()

    def _leave(self, scaler: Scaler) -> None:
        if scaler.target:
            self._by_target.get(scaler.target, set()).discard(scaler.key)

    def _change_of_target(self, target: Key | None) -> None:
        for key in tuple(self._by_target.get(target, ())) if target else ():
            self.changed(key)


def _is_another(known: Scaler | Budget | Deployment | Autoscaler | None, uid: str) -> bool:
    return bool(known and uid and known.uid != uid)


def key_of(body: Object) -> Key:
    return Key(body["metadata"].get("namespace", ""), body["metadata"]["name"])


def _scaler(body: Object, prefix: str) -> Scaler:
    metadata, spec, key = body["metadata"], body.get("spec") or {}, key_of(body)
    scaler = Scaler(key=key, uid=metadata["uid"], version=version_of(body), generation=metadata.get("generation", 0),
                    created=metadata.get("creationTimestamp", ""), target=None, policy=None, status=body.get("status") or {})
    try:
        scaler.target = Key(key.namespace, target_of(spec))
        scaler.policy = read_scaler(spec, prefix=prefix)
    except SpecError as error:
        scaler.error = str(error)
    return scaler


def deployment_of(body: Object) -> Deployment:
    """The numbers of a Deployment as the API server gives it."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    replicas, present, updated = spec.get("replicas", 1), status.get("replicas", 0), status.get("updatedReplicas", 0)
    return Deployment(
        key=key_of(body),
        uid=metadata["uid"],
        version=version_of(body),
        replicas=replicas,
        ready=status.get("readyReplicas", 0),
        present=present,
        terminating=status.get("terminatingReplicas", 0),
        updated=updated,
        is_settled=status.get("observedGeneration", 0) >= metadata.get("generation", 0) and updated == present,
        selector=selector_of(spec.get("selector") or {}),
        cpu=sum(
            cpus(str(((container.get("resources") or {}).get("requests") or {}).get("cpu", "0")))
            for container in spec["template"]["spec"].get("containers", ())
        ),
        is_switched_off=(metadata.get("annotations") or {}).get(SCALING) == "off",
    )


def version_of(body: Object) -> int:
    """``resourceVersion`` as a number: etcd's revision, which only grows."""
    version = str(body["metadata"].get("resourceVersion", "0"))
    return int(version) if version.isdigit() else 0


def selector_of(selector: Object) -> str:
    """A label selector as the API takes it in a query."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        key, operator, values = expression["key"], expression["operator"], ",".join(expression.get("values") or ())
        parts.append({"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}[operator])
    return ",".join(parts)


def _autoscaler(body: Object) -> Autoscaler:
    reference, owners = body["spec"]["scaleTargetRef"], body["metadata"].get("ownerReferences") or ()
    controller = next((owner for owner in owners if owner.get("controller")), owners[0] if owners else None)
    is_deployment = reference.get("kind") == "Deployment"
    return Autoscaler(
        key=key_of(body),
        uid=body["metadata"]["uid"],
        version=version_of(body),
        target=Key(body["metadata"]["namespace"], reference["name"] if is_deployment else f"{reference.get('kind')}/{reference['name']}"),
        owner=f"{controller['kind']} {controller['name']}" if controller else "",
        owner_uid=controller["uid"] if controller else "",
        spec=body["spec"],
    )
