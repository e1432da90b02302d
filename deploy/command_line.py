"""The program `bilans`: its commands, each in a module of its own that is imported only when it is called."""

import sys
from dataclasses import dataclass
from importlib import import_module

import click
import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

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
    "ingest": _Entry("deploy.service_commands", "ingest", "Runs one ingest, as the BILANS_… variables say."),
    "balancer": _Entry("deploy.service_commands", "balancer", "Runs one balancer, as the BILANS_… variables say."),
    "api": _Entry("deploy.service_commands", "api", "Runs one API, as the BILANS_… variables say."),
    "test": _Entry("deploy.test_command", "test", "Runs the checks and the default test suite."),
}


class _LazyCommands(TyperGroup):
    """Knows the commands' names and lines; imports a command when it is to run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _COMMANDS.get(cmd_name)
        return TyperCommand(name=cmd_name, help=entry.help) if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        entry = _COMMANDS.get(args[0])
        if entry is None:
            return super().resolve_command(ctx, args)
        target = getattr(import_module(entry.module), entry.attribute)
        if not isinstance(target, typer.Typer):
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(name=args[0])(target)
            target = alone
        command = get_command(target)
        command.name = args[0]
        return args[0], command, args[1:]


app = typer.Typer(cls=_LazyCommands, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def bilans() -> None:
    """Bilans: the real-time energy balance and flexibility service of an energy cluster.

    Start with `./bilans demo`. Every command explains itself with --help.
    """


def main() -> None:
    """Runs the command line; an error that a person can act on is one line on standard error, exit code 2."""
    try:
        app(prog_name="bilans")
    except BilansError as error:
        print(f"bilans: {error}", file=sys.stderr)
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
