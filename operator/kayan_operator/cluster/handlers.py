"""The watches: kopf keeps them alive, and each handler hands what it hears to the fleet.

Only ``on.event`` handlers: they look at states and not at differences, put no annotations and no finaliser on anybody's objects (so nothing
can block a deletion), and run on every replica of the operator, so that the next leader knows all it needs at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import kopf

from kayan_operator.cluster.fleet import Fleet, Key, Object, key_of
from kayan_operator.cluster.kube import GROUP, VERSION


def watches(fleet: Fleet) -> kopf.OperatorRegistry:
    """The handlers, which tell ``fleet``."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry, id="login")(_login)
    resources: tuple[tuple[tuple[str, str, str], Callable[[Object], None], Callable[[Key, str], None]], ...] = (
        ((GROUP, VERSION, "queuescalers"), fleet.see_scaler, fleet.lose_scaler),
        ((GROUP, VERSION, "fleetbudgets"), fleet.see_budget, fleet.lose_budget),
        (("apps", "v1", "deployments"), fleet.see_deployment, fleet.lose_deployment),
        (("autoscaling", "v2", "horizontalpodautoscalers"), fleet.see_autoscaler, fleet.lose_autoscaler),
    )
    for resource, see, lose in resources:
        kopf.on.event(*resource, registry=registry, id=f"watch-{resource[2]}")(_handler(see, lose))
    return registry


def _login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """The pod's service account, else what KUBECONFIG names. Asked again when the API server no longer takes the token."""
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)


def _handler(see: Callable[[Object], None], lose: Callable[[Key, str], None]) -> Any:
    async def handle(event: Mapping[str, Any], **_: Any) -> None:
        body = event["object"]
        if event["type"] == "DELETED":
            lose(key_of(body), body["metadata"]["uid"])
        else:
            see(body)

    return handle


def watch_settings() -> kopf.OperatorSettings:
    """Watches that notice their own death, no storage on objects, and no more rights than the Role gives."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.queueing.idle_timeout = 1
    settings.queueing.exit_timeout = 0.5
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 5
    settings.watching.reconnect_backoff = 0.5
    settings.networking.request_timeout = 10
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = [0.5, 1, 2, 3, 5, 5, 5]
    settings.process.ultimate_exiting_timeout = 10
    logging.getLogger("kopf").setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_retries_are_warnings)
    return settings


def _retries_are_warnings(record: logging.LogRecord) -> bool:
    """kopf calls each request that it repeats an error. Only one that it gives up is."""
    if record.levelno == logging.ERROR and record.name.startswith("kopf.") and "failed; will " in record.getMessage():
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
