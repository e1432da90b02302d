"""The program `bilans`: its commands, each in a module of its own that is imported only when it is called."""

import sys
from dataclasses import dataclass
from importlib import import_module

import typer

from shared.errors import BilansError

EXIT_ERROR = 2


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a command is: a function or a `typer.Typer` in a module."""

    module: str
    attribute: str
    help: str
    """Its line in `bilans --help`, here so that help need not import every command."""


_COMMANDS = {
    "demo": _Entry("deploy.demo", "demo", "Shows it all: real Kafka, real PostgreSQL, a replayed week, the live page."),
    "up": _Entry("deploy.up_command", "up", "Runs Bilans on this machine, with its own Kafka and PostgreSQL."),
    "replay": _Entry("deploy.replay.command", "replay", "Sends a readings file to a running Bilans."),
    "topology": _Entry("deploy.topology_commands", "topology", "Checks and loads a folder of zones and meters."),
    "rejected": _Entry("deploy.rejected.commands", "rejected", "Shows rejected readings, and sends them again."),
    "baseline": _Entry("deploy.baselines.command", "baseline", "Says how good baselines of orders would have been."),
    "forecast": _Entry("deploy.forecast.command", "forecast", "Says how good forecasts would have been."),
    "verify": _Entry("deploy.verify.command", "verify", "Recomputes everything from the archive and compares."),
    "ingest": _Entry("deploy.service_commands", "ingest", "Runs one ingest, as the BILANS_… variables say."),
    "balancer": _Entry("deploy.service_commands", "balancer", "Runs one balancer, as the BILANS_… variables say."),
    "api": _Entry("deploy.service_commands", "api", "Runs one API, as the BILANS_… variables say."),
    "bench": _Entry("deploy.bench.command", "bench", "Measures Bilans on this machine, and checks each answer."),
    "test": _Entry("deploy.test_command", "test", "Runs the checks and the default test suite."),
}


def make_app(called: str) -> typer.Typer:
    """The command line in which the command `called` is imported and the others are only listed."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
    app.callback()(bilans)
    for name, entry in _COMMANDS.items():
        if name != called:
            app.command(name, help=entry.help)(_only_listed)
            continue
        target = getattr(import_module(entry.module), entry.attribute)
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name)
        else:
            app.command(name)(target)
    return app


def bilans() -> None:
    """Bilans: the real-time energy balance and flexibility service of an energy cluster.

    Start with `./bilans demo`. Every command explains itself with --help.
    """


def _only_listed() -> None:
    raise AssertionError("the command that is called was not imported")


def main() -> None:
    """Runs the command line; an error that a person can act on is one line on standard error, exit code 2."""
    try:
        make_app(called=next(iter(sys.argv[1:]), ""))(prog_name="bilans")
    except BilansError as error:
        print(f"bilans: {error}", file=sys.stderr)
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
