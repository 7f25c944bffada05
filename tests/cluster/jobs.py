"""Jobs as they stand in Redis: as much of them as somebody sees who counts them, and asks which pod is at which."""

from __future__ import annotations

import time

from redis import Redis
from redis_process import RedisProcess


class Jobs:
    """The queues of one Redis, filled by hand: nobody works on what waits in them."""

    def __init__(self, server: RedisProcess) -> None:
        self._server = server

    def wait(self, queue: str, count: int) -> None:
        """Just so many jobs wait from now on, and who listens hears of it."""
        with self._client() as client, client.pipeline() as pipeline:
            pipeline.delete(f"bull:{queue}:wait")
            if count:
                pipeline.rpush(f"bull:{queue}:wait", *(f"waiting-{number}" for number in range(count)))
            self._tell(pipeline, queue)
            pipeline.execute()

    def deserve(self, queue: str, pods: int) -> None:
        """So many jobs wait that ten for each pod make just ``pods``, whether there are more pods now or fewer: room is left for the tenth
        more jobs that an operator wants to find room for before it takes pods away."""
        self.wait(queue, pods * 9)

    def hold(self, queue: str, pod: str, job_id: str, *, seconds: float = 0) -> None:
        """``pod`` has been at a job for so long; its lock does not run out."""
        with self._client() as client, client.pipeline() as pipeline:
            pipeline.hset(f"bull:{queue}:{job_id}", mapping={"processedOn": round((time.time() - seconds) * 1000), "data": "{}"})
            pipeline.set(f"bull:{queue}:{job_id}:lock", f"{pod}/test")
            pipeline.lpush(f"bull:{queue}:active", job_id)
            self._tell(pipeline, queue)
            pipeline.execute()

    def end(self, queue: str, job_id: str) -> None:
        """The job is done and kept nowhere."""
        with self._client() as client, client.pipeline() as pipeline:
            pipeline.lrem(f"bull:{queue}:active", 0, job_id)
            pipeline.delete(f"bull:{queue}:{job_id}", f"bull:{queue}:{job_id}:lock")
            self._tell(pipeline, queue)
            pipeline.execute()

    def fail(self, queue: str, count: int) -> None:
        """Just so many jobs have failed for good, this moment."""
        now = round(time.time() * 1000)
        with self._client() as client, client.pipeline() as pipeline:
            pipeline.delete(f"bull:{queue}:failed")
            if count:
                pipeline.zadd(f"bull:{queue}:failed", {f"failed-{number}": now for number in range(count)})
            self._tell(pipeline, queue)
            pipeline.execute()

    def fenced(self) -> set[str]:
        """The pods that may claim nothing just now."""
        with self._client() as client:
            return {key.rpartition(":")[2] for key in client.keys("kayan:fence:*")}

    def terms(self) -> dict[str, int]:
        """Whose the fences are: the uid of a Lease, and the number of its newest term."""
        with self._client() as client:
            return {key.rpartition(":")[2]: int(client.get(key) or 0) for key in client.keys("kayan:term:*")}

    def _tell(self, pipeline: Redis, queue: str) -> None:
        pipeline.publish(f"bull:{queue}:waiting@test", "")

    def _client(self) -> Redis:
        return Redis(port=self._server.port, socket_timeout=5, decode_responses=True)
