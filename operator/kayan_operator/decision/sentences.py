"""The chain of reasoning in words: one sentence for each rule of ``decide``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kayan_operator.decision.decide import Figures, Step


def seconds(value: Any) -> str:
    """A duration as people say it: 0.4 s, 45 s, 12 min, 3 h 20 min."""
    amount = float(value)
    if amount < 10 and amount != int(amount):
        return f"{amount:.1f} s"
    if amount < 90:
        return f"{amount:.0f} s"
    minutes = round(amount / 60)
    hours, minutes = divmod(minutes, 60)
    return f"{minutes} min" if not hours else f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _count(value: Any, one: str, many: str | None = None) -> str:
    number = float(value)
    text = f"{number:.0f}" if number == int(number) else f"{number:.1f}"
    return f"{text} {one if text == '1' else many or one + 's'}"


def pods(value: int) -> str:
    return _count(value, "pod")


def consumers(of_ours: int, node: int) -> str:
    """Who waits for jobs: ``2 pods and 1 Node worker wait for jobs``."""
    who = [_count(of_ours, "pod")] * bool(of_ours) + [_count(node, "Node worker")] * bool(node)
    return f"{' and '.join(who) or 'nobody'} {'waits' if of_ours + node in (0, 1) else 'wait'} for jobs of its queues"


def _backlog(f: Figures, s: Step) -> str:
    return (f"{f['waiting']:.0f} waiting, {f['active']:.0f} active and {f['due']:.0f} due soon, at {f['jobs_per_replica']:g} "
            f"{'job' if f['jobs_per_replica'] == 1 else 'jobs'} for each pod, deserve {pods(s.after)}")


def _measured(f: Figures) -> str:
    return (f"{f['queue']} has {f['waiting']:.0f} waiting and {f['active']:.0f} active, {f['arrivals']:.2g} a second arrive, and each "
            f"takes {seconds(f['job_seconds'])} of one of {f['slots']:.3g} slots of a pod")


def _wait(f: Figures, s: Step) -> str:
    return f"{_measured(f)}: to begin what waits within {seconds(f['time'])} (no wait above {seconds(f['max_wait'])}) takes {pods(s.after)}"


def _deadline(f: Figures, s: Step) -> str:
    return f"{_measured(f)}: to be done by {_clock(f['deadline'])}, in {seconds(f['time'])}, takes {pods(s.after)}"


def _clock(value: Any) -> str:
    return datetime.fromtimestamp(float(value), UTC).strftime("%Y-%m-%d %H:%M UTC")


def _unmeasured(f: Figures, s: Step) -> str:
    return (f"{f['queue']} has {f['waiting']:.0f} waiting and {f['active']:.0f} active, and how long its jobs take is not known yet: "
            f"{pods(s.after)} for now")


def _idle(f: Figures, s: Step) -> str:
    held = f" ({_count(f['held'], 'job')} in a paused queue)" if f.get("held") else ""
    later = f"; the next delayed job is due in {seconds(f['next_due'])}" if f.get("next_due") is not None else ""
    return f"nothing waits, runs or is due soon{held}{later}"


SENTENCES: dict[str, Callable[[Figures, Step], str]] = {
    "Backlog": _backlog,
    "Wait": _wait,
    "WaitUnmeasured": _unmeasured,
    "Deadline": _deadline,
    "DeadlineUnmeasured": _unmeasured,
    "Idle": _idle,
    "Paused": lambda f, s: f"scaling is paused: stay at {pods(s.after)}",
    "Margin": lambda f, s: f"shrink only to where {f['margin']:.0f} % more jobs would still find room: {pods(s.after)}",
    "ScaleDownStabilization": lambda f, s: f"{pods(s.after)} were wanted within the last {seconds(f['window'])}: a lull is often short",
    "Lull": lambda f, s: (f"{pods(f['wanted'])} were wanted {seconds(f['lasted'])} ago, and in a lull all stay for "
                          f"{seconds(f['patience'])}, half of those too many for twice as long, a quarter for four times: {pods(s.after)}"),
    "ScaleUpStabilization": lambda f, s: f"no more than {pods(s.after)} were wanted for the whole of the last {seconds(f['window'])}",
    "Cooldown": lambda f, s: f"the last pod stays until {seconds(f['cooldown'])} after the last job, {seconds(f['left'])} from now",
    "MinReplicas": lambda f, s: f"never fewer than {pods(s.after)} (minReplicas)",
    "Schedule": lambda f, s: f"never fewer than {pods(s.after)} at this hour (schedule {f['window']})",
    "FailedJobs": lambda f, s: (f"{f['failed']:.0f} of {f['finished']:.0f} jobs failed within {seconds(f['window'])}, and more pods would "
                                f"not help: stay at {pods(s.after)}"),
    "BrokenPods": lambda f, s: f"{f['broken']}, and more pods would not help: stay at {pods(s.after)}",
    "ScaleUpPace": lambda f, s: f"at most {_count(f['step'], 'pod')} more in {seconds(f['period'])} (scaleUp): {pods(s.after)}",
    "ScaleDownPace": lambda f, s: f"at most {_count(f['step'], 'pod')} fewer in {seconds(f['period'])} (scaleDown): {pods(s.after)}",
    "Budget": lambda f, s: (f"{f['trouble']}, and until that is mended it may not grow: stay at {pods(s.after)}" if f.get("trouble")
                            else f"FleetBudget {f['budget']} leaves it {pods(s.after)}"),
    "MaxReplicas": lambda f, s: f"never more than {pods(s.after)} (maxReplicas)",
    "Fallback": lambda f, s: (f"queue {f['queue']} could not be read for {seconds(f['seconds'])}: at least the declared fallback, "
                              f"{pods(s.after)}"),
    "Unknown": lambda f, s: (f"queue {f['queue']} cannot be read ({f['why']}), which is not the same as empty: stay at {pods(s.after)}"),
}


def sentence(step: Step) -> str:
    """What one step says. Beginning with a small letter, without a full stop."""
    return SENTENCES[step.rule](step.figures, step)
