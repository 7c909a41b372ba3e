"""`inspectorate audit inference`: answers of a served model, run again from a prover's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from inspectorate.canonical import digest_of, parse_json
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, print_json
from inspectorate.errors import InputError
from inspectorate.evidence.inspected import PACKETS_MAX, ReplayMethod
from inspectorate.files import read_bounded
from inspectorate.mechanisms.inspection.results import Outcome, PacketResult, Tolerance
from inspectorate.mechanisms.inspection.tokens.covert import Leak
from inspectorate.mechanisms.inspection.tokens.decoder import Precision
from inspectorate.mechanisms.inspection.tokens.reference import TOKENS_PER_S
from inspectorate.mechanisms.inspection.tokens.replay import Bounds, InferenceReplayer
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.types import InferenceHeader

_folder = click.Path(exists=True, file_okay=False, path_type=Path)
METHODS = (ReplayMethod.EXACT.value, ReplayMethod.TOPLOC.value, ReplayMethod.DIFR.value)
TOLERANCE_BYTES_MAX = 1 << 20


@click.command()
@click.argument("run", type=_folder)
@click.option("--model", type=_folder, required=True, help="The declared model: config.json and safetensors.")
@click.option("--method", type=click.Choice(METHODS), default="exact", show_default=True)
@click.option("--tolerance", "tolerance_path", type=EXISTING_FILE, help="The agreed tolerance (JSON); none for exact.")
@click.option("--packet", "numbers", type=click.IntRange(0, PACKETS_MAX), multiple=True, help="All by default.")
@click.option(
    "--precision", type=click.Choice(Precision, case_sensitive=False), default=Precision.FLOAT32, show_default=True
)
@click.option("--tokens-per-second", "tokens_per_s", type=FiniteRange(min=0), default=TOKENS_PER_S, show_default=True,
              help="Of the server, for what could leave it in a day.")  # fmt: skip
@click.option("--seconds", type=FiniteRange(1, 86_400), default=600.0, show_default=True, help="Of processor time.")
@json_option
def inference(**options: object) -> None:
    """Run the answers in the folder RUN again, and say what differs and how many bits a token the check lets through.

    Packets of a folder were not drawn: a prover may have chosen what is in it. For packets that were, see `replay`.

    Exits 20 where an answer cannot come from the declared model, 10 where a packet could not be run, 30 where the folder is no
    run.
    """
    run, model = Path(str(options["run"])), Path(str(options["model"]))
    method = ReplayMethod(str(options["method"]))
    tolerance = read_tolerance(options["tolerance_path"], method)
    reader = FolderReader(run)
    if not isinstance(reader.header, InferenceHeader):
        raise InputError("is a run of training", where=str(run), remedy="see `inspectorate replay`")
    chosen = options["numbers"]
    assert isinstance(chosen, tuple)
    numbers = tuple(dict.fromkeys(chosen)) or tuple(range(reader.count))
    if not numbers or max(numbers) >= reader.count:
        raise InputError(f"holds {reader.count} packets, and others are asked for or none is there", where=str(run))
    replayer = InferenceReplayer(
        folder=run,
        model=model,
        header=reader.header,
        packets={number: reader.packet(number) for number in numbers},
        method=method,
        tolerance=tolerance,
        precision=Precision(str(options["precision"])),
        bounds=Bounds(seconds=float(str(options["seconds"]))),
    )
    results = replayer.replay(numbers)
    rate = float(str(options["tokens_per_s"]))
    if options["as_json"]:
        print_json(_as_json(replayer, results, rate))
    else:
        _show(replayer, results, rate)
    raise click.exceptions.Exit(exit_code(results))


def exit_code(results: Sequence[PacketResult]) -> int:
    """20 where a packet differs, 10 where one was not run, or none was asked; 0 otherwise."""
    outcomes = {one.outcome for one in results}
    if Outcome.DIFFERED in outcomes:
        return 20
    return 0 if outcomes == {Outcome.MATCHED} else 10


def read_tolerance(path: object, method: ReplayMethod) -> Tolerance | None:
    """The agreed tolerance of a method that has one. Raises `InputError`."""
    if (method is ReplayMethod.EXACT) != (path is None):
        raise InputError("is needed by every method but exact, which has none", where="--tolerance")
    if path is None:
        return None
    where = Path(str(path))
    data = read_bounded(where, TOLERANCE_BYTES_MAX)
    found = Tolerance.parse(parse_json(data, where=str(where)), where=str(where), error=InputError)
    if found.method is not method:
        raise InputError(f"is for the method {found.method.value}", where=str(where))
    return found


def _left(results: Sequence[PacketResult], rate: float) -> Leak | None:
    """The most that any packet's check lets through; none where nothing was compared."""
    bits = [one.covert_bits_per_token for one in results if one.covert_bits_per_token is not None]
    return Leak(max(bits), rate) if bits else None


def _as_json(replayer: InferenceReplayer, results: Sequence[PacketResult], rate: float) -> dict[str, object]:
    left = _left(results, rate)
    tolerance = replayer.tolerance
    return {
        "run": replayer.header.run, "model": replayer.header.model, "method": replayer.method.value,
        "tolerance": None if tolerance is None else digest_of(tolerance.canonical_bytes()),
        "stack": replayer.stack.model_dump(mode="json"),
        "covert_bits_per_token": None if left is None else left.bits_per_token,
        "covert_gb_per_day": None if left is None else left.gb_per_day, "tokens_per_s": rate,
        "results": [one.model_dump(mode="json") for one in results],
    }  # fmt: skip


def _show(replayer: InferenceReplayer, results: Sequence[PacketResult], rate: float) -> None:
    table = Table("packet", "outcome", "tokens", "distance", "bits a token left", "why", box=None)
    for one in results:
        table.add_row(
            str(one.packet), one.outcome.value, str(one.tokens), "-" if one.distance is None else f"{one.distance:.3g}",
            "-" if one.covert_bits_per_token is None else f"{one.covert_bits_per_token:.3g}", one.reason,
        )  # fmt: skip
    Console(width=132, highlight=False).print(table)
    counts = {outcome: sum(one.outcome is outcome for one in results) for outcome in Outcome}
    click.echo(", ".join(f"{count} {outcome.value}" for outcome, count in counts.items()))
    if (left := _left(results, rate)) is not None:
        click.echo(
            f"{replayer.method.value} lets through at most {left.bits_per_token:.3g} bits a token: "
            f"{left.gb_per_day:.3g} GB a day at {rate:,.0f} tokens/s"
        )
    if replayer.tolerance is not None:
        kept = replayer.tolerance
        click.echo(
            f"threshold {kept.threshold:.3g} ({kept.unit}); an honest packet passes it with chance "
            f"{kept.false_alarm_rate:g} at most, at confidence {kept.confidence:g}, from {kept.honest_runs} honest runs"
        )
