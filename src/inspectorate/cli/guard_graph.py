"""`inspectorate guard graph`: declare a computation, hold weights against it, and recompute answers.

Exit codes: 0 consistent, 10 cannot tell, 20 differs, 30 invalid evidence, 2 wrong use.
"""

from __future__ import annotations

import os
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from inspectorate.canonical import first_fault, parse_json
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, FiniteRange, json_option, print_json, write_text
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.guarantee.graph.build import Size, encoder_model, gated_model
from inspectorate.mechanisms.guarantee.graph.flop import beside_listed, flop_of_job, flop_of_token
from inspectorate.mechanisms.guarantee.graph.memory import BlockTree
from inspectorate.mechanisms.guarantee.graph.recheck import Bounds, Job, Rechecked, Sample, recheck_apart
from inspectorate.mechanisms.guarantee.graph.reference import (
    GRAPH_BYTES_MAX,
    TRANSCRIPT_BYTES_MAX,
    WEIGHTS_BYTES_MAX,
    Format,
)
from inspectorate.mechanisms.guarantee.graph.tolerance import Tolerance
from inspectorate.mechanisms.guarantee.graph.types import Choice, Graph, Outcome, Repeat, Sampling, Serving
from inspectorate.mechanisms.guarantee.graph.weights import parse_weights

EXIT = {Outcome.CONSISTENT: 0, Outcome.CANNOT_TELL: 10, Outcome.DIFFERS: 20}


@click.group()
def graph() -> None:
    """Declare a computation, hold weights against it, and recompute answers."""


@graph.command()
@click.argument("path", type=NEW_PATH)
@click.option("--name", required=True)
@click.option(
    "--layout",
    type=click.Choice(["encoder", "gated"]),
    required=True,
    help="torch.nn.TransformerEncoder with a mask, or the gated layout of recent open weights.",
)
@click.option("--width", type=click.IntRange(min=1), required=True)
@click.option("--layers", type=click.IntRange(min=1), required=True)
@click.option("--heads", type=click.IntRange(min=1), required=True)
@click.option("--key-heads", type=click.IntRange(min=1), help="Of grouped attention; without it, as many as heads.")
@click.option("--feed-forward", type=click.IntRange(min=1), required=True)
@click.option("--vocabulary", type=click.IntRange(min=1), required=True)
@click.option("--context", type=click.IntRange(min=1), required=True)
@click.option("--sampling", type=click.Choice([one.value for one in Choice]), required=True)
@click.option("--temperature", type=FiniteRange(0), default=1.0, show_default=True)
@click.option("--top-k", type=click.IntRange(min=1))
@click.option("--slides", is_flag=True, help="Past its context it goes on with the last tokens.")
@click.option("--keeps-nothing", is_flag=True, help="Keys and values are computed anew for each token.")
@click.option("--quantised-group", type=click.IntRange(min=1), help="Gated: 8-bit weights, one scale for so many.")
@click.option("--stored", type=click.Choice(["float32", "float16", "bfloat16"]), default="bfloat16", show_default=True)
@json_option
def new(path: Path, as_json: bool, **options: str | int | float | bool | None) -> None:
    """Write the declaration of a language model to PATH."""
    made = _made(options)
    write_text(path, made.canonical_bytes())
    if as_json:
        print_json({"graph": str(path), "digest": made.digest})
    else:
        click.echo(made.digest)


@graph.command()
@click.argument("path", type=EXISTING_FILE)
@click.option("--context", type=click.IntRange(min=1), help="Tokens that a token looks back on; without it, all.")
@json_option
def show(path: Path, context: int | None, as_json: bool) -> None:
    """Print what a declared graph is and costs."""
    declared = _read_graph(path)
    numbers, size = declared.count()
    cost = flop_of_token(declared, context) if declared.serving is not None else flop_of_job(declared)
    result = {
        "name": declared.name,
        "digest": declared.digest,
        "parameters": numbers,
        "parameter_bytes": size,
        "arithmetic": declared.arithmetic.value,
        "per": "token" if declared.serving is not None else "run",
        "flop": cost.total,
        "flop_of_matrix_products": cost.matrix,
        "sampling": None if declared.serving is None else declared.serving.sampling.choice.value,
        "context": None if declared.serving is None else declared.serving.context,
    }
    if as_json:
        print_json(result)
        return
    table = Table("block", "operation", "reads", "parameters", "times")
    for item in declared.body:
        times = item.times if isinstance(item, Repeat) else 1
        for block in item.blocks if isinstance(item, Repeat) else (item,):
            table.add_row(block.output, block.operation, ", ".join(block.reads()), ", ".join(block.uses()), str(times))
    Console().print(table)
    for key, value in result.items():
        if value is not None:
            click.echo(f"{key.replace('_', ' ')}: {value:,.6g}" if isinstance(value, float) else f"{key}: {value}")


@graph.command()
@click.argument("path", type=EXISTING_FILE)
@click.argument("weights", type=EXISTING_FILE)
@click.option("--content", metavar="DIGEST", help="The digest that the ruleset lists for the weights.")
@click.option("--listed-flop", type=FiniteRange(0), help="FLOP per token that the ruleset lists.")
@json_option
def check(path: Path, weights: Path, content: str | None, listed_flop: float | None, as_json: bool) -> None:
    """Hold the file WEIGHTS against the graph in PATH: exactly its tensors, and what the ruleset lists for them.

    Exits 30 where the file is not that of the graph, 20 where the ruleset lists less than the graph takes.
    """
    declared = _read_graph(path)
    data = read_bounded(weights, WEIGHTS_BYTES_MAX, too_large=EvidenceError)
    found = parse_weights(data, declared, content=content, where=str(weights))
    problems: tuple[str, ...] = ()
    if listed_flop is not None:
        if declared.serving is None:
            raise InputError("a matrix job has no FLOP per token", where=str(path))
        problems = beside_listed(
            declared, flop_per_token_listed=listed_flop, size_bytes_listed=found.size_bytes
        ).problems
    result = {
        "graph": declared.digest,
        "content": found.content,
        "size_bytes": found.size_bytes,
        "tensors": len(found.tensors),
        "tensor_root": found.root,
        "memory_root": BlockTree(data).held.model_dump(mode="json"),
        "problems": list(problems),
    }
    if as_json:
        print_json(result)
    else:
        click.echo(f"{len(found.tensors)} tensors, all declared, in {found.size_bytes} bytes\ncontent {found.content}")
        for problem in problems:
            click.echo(f"problem: {problem}")
    if problems:
        raise click.exceptions.Exit(EXIT[Outcome.DIFFERS])


@graph.command()
@click.argument("path", type=EXISTING_FILE)
@click.argument("weights", type=EXISTING_FILE)
@click.option(
    "--sample",
    "samples",
    type=(EXISTING_FILE, EXISTING_FILE),
    multiple=True,
    required=True,
    metavar="REQUEST ANSWER",
    help="The content of a request and of its answer; may be given again.",
)
@click.option(
    "--tolerance", "tolerance_path", type=EXISTING_FILE, required=True, help="Measured for this graph (JSON)."
)
@click.option("--content", metavar="DIGEST", required=True, help="The digest that the ruleset lists for the weights.")
@click.option("--seconds", type=FiniteRange(min=1), default=60.0, show_default=True)
@click.option("--places", type=click.IntRange(min=1), default=512, show_default=True, help="Tokens looked at in each.")
@json_option
def recheck(
    path: Path,
    weights: Path,
    samples: tuple[tuple[Path, Path], ...],
    tolerance_path: Path,
    content: str,
    seconds: float,
    places: int,
    as_json: bool,
) -> None:
    """Recompute answers with the graph in PATH on WEIGHTS, in a process of its own. Exits 20 where one differs."""
    declared = _read_graph(path)
    tolerance = Tolerance.parse(
        parse_json(read_bounded(tolerance_path, 1 << 20, too_large=EvidenceError), where=str(tolerance_path)),
        where=str(tolerance_path),
        error=InputError,
    )
    if tolerance.graph != declared.digest:
        raise InputError("was measured for another graph", where=str(tolerance_path))
    job = Job.of(
        declared, (path.resolve(), weights.resolve()), content, spread_max=tolerance.spread_max, draw=os.urandom(32)
    ).model_copy(update={"bounds": Bounds(seconds=seconds, places_max=places)})
    kept = [
        Sample(
            number=number,
            request=read_bounded(asked, TRANSCRIPT_BYTES_MAX, too_large=EvidenceError),
            answer=read_bounded(said, TRANSCRIPT_BYTES_MAX, too_large=EvidenceError),
        )
        for number, (asked, said) in enumerate(samples)
    ]
    found = recheck_apart(job, kept)
    if as_json:
        print_json({"graph": declared.digest, "samples": [one.model_dump(mode="json") for one in found]})
    else:
        for (asked, _), one in zip(samples, found, strict=True):
            click.echo(f"{asked}: {one.outcome.value}: {_in_words(one)}")
    raise click.exceptions.Exit(max(EXIT[one.outcome] for one in found))


def _in_words(one: Rechecked) -> str:
    where = f" at token {one.where}" if one.where is not None else ""
    bits = f", {one.covert_bits / one.checked:.3g} bits a token left to signal" if one.checked else ""
    return f"{one.reason}{where}; {one.checked} of {one.tokens} tokens checked{bits}"


def _made(options: dict[str, str | int | float | bool | None]) -> Graph:
    """Raises `InputError` where sizes do not fit."""
    try:
        serving = Serving.model_validate(
            {
                "vocabulary": options["vocabulary"],
                "context": options["context"],
                "beyond": "slide" if options["slides"] else "refuse",
                "cached": not options["keeps_nothing"],
                "sampling": Sampling.model_validate(
                    {
                        "choice": options["sampling"],
                        "temperature": options["temperature"],
                        "top_k": options["top_k"],
                    }
                ),
            }
        )
        sizes = {key: options[key] for key in ("width", "layers", "heads", "feed_forward", "key_heads")}
        size = Size(**sizes)  # type: ignore[arg-type]
        name, stored = str(options["name"]), Format(str(options["stored"]))
        if options["layout"] == "encoder":
            return encoder_model(name, size, serving)
        group = options["quantised_group"]
        return gated_model(
            name,
            size,
            serving,
            stored=stored,
            arithmetic=stored,
            quantised_group=group if isinstance(group, int) else None,
        )
    except ValidationError as fault:
        raise InputError(first_fault(fault), where="guard graph new", remedy="correct the sizes") from None


def _read_graph(path: Path) -> Graph:
    return Graph.parse_bytes(read_bounded(path, GRAPH_BYTES_MAX, too_large=EvidenceError), where=str(path))
