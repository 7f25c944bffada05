"""The command ``kayan``: every subcommand's arguments and help. What it does is imported when it is called."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from kayan_workers.cli import names, session
from kayan_workers.cli.commands import Command, Commands, FrontDoor
from kayan_workers.cli.grants import DATABASE_ROLE
from kayan_workers.processors.cleaning.policy import KINDS, as_typed
from kayan_workers.processors.table import ROLES

app = typer.Typer(
    cls=FrontDoor,
    help="Work and look after Kayan Live's job queues. The environment says where Redis and everything else is; `kayan check` tests it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 it did not work, 2 wrong usage or environment, 130 interrupted.",
)

Queue = Annotated[
    str,
    typer.Argument(metavar="QUEUE", help="A role (thumbnail) or a queue (thumbnail-generation).", autocompletion=names.complete_queues),
]
Queues = Annotated[
    list[str],
    typer.Argument(metavar="all | QUEUE... | FAMILY...", help="Roles, names of queues or families.", autocompletion=names.complete_any),
]
JobIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of jobs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


_ROLES_AND_FAMILIES = (
    f"Roles: {' '.join(role.name for role in ROLES)}. Families: {' '.join(dict.fromkeys(role.family for role in ROLES))}."
)

_CLEANUPS = "Types, and the schedule that suits each: " + ", ".join(f"{as_typed(kind)} {often}" for kind, often in KINDS.items()) + "."


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"kayan {version('kayan-workers')}")
        raise typer.Exit


@app.callback()
def kayan(
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.", is_eager=True, callback=_say_version)] = False,
) -> None:
    """Options of ``kayan`` itself."""


# -- work ------------------------------------------------------------------------------------------------------------------------


@app.command(
    rich_help_panel="Work", cls=Command,
    help="Work queues until SIGTERM or Ctrl-C: the first lets running jobs finish, the second exits at once.\n\n" + _ROLES_AND_FAMILIES,
)  # fmt: skip
def worker(
    roles: Annotated[
        list[str],
        typer.Argument(metavar="all | ROLE... | FAMILY...", help="Which queues to work.", autocompletion=names.complete_roles),
    ],
    concurrency: Annotated[
        Optional[int],  # noqa: UP045  typer reads it at run time
        typer.Option("--concurrency", "-c", metavar="N", min=1, max=1000, help="Slots of each queue; CONCURRENCY_<ROLE> sets one queue's."),
    ] = None,
) -> None:
    chosen = session.roles_named(roles)
    from kayan_workers.start import become_worker

    become_worker([role.name for role in chosen], concurrency)


@app.command(rich_help_panel="Work", cls=Command)
def check(
    roles: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="[ROLE... | FAMILY...]", help="Test what these need; all when none is named.", autocompletion=names.complete_roles
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Test Redis, PostgreSQL, the bucket, SES and the codecs one by one, and say what to do about each failure."""
    from kayan_workers.cli.check import check as run_checks

    chosen = session.roles_named(roles or [names.ALL])
    with session.to_a_reader_who_may_leave():
        code = run_checks(chosen, as_json=as_json)
    raise typer.Exit(code)


@app.command(rich_help_panel="Work", cls=Command)
def grants(
    roles: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="[ROLE... | FAMILY...]", help="What these need; all when none is named.", autocompletion=names.complete_roles
        ),
    ] = None,
    role: Annotated[str, typer.Option("--role", metavar="NAME", help="The role of PostgreSQL that gets it.")] = DATABASE_ROLE,
    schema: Annotated[str, typer.Option("--schema", metavar="NAME", help="Where the app's tables are.")] = "public",
    create: Annotated[bool, typer.Option("--create", help="Make that role if it is not there, without a password.")] = False,
) -> None:
    """Print the SQL that gives a database role what these queues need and no more. Connects to nothing."""
    from kayan_workers.cli.grants import BadName
    from kayan_workers.cli.grants import grants as script

    chosen = session.roles_named(roles or [names.ALL])
    try:
        text = script(chosen, to=role, schema=schema, create=create)
    except BadName as error:
        session.fail(str(error), session.USAGE)
    with session.to_a_reader_who_may_leave():
        print(text)


@app.command(rich_help_panel="Work", cls=Command)
def ping(
    roles: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="[all | ROLE... | FAMILY...]", help="Which queues; all when none is named.", autocompletion=names.complete_roles
        ),
    ] = None,
    timeout: Annotated[str, typer.Option("--timeout", "-t", metavar="TIME", help="How long to wait for all of them together.")] = "60s",
    as_json: Json = False,
) -> None:
    """Ask each queue's workers for an answer: a job that does nothing, before all that wait. Exit code 1 when a queue has none."""
    from kayan_workers.cli.ping import ping as ask

    chosen = session.roles_named(roles or [names.ALL])
    seconds = session.length_of_time(timeout, "--timeout")
    code = session.run(lambda server, settings: ask(server, settings, roles=chosen, timeout_seconds=seconds, as_json=as_json))
    raise typer.Exit(code)


# -- demo ------------------------------------------------------------------------------------------------------------------------

demo = typer.Typer(
    cls=Commands, invoke_without_command=True, subcommand_metavar="[COMMAND]",
    help="Run all seven queues on embedded servers and sample files, and check what came out. Needs nothing but this package.\n\n"
    "On servers that are there already: `kayan demo seed`, then `kayan demo verify`.",
)  # fmt: skip
app.add_typer(demo, name="demo", rich_help_panel="Work")

Wait = Annotated[str, typer.Option("--wait", metavar="TIME", help="How long to wait for all that has to be there first: 90s, 5m.")]


@demo.callback()
def demo_itself(
    context: typer.Context,
    keep: Annotated[Optional[str], typer.Option("--keep", metavar="FOLDER", help="Where the results go; else a temporary folder.")] = None,  # noqa: UP045
) -> None:
    if context.invoked_subcommand is not None:
        if keep is not None:
            session.fail(f"--keep belongs to `kayan demo` alone, not to {context.invoked_subcommand}", session.USAGE)
        return
    from pathlib import Path

    from kayan_workers.demo.run import demo as run_demo
    from kayan_workers.errors import SettingsError

    try:
        code = run_demo(Path(keep) if keep else None)
    except SettingsError as error:
        session.refuse_environment(error)
    raise typer.Exit(code)


@demo.command(name="schema", cls=Command)
def demo_schema(
    out: Annotated[Optional[str], typer.Option("--out", "-o", metavar="FILE", help="Write it there; else it is printed.")] = None,  # noqa: UP045
) -> None:
    """Write the app's tables as SQL, for the folder of which an empty PostgreSQL runs every file when it starts."""
    from kayan_workers.cli.demo import write_schema

    with session.to_a_reader_who_may_leave():
        write_schema(out)


@demo.command(name="seed", cls=Command)
def demo_seed(wait: Wait = "120s") -> None:
    """Fill the Redis, database and bucket that the environment names: tables and bucket if they are missing, files, rows, jobs.

    Once: a second time it does nothing. A database with anybody's users in it is refused."""
    from kayan_workers.cli.demo import on_given_servers
    from kayan_workers.demo.given import seed

    on_given_servers(seed, wait_seconds=session.length_of_time(wait, "--wait"))


@demo.command(name="verify", cls=Command)
def demo_verify(wait: Wait = "5m") -> None:
    """Wait until the workers have done the jobs of `kayan demo seed`, and check what came out, as `kayan demo` does.

    The mails themselves are elsewhere: it checks to whom the workers say they went."""
    from kayan_workers.cli.demo import on_given_servers
    from kayan_workers.demo.given import verify

    on_given_servers(verify, wait_seconds=session.length_of_time(wait, "--wait"))


# -- look ------------------------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel="Look", cls=Command)
def queues(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show how many jobs every queue has in each state."""
    from kayan_workers.cli.queues import show

    interrupted = 0 if watch else session.INTERRUPTED
    session.run(lambda server, settings: show(server, settings, watch=watch, as_json=as_json), interrupted=interrupted)


@app.command(rich_help_panel="Look", cls=Command)
def jobs(
    queue: Queue,
    state: Annotated[
        str,
        typer.Option(
            "--state", "-s", metavar="STATE", help="waiting, active, delayed, paused, completed or failed.",
            autocompletion=names.complete_states,
        ),
    ] = "failed",
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=10_000, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List the jobs of one state: the next to run first, or the latest finished first."""
    from kayan_workers.cli.jobs import show_list

    name = session.queue_named(queue)
    chosen = session.named(state, names.STATES, "state")
    session.run(lambda server, settings: show_list(server, settings, name=name, state=chosen, limit=limit, as_json=as_json))  # type: ignore[arg-type]


@app.command(rich_help_panel="Look", cls=Command)
def job(queue: Queue, job_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a job.")], as_json: Json = False) -> None:
    """Show everything about one job: state, place in line, who works it, payload, errors, logs."""
    from kayan_workers.cli.jobs import show_one

    name = session.queue_named(queue)
    session.run(lambda server, settings: show_one(server, settings, name=name, job_id=job_id, as_json=as_json))


@app.command(rich_help_panel="Look", cls=Command)
def schedules(queue: Queue, as_json: Json = False) -> None:
    """List the repeatable jobs of a queue: when they run next, and the key that `kayan unschedule` takes."""
    from kayan_workers.cli.schedules import show

    name = session.queue_named(queue)
    session.run(lambda server, settings: show(server, settings, name=name, as_json=as_json))


# -- mail ------------------------------------------------------------------------------------------------------------------------

mail = typer.Typer(cls=Commands, help="Look at the mails: which templates there are, and how they come out. Needs no server.",
                   no_args_is_help=True)  # fmt: skip
app.add_typer(mail, name="mail", rich_help_panel="Look")


@mail.command(name="list", cls=Command)
def list_mails(as_json: Json = False) -> None:
    """List the templates and their variables: those each needs, and those that open a block of their own."""
    from kayan_workers.cli import mails

    with session.to_a_reader_who_may_leave():
        mails.show_list(as_json=as_json)


@mail.command(name="preview", cls=Command)
def preview_mail(
    template: Annotated[
        str,
        typer.Argument(metavar="TEMPLATE", help="As `kayan mail list` shows it.", autocompletion=names.complete_templates),
    ],
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--data", metavar="FILE", help="Its variables as a JSON object, - for standard input; else sample data."),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Print subject and text instead of the HTML.")] = False,
    out: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--out", "-o", metavar="FILE", help="Write it: .html the page, .txt subject and text, .eml the whole mail."),
    ] = None,
    in_browser: Annotated[bool, typer.Option("--open", help="Show it in the browser, at two widths, beside its text.")] = False,
) -> None:
    """Render a mail with sample data or your own. Prints the HTML, and its subject on standard error."""
    from kayan_workers.cli import mails

    with session.to_a_reader_who_may_leave():
        mails.preview(template, data=data, text=text, out=out, in_browser=in_browser)


# -- add -------------------------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel="Add", cls=Command)
def add(
    queue: Queue,
    payload: Annotated[str, typer.Argument(metavar="JSON", help="The payload; - reads it from standard input, one job a line.")],
    priority: Annotated[Optional[int], typer.Option(metavar="N", min=1, help="1 is the most urgent.")] = None,  # noqa: UP045
    delay: Annotated[str, typer.Option(metavar="TIME", help="Do not run before: 30s, 5m, 2h.")] = "0s",
    job_id: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--id", metavar="ID", help="An id of your own; a job that has it already is not added again."),
    ] = None,
    attempts: Annotated[Optional[int], typer.Option(metavar="N", min=1, help="Tries in all; 3 when not given.")] = None,  # noqa: UP045
    lifo: Annotated[bool, typer.Option("--lifo", help="Run before all that wait.")] = False,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Add even what the processor will refuse.")] = False,
) -> None:
    """Add jobs with the web app's own options; prints their ids."""
    from kayan_workers.bull.options import JobOptions
    from kayan_workers.cli import adding

    name = session.queue_named(queue)
    delay_ms = session.length_of_time(delay, "--delay") * 1000
    options = JobOptions(priority=priority, delay_ms=delay_ms or None, job_id=job_id, attempts=attempts, lifo=lifo or None)
    found = adding.payloads(payload)
    if job_id is not None and len(found) > 1:
        session.fail(f"--id names one job, and {len(found)} are given", session.USAGE)
    if not unchecked:
        adding.check_payloads(name, found)
    session.run(lambda server, settings: adding.add(server, settings, name=name, found=found, options=options))


@app.command(
    rich_help_panel="Add", cls=Command,
    help="Queue a cleanup, once per hour, day, week or month; with --dry-run show what it would remove, and touch nothing.\n\n" + _CLEANUPS,
)  # fmt: skip
def cleanup(
    kind: Annotated[
        str, typer.Argument(metavar="TYPE", help="The kind of cleanup: temp-files, for example.", autocompletion=names.complete_cleanups)
    ],
    zone: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--time-zone", metavar="ZONE", help="Whose hour, day, week or month: an IANA name (Asia/Riyadh). UTC when not given."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Even if this slot's cleanup was queued before.")] = False,
    retire: Annotated[
        bool, typer.Option("--retire-node-schedule", help="End the schedule that Node workers registered for the same cleanup.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Search here and now, and list what would go. Needs DATABASE_URL and the object store.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=0, max=1000, help="How much a dry run lists at most; it counts all.")
    ] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print what a dry run finds as JSON.")] = False,
) -> None:
    from kayan_workers.cli import cleaning

    chosen = session.named(kind, list(KINDS), "cleanup")
    if not dry_run:
        if as_json:
            session.fail("--json belongs to --dry-run", session.USAGE)
        where = session.time_zone(zone or "UTC", "--time-zone")
        session.run(lambda server, settings: cleaning.add(server, settings, kind=chosen, zone=where, again=again, retire=retire))
        return
    if again or retire or zone:
        session.fail(
            "a dry run queues nothing, ends no schedule: --time-zone, --again and --retire-node-schedule do not go with it", session.USAGE
        )
    settings = session.settings_for(session.roles_named(["cleanup"]))
    with session.to_a_reader_who_may_leave():
        cleaning.rehearse(settings, kind=chosen, limit=limit, as_json=as_json)


# -- change ----------------------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel="Change", cls=Command)
def retry(
    queue: Queue,
    job_ids: Annotated[Optional[list[str]], typer.Argument(metavar="[ID...]", help="Ids of failed jobs.")] = None,  # noqa: UP045
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every failed job of the queue.")] = False,
) -> None:
    """Let failed jobs run once more."""
    from kayan_workers.cli import change

    name = session.queue_named(queue)
    session.either(job_ids, all_failed, "--all-failed")
    if all_failed:
        session.run(lambda server, settings: change.retry_all_failed(server, settings, name=name))
    else:
        session.run(lambda server, settings: change.each_job(server, settings, name=name, job_ids=job_ids or [], what="retry"))


@app.command(rich_help_panel="Change", cls=Command)
def promote(
    queue: Queue,
    job_ids: Annotated[Optional[list[str]], typer.Argument(metavar="[ID...]", help="Ids of delayed jobs.")] = None,  # noqa: UP045
    all_delayed: Annotated[bool, typer.Option("--all", help="Every delayed job but the next runs of schedules.")] = False,
) -> None:
    """Let delayed jobs run now, those that wait for a retry too."""
    from kayan_workers.cli import change

    name = session.queue_named(queue)
    session.either(job_ids, all_delayed, "--all")
    if all_delayed:
        session.run(lambda server, settings: change.promote_all(server, settings, name=name))
    else:
        session.run(lambda server, settings: change.each_job(server, settings, name=name, job_ids=job_ids or [], what="promote"))


@app.command(rich_help_panel="Change", cls=Command)
def remove(queue: Queue, job_ids: JobIds, yes: Yes = False) -> None:
    """Delete jobs, wherever they stand; running ones are refused."""
    from kayan_workers.cli import change

    name = session.queue_named(queue)
    session.confirm(f"Delete {len(job_ids)} jobs of {name}?" if len(job_ids) > 1 else f"Delete job {job_ids[0]} of {name}?", yes)
    session.run(lambda server, settings: change.each_job(server, settings, name=name, job_ids=job_ids, what="remove"))


@app.command(rich_help_panel="Change", cls=Command)
def pause(queues: Queues) -> None:
    """Let no worker, Node's neither, take another job of these queues (or families of them, or all). Running jobs go on."""
    from kayan_workers.cli import change

    chosen = session.queues_named(queues)
    session.run(lambda server, settings: change.pause(server, settings, queues=chosen, resume=False))


@app.command(rich_help_panel="Change", cls=Command)
def resume(queues: Queues) -> None:
    """End the pause of these queues (or families of them, or all)."""
    from kayan_workers.cli import change

    chosen = session.queues_named(queues)
    session.run(lambda server, settings: change.pause(server, settings, queues=chosen, resume=True))


@app.command(rich_help_panel="Change", cls=Command)
def empty(queue: Queue, yes: Yes = False) -> None:
    """Delete all jobs that wait or are delayed. Running and finished ones stay, schedules go on."""
    from kayan_workers.cli import change

    name = session.queue_named(queue)
    if not yes:
        waiting, delayed = session.run(lambda server, settings: change.count(server, settings, name=name))
        session.confirm(f"Delete {waiting} waiting and {delayed} delayed jobs of {name} for good?", yes)
    session.run(lambda server, settings: change.empty(server, settings, name=name))


@app.command(rich_help_panel="Change", cls=Command)
def clean(
    queue: Queue,
    state: Annotated[
        str,
        typer.Option(
            "--state", "-s", metavar="STATE", help="completed, failed, waiting, delayed, active or paused.",
            autocompletion=names.complete_states,
        ),
    ] = "completed",
    older_than: Annotated[str, typer.Option("--older-than", metavar="TIME", help="Only what is older: 90s, 5m, 2h, 7d.")] = "0s",
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=0, help="How many at most; 0 is all.")] = 0,
    yes: Yes = False,
) -> None:
    """Delete the jobs of one state."""
    from kayan_workers.cli import change

    name = session.queue_named(queue)
    chosen = session.named(state, names.STATES, "state")
    age = session.length_of_time(older_than, "--older-than")
    which = f"the {limit} oldest" if limit else "all"
    session.confirm(f"Delete {which} {chosen} jobs of {name}{f' older than {older_than}' if age else ''} for good?", yes)
    session.run(
        lambda server, settings: change.clean(
            server, settings, name=name, state=chosen, older_than_seconds=age, limit=limit  # type: ignore[arg-type]
        )
    )


@app.command(rich_help_panel="Change", cls=Command)
def unschedule(
    queue: Queue, key: Annotated[str, typer.Argument(metavar="KEY", help="As `kayan schedules` shows it.")], yes: Yes = False
) -> None:
    """End a schedule; a run that has begun goes on."""
    from kayan_workers.cli.schedules import end

    name = session.queue_named(queue)
    session.confirm(f"End the schedule {key} of {name}?", yes)
    session.run(lambda server, settings: end(server, settings, name=name, key=key))
