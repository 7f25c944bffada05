"""The administrator's side of a queue: what a person may want to do to it, and to single jobs.

Big operations go in steps of a thousand jobs, so that Redis serves others in between. Nothing here ends a schedule but
``remove_repeatable`` and ``obliterate``: where a schedule's next run is deleted, the run after it is scheduled.
"""

from __future__ import annotations

from typing import Any

from kayan_workers.bull import repeat
from kayan_workers.bull.core import QueueCore
from kayan_workers.bull.errors import JobIsLocked, NoSuchJob, QueueIsBusy, WrongState
from kayan_workers.bull.iteration import ID_START
from kayan_workers.bull.line import now_ms
from kayan_workers.bull.names import refuse_own_key
from kayan_workers.bull.options import State
from kayan_workers.bull.reader import KEY_OF_STATE
from kayan_workers.bull.stringify import stringify

STEP = 1000
"""Jobs that one script call handles: some milliseconds of Redis' time."""


class Administrator(QueueCore):
    """Changes what stands on a queue. Redis' own errors pass through everywhere."""

    # -- the whole queue -----------------------------------------------------------------------------------------------------

    async def pause(self) -> None:
        """Let no worker anywhere take another job. Running ones go on; added ones wait. Wire: 3.17, W16."""
        await self.run("pause")

    async def resume(self) -> None:
        """End the pause. Wire: 3.17, W16."""
        await self.run("resume")

    async def empty(self) -> int:
        """Delete all jobs that wait or are delayed; returns how many. Running and finished ones stay, a pause lasts, and
        schedules go on with their next run. Wire: 3.15, W19."""
        waiting, _, _, _, delayed, paused, *_ = await self.run("counts")
        most, removed, iterations, offset = waiting + paused + delayed, 0, 0, 0
        while removed < most:  # what is added meanwhile is not ours to wait for
            some, some_iterations, next_offset = await self._change("empty", min(STEP, most - removed), offset)
            if not some and next_offset == offset:
                break
            removed, iterations, offset = removed + some, iterations + some_iterations, next_offset
        if iterations:
            await repeat.repair(self)
        return removed

    async def clean(self, grace_ms: int, state: State = "completed", limit: int = 0) -> list[str]:
        """Delete the jobs of a state that finished, else last started, else were created more than ``grace_ms`` ago, at most
        ``limit`` of them (0: all), the oldest first; returns their ids. Jobs that a worker holds stay. Wire: 3.14, W27."""
        before, removed, offset = now_ms() - grace_ms, list[str](), 0
        while offset >= 0 and (not limit or len(removed) < limit):
            most = min(STEP, limit - len(removed)) if limit else STEP
            offset, ids = await self._change("clean", KEY_OF_STATE[state], before, most, offset, STEP)
            removed += [job_id.decode() for job_id in ids]
        await self._go_on_with_schedules(removed)
        return removed

    async def obliterate(self, *, force: bool = False) -> None:
        """Delete the queue with everything that belongs to it. It is paused first.

        Raises QueueIsBusy while jobs are running, unless ``force`` is given: then they are deleted under their workers' hands.
        Wire: 3.16.
        """
        await self.pause()
        code = 1
        while code == 1:
            code = await self._change("obliterate", STEP, int(force))
        if code == -1:
            raise WrongState(f"{self.name} was resumed while it was being obliterated; what had gone by then is gone")
        if code == -2:
            raise QueueIsBusy(f"{self.name} has running jobs: stop its workers first, or use force to delete the jobs all the same")
        cursor = b"0"
        while True:
            cursor = await self.run("sweep", self.keys.base + "*", cursor, STEP)
            if cursor == b"0":
                return

    async def retry_all_failed(self) -> int:
        """Let every failed job run once more; returns how many. Wire: 3.12."""
        _, _, _, failed, *_ = await self.run("counts")
        retried = 0
        while retried < failed:  # those that fail again meanwhile have had their turn
            some = await self.run("retry_failed", min(STEP, failed - retried))
            if not some:
                break
            retried += some
        return retried

    async def remove_matching(self, pattern: str) -> list[str]:
        """Delete all jobs whose id matches a glob pattern (``*``, ``?``, ``[ab]``), but those that a worker holds; returns
        their ids. Looks at every key of the server. Wire: 3.13."""
        removed: list[str] = []
        cursor = b"0"
        while True:
            cursor, ids = await self._change("remove_matching", self.keys.base + pattern, cursor, STEP)
            removed += [job_id.decode() for job_id in ids]
            if cursor == b"0":
                await self._go_on_with_schedules(removed)
                return removed

    # -- one job -------------------------------------------------------------------------------------------------------------

    async def promote(self, job_id: str) -> None:
        """Let a delayed job run now. Raises WrongState when it is not delayed. Wire: 3.11."""
        refuse_own_key(self.name, job_id)
        if await self.run("promote", self.token, job_id) < 0:
            raise WrongState(f"job {job_id} of {self.name} is not delayed, so there is nothing to promote")

    async def retry(self, job_id: str) -> None:
        """Let a failed job run once more. Raises NoSuchJob, JobIsLocked, WrongState; then nothing has changed. Wire: 3.12, W26."""
        refuse_own_key(self.name, job_id)
        code = await self.run("retry", self.token, job_id, now_ms())
        if code == 0:
            raise self._no_such_job(job_id)
        if code == -1:
            raise JobIsLocked(f"job {job_id} of {self.name} is held by a worker; it cannot be retried now")
        if code == -2:
            raise WrongState(f"job {job_id} of {self.name} has not failed, so it cannot be retried")

    async def remove(self, job_id: str) -> None:
        """Delete a job wherever it stands. For the next run of a schedule that means: skip this run.

        Raises NoSuchJob, and JobIsLocked when a worker holds it. Wire: 3.13.
        """
        refuse_own_key(self.name, job_id)
        code = await self._change("remove", job_id)
        if code == 0:
            raise self._no_such_job(job_id)
        if code == -1:
            raise JobIsLocked(f"job {job_id} of {self.name} is held by a worker; remove it when it has finished")
        await self._go_on_with_schedules([job_id])

    async def update_data(self, job_id: str, data: Any) -> None:
        """Give a job another payload. Raises NoSuchJob, and TypeError for what is no JSON. Wire: 3.18."""
        refuse_own_key(self.name, job_id)
        if not await self.run("update", job_id, stringify(data)):
            raise self._no_such_job(job_id)

    async def update_progress(self, job_id: str, value: Any) -> None:
        """Note how far a job is, as any JSON value, and publish it. Raises NoSuchJob. Wire: 3.18."""
        refuse_own_key(self.name, job_id)
        if not await self.run("progress", job_id, stringify(value), stringify({"jobId": job_id, "progress": value})):
            raise self._no_such_job(job_id)

    async def log(self, job_id: str, row: str, *, keep: int = 0) -> int:
        """Add a row to a job's log, keeping the newest ``keep`` (0: all); returns how many there are. Raises NoSuchJob. Wire: 3.18."""
        refuse_own_key(self.name, job_id)
        rows: int = await self.run("log", job_id, row, keep)
        if rows < 0:
            raise self._no_such_job(job_id)
        return rows

    async def remove_debounce(self, debounce_id: str) -> bool:
        """Let the next add with this debounce id through; False when it was not taken."""
        return bool(await self.server.commands.delete(self.keys.debounce(debounce_id)))

    # -- inside --------------------------------------------------------------------------------------------------------------

    async def _change(self, script: str, *args: Any) -> Any:
        """Run a script that may delete iterations of schedules, and so needs the key of their copies."""
        return await self.run(script, *args, keys=(self.keys.wait, self.keys.schedules))

    async def _go_on_with_schedules(self, removed: list[str]) -> None:
        skipped = frozenset(job_id for job_id in removed if job_id.startswith(ID_START))
        if skipped:
            await repeat.repair(self, skipped=skipped)

    def _no_such_job(self, job_id: str) -> NoSuchJob:
        return NoSuchJob(f"there is no job {job_id} on {self.name}: it was removed, or never added")
