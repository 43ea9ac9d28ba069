"""gpudoctor probe: the facts as JSON."""

from __future__ import annotations

from pathlib import Path

import click

from gpudoctor import exit_codes
from gpudoctor.cli import options
from gpudoctor.document import schema
from gpudoctor.errors import InputError
from gpudoctor.facts import Facts
from gpudoctor.readings import Unread
from gpudoctor.redact import redacted
from gpudoctor.render import to_json


@click.command(epilog="Example: gpudoctor probe --redact > host.json; gpudoctor check --facts host.json")
@click.option("--schema", "print_schema", is_flag=True, help="Print the JSON Schema of the facts instead.")
@click.option("--redact", is_flag=True, help="Hide names, addresses and serial numbers.")
@options.source_options
@options.python_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(["json", "text"]),
    default="json",
    show_default=True,
    help="What to print: json is what --facts reads, text is for people.",
)
@options.colour_option
def command(
    print_schema: bool,
    redact: bool,
    facts_path: str | None,
    host_root: Path | None,
    timeout_seconds: float,
    python: str | None,
    format_: str,
    no_color: bool,
) -> int:
    """Print the facts of this machine, as JSON for `--facts` on any other, or as text.

    Exit code: 0, or 3 when driver and GPUs could not be read.
    """
    if print_schema:
        if format_ == "text":
            raise InputError("--schema is JSON", "leave --format text out")
        document = schema(Facts)
        document["properties"]["schema"] = {"const": to_json.FACTS_SCHEMA}
        document["properties"]["version"] = {"type": "string"}
        document["required"] += ["schema", "version"]
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": to_json.FACTS_SCHEMA}
        click.echo(to_json.dumps({**head, **document}))
        return exit_codes.WELL
    facts = options.probe_facts(facts_path, host_root, timeout_seconds, python)
    shown = redacted(facts) if redact else facts
    if format_ == "text":
        from gpudoctor.render import facts_to_text

        click.echo(facts_to_text.facts(shown, paint=options.painter(no_color=no_color)))
    else:
        click.echo(to_json.dumps(to_json.facts(shown)))
    return exit_codes.COULD_NOT_LOOK if _blind(facts) else exit_codes.WELL


def _blind(facts: Facts) -> bool:
    """Neither NVML nor the PCI bus could be read; a bus without NVIDIA GPUs is an answer."""
    system = facts.system
    off_the_bus = system.wsl or system.jetson
    no_gpu = not isinstance(facts.pci_gpus, Unread) and not facts.pci_gpus and not off_the_bus
    return isinstance(facts.gpus, Unread) and not no_gpu
