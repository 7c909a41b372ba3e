"""`inspectorate intake serve` and `inspectorate intake tor`: run an intake, and the onion service in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import click

from inspectorate.cli.options import EXISTING_FILE, json_option, print_json, write_text
from inspectorate.cli.running import ledger_append
from inspectorate.errors import InputError
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.intake.hardening import harden
from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.intake.volume import KEY
from inspectorate.mechanisms.whistleblowing.web.config import CONFIG, Config
from inspectorate.mechanisms.whistleblowing.web.server import Server, listen
from inspectorate.mechanisms.whistleblowing.web.serving import serve as serve_until_asked
from inspectorate.mechanisms.whistleblowing.web.site import Site
from inspectorate.mechanisms.whistleblowing.web.tor import TorSettings, make_address, tor_version, torrc, verify_config

_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_new_path = click.Path(path_type=Path)


@click.command()
@click.argument("folder", type=_folder)
@click.option("--config", "config_path", type=EXISTING_FILE, help="Instead of serve.yaml in the folder.")
@click.option("--socket", type=_new_path, help="Listen at this unix socket, as tor reaches it.")
@click.option("--host", help="Listen at this address. 127.0.0.1 by default.")
@click.option("--port", type=click.IntRange(0, 65535), help="8480 by default; 0: any that is free.")
@click.option("--ledger", type=_folder, help="The log for the commitments of batches.")
@click.option("--beyond-loopback", is_flag=True, help="Let --host be an address that other machines reach.")
def serve(folder: Path, config_path: Path | None, beyond_loopback: bool, **options: Any) -> None:
    """Run the intake in FOLDER: hand out its pages, take reports in, and write at its fixed rhythm.

    It stays until SIGTERM or SIGINT, prints where it listens and what it could not close off, and then a line an hour
    that tells of faults of this program, not of visitors. No log of requests is written anywhere.
    """
    path = config_path or folder / CONFIG
    config = Config.read(path)
    given = {
        name: str(value) if isinstance(value, Path) else value for name, value in options.items() if value is not None
    }
    if "socket" in given or "ledger" in given:
        given |= {name: str(Path(given[name]).absolute()) for name in ("socket", "ledger") if name in given}
    if "host" in given or "port" in given:
        given.setdefault("socket", "")
    config = config.model_copy(update=given)
    if not config.ledger:
        raise InputError(
            "names no log for the commitments of batches",
            where=str(path),
            remedy="give `ledger`; `inspectorate ledger init` makes one",
        )
    lacks = harden()
    with contextlib.ExitStack() as stack:
        key_path = folder / config.ledger_key if config.ledger_key else None
        append = ledger_append(stack, folder / config.ledger, key_path, SigningKey.read(folder / KEY))
        assert append is not None
        asyncio.run(_serve(folder, config, Intake.open(folder, log=append), (beyond_loopback, lacks)))


async def _serve(folder: Path, config: Config, intake: Intake, said: tuple[bool, tuple[str, ...]]) -> None:
    beyond_loopback, lacks = said
    try:
        config.check(intake.settings, intake.offices, where=str(folder / CONFIG))
        address = config.address(folder)
        site = Site(
            intake,
            config.shown(intake.settings, address),
            config.limits,
            hosts=config.hosts(address),
            clock=time.monotonic,
        )
        where = config.where(folder, beyond_loopback=beyond_loopback)
        sock = listen(where)
        name = sock.getsockname()
        click.echo(f"listening at {where.path}" if where.path else f"listening at http://{where.host}:{name[1]}/")
        if address:
            click.echo(f"onion address: http://{address}/")
        for lack in lacks:
            click.echo(f"not closed off: {lack}", err=True)
        await serve_until_asked(intake, Server(site, config.limits), sock, click.echo)
    finally:
        intake.close()


@click.command()
@click.argument("folder", type=_new_path)
@click.option("--socket", type=_new_path, required=True, help="The unix socket at which `intake serve` listens.")
@click.option("--port", type=click.IntRange(1, 65535), default=80, show_default=True, help="Of the onion address.")
@click.option("--tor", "program", default="tor", show_default=True, help="The program.")
@json_option
def tor(folder: Path, socket: Path, port: int, program: str, as_json: bool) -> None:
    """Write the configuration of an onion service into FOLDER, have tor check it, and let tor make its address.

    Tor is started without a network, makes the keys, and is ended again. FOLDER then holds `torrc`, and below `data`
    what is tor's own: keep it as secret as the key of the intake. The address is for the pages and for paper.
    """
    folder = folder.absolute()
    settings = TorSettings(data=str(folder / "data"), socket=str(socket.absolute()), port=port)
    text = torrc(settings)
    version = ".".join(map(str, tor_version(program)))
    config = folder / "torrc"
    write_text(config, text)
    verify_config(program, config)
    address = make_address(program, config, settings)
    if as_json:
        print_json({"address": address, "torrc": str(config), "hostname": str(settings.hostname), "tor": version})
        return
    click.echo(f"tor {version} takes {config}")
    click.echo(f"onion address: http://{address}/")
    click.echo(f"for serve.yaml: onion: {settings.hostname}")
    click.echo(f"run: {program} -f {config}")
