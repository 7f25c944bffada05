"""A way to the API server that a test can make worse for one operator alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.kube import Object, run
from proxy import Proxy


class ApiProxy:
    """A proxy in a thread of its own. ``kubeconfig`` is a file that leads through it; ``tell`` has something done to the proxy."""

    def __init__(self, host: str, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.proxy = self._call(lambda: Proxy(port, host))
        asyncio.run_coroutine_threadsafe(self.proxy.__aenter__(), self._loop).result(10)
        self.kubeconfig = Path(tempfile.mkdtemp(prefix="kayan-kubeconfig-")) / "config"

    def tell(self, what: Callable[[Proxy], Any]) -> None:
        self._call(lambda: what(self.proxy))

    def cut(self) -> None:
        """The API server is gone: whoever is connected is cut off, nobody else gets through."""
        self.tell(lambda proxy: setattr(proxy, "refusing", True))
        self.tell(Proxy.cut_all)

    def restore(self) -> None:
        self.tell(lambda proxy: setattr(proxy, "refusing", False))

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.proxy.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _call(self, what: Callable[[], Any]) -> Any:
        async def there() -> Any:
            return what()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(10)


@contextlib.contextmanager
def encrypted() -> Iterator[ApiProxy]:
    """To the API server itself, as KUBECONFIG has it. Its certificate must be good for 127.0.0.1, as those of local clusters are."""
    there = _kubeconfig()
    [cluster] = there["clusters"]
    address = urlsplit(cluster["cluster"]["server"])
    proxy = ApiProxy(address.hostname or "", address.port or 443)
    cluster["cluster"]["server"] = f"https://127.0.0.1:{proxy.proxy.port}"
    proxy.kubeconfig.write_text(json.dumps(there))
    try:
        yield proxy
    finally:
        proxy.close()


@contextlib.contextmanager
def readable() -> Iterator[ApiProxy]:
    """By way of ``kubectl proxy``, so that requests can be told apart by their text."""
    with subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", said)
            assert found, f"kubectl proxy: {said}"
            proxy = ApiProxy("127.0.0.1", int(found[1]))
            cluster, context = {"server": f"http://127.0.0.1:{proxy.proxy.port}"}, {"cluster": "it", "user": "it"}
            proxy.kubeconfig.write_text(json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "it", "contexts": [{"name": "it", "context": context}],
                "clusters": [{"name": "it", "cluster": cluster}], "users": [{"name": "it", "user": {}}],
            }))  # fmt: skip
            try:
                yield proxy
            finally:
                proxy.close()
        finally:
            process.kill()


def _kubeconfig() -> Object:
    found: Object = json.loads(run("kubectl", "config", "view", "--raw", "--minify", "--flatten", "--output=json"))
    return found
