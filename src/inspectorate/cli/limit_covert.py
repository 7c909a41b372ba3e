"""`inspectorate limit covert`: what is left for a cheater within a limit."""

from __future__ import annotations

from typing import Any

import click

from inspectorate.cli.options import FiniteRange, json_option, print_json
from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.enforce import covert as channels

_positive = FiniteRange(min=0, min_open=True)
_not_negative = FiniteRange(min=0)


@click.command()
@click.option("--limit", "limit_bytes_per_s", type=_positive, default=125_000.0, show_default=True, help="Bytes/s.")
@click.option(
    "--honest",
    "honest_bytes_per_s",
    type=_not_negative,
    default=17_000.0,
    show_default=True,
    help="Bytes/s of answers.",
)
@click.option("--packets", "packets_per_s", type=_not_negative, default=100.0, show_default=True, help="Packets/s.")
@click.option("--slots", "timing_slots", type=click.IntRange(1, 10**9), default=16, show_default=True)
@click.option("--sizes", type=click.IntRange(1, 65_536), default=64, show_default=True)
@click.option("--flows", type=click.IntRange(1, 10**6), default=16, show_default=True)
@click.option("--token-bits", type=_positive, default=channels.TOKEN_BITS, show_default=True)
@click.option("--entropy-bits", type=_not_negative, default=channels.SAMPLING_ENTROPY_BITS, show_default=True)
@click.option("--parameters", type=_positive, default=405e9, show_default=True, help="Of the declared model.")
@click.option("--bits", type=_positive, default=16.0, show_default=True, help="Per parameter.")
@click.option(
    "--compressed-to",
    type=FiniteRange(0, 1, min_open=True),
    default=1 / 16,
    show_default=True,
    help="Size after compression over size before; 1 bit per parameter is held to be feasible.",
)
@click.option("--served", type=_positive, help="Instead of --limit and --honest: verified bytes a day of a whole site.")
@json_option
def covert(**options: Any) -> None:
    """What an allowed link could still carry unseen, in bytes a day, and the days to take a model out."""
    as_json, served = options.pop("as_json"), options.pop("served")
    model = channels.Model.parse(
        {name: options.pop(name) for name in ("parameters", "bits", "compressed_to")},
        where="the model",
        error=InputError,
    )
    if served is not None:
        _print_served(served, model, as_json)
        return
    use = channels.LinkUse.parse(options, where="the link", error=InputError)
    found = channels.capacity(use, model)
    if as_json:
        print_json({"use": use.model_dump(), "model": model.model_dump(), **found.model_dump()})
        return
    rows = (
        ("room below the limit", f"{_bytes(found.volume)}"),
        ("content of answers", f"{_bytes(found.content.low)} (hidden in sampling) to {_bytes(found.content.high)}"),
        ("timing of packets", _bytes(found.timing)),
        ("sizes of packets", _bytes(found.sizes)),
        ("order of flows", _bytes(found.order)),
        ("in all, nothing verified", _bytes(found.unverified)),
        ("in all, answers recomputed", _verified(found.verified)),
    )
    for name, text in rows:
        click.echo(f"{name:28} {text}")
    click.echo(f"{'the model':28} {_bytes(model.size_bytes).removesuffix(' a day')} to be carried")
    click.echo(f"{'days, nothing verified':28} {_days(found.days_unverified)}")
    if found.days_verified:
        first, last = found.days_verified
        click.echo(f"{'days, answers recomputed':28} {_days(first)} (contested) to {_days(last)} (claimed)")


def _print_served(served: float, model: channels.Model, as_json: bool) -> None:
    left = channels.residual_bytes_per_day(served)
    contested = [served / slowdown for slowdown in channels.SLOWDOWN_CONTESTED]
    days = [channels.days_to_carry(model, value) for value in (left.high, left.low)]
    if as_json:
        print_json(
            {
                "served_bytes_per_day": served,
                "residual_claimed": left.low,
                "residual_contested": sorted(contested),
                "slowdown_claimed": channels.SLOWDOWN_CLAIMED,
                "slowdown_contested": list(channels.SLOWDOWN_CONTESTED),
                "model_bytes": model.size_bytes,
                "days": days,
            }
        )
        return
    least, most = channels.SLOWDOWN_CONTESTED
    click.echo(f"{'served':28} {_bytes(served)}")
    click.echo(f"{'left as claimed':28} {_bytes(left.low)} (slow-down {channels.SLOWDOWN_CLAIMED:g})")
    click.echo(
        f"{'left as contested':28} {_bytes(min(contested))} to {_bytes(max(contested))} (slow-down {most:g} to {least:g})"
    )
    click.echo(f"{'days for the model':28} {_days(days[0])} (contested) to {_days(days[1])} (claimed)")


def _verified(between: channels.Between) -> str:
    return f"{_bytes(between.low)} (claimed) to {_bytes(between.high)} (contested)"


def _bytes(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:,.3g} {unit} a day"
    return f"{value:,.0f} B a day"


def _days(value: float | None) -> str:
    return "never" if value is None else f"{value:,.3g} days"
