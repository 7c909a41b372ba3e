"""`inspectorate topology`: check cabling against its plan, find what carries most between pods, and sign surveys."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from pydantic import ValidationError

from inspectorate.canonical import digest_of
from inspectorate.cli.options import EXISTING_FILE, json_option, now, parse_time, print_json
from inspectorate.cli.running import ledger_append
from inspectorate.errors import InputError
from inspectorate.evidence import CablingSeen, Origin, make_statement, sign_statement
from inspectorate.evidence.spool import DiskSpool
from inspectorate.files import read_bounded
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.interconnect.topology import reference
from inspectorate.mechanisms.interconnect.topology.around import Around, look_around
from inspectorate.mechanisms.interconnect.topology.bandwidth import Cut, Limit, Network, Pairs
from inspectorate.mechanisms.interconnect.topology.compare import Difference, compare
from inspectorate.mechanisms.interconnect.topology.graph import FILE_BYTES_MAX, NodeKind, Topology
from inspectorate.mechanisms.interconnect.topology.read import format_of, read_plan, read_survey
from inspectorate.mechanisms.interconnect.topology.seen import Seen, join
from inspectorate.mechanisms.interconnect.topology.survey import Survey
from inspectorate.quantities import Period

CONSISTENT, NOT_SURVEYED, DIFFERS = 0, 10, 20
CUT_WIRES_SHOWN_MAX = 12

declared_option = click.option(
    "--declared",
    "declared_path",
    type=EXISTING_FILE,
    required=True,
    help="The plan: .dot, .json, .csv, or a declaration in .yaml.",
)
_folder = click.Path(file_okay=False, path_type=Path)


@click.group()
def topology() -> None:
    """Check cabling against its plan, and find what carries most between pods."""


@topology.command()
@declared_option
@click.option(
    "--seen",
    "seen_texts",
    multiple=True,
    required=True,
    metavar="[NODE=]FILE",
    help="What `lldpcli -f json show neighbors details` printed on NODE (else the file's name up to its first dot), or "
    "what `ibnetdiscover` printed. Once for each.",
)
@json_option
def check(declared_path: Path, seen_texts: tuple[str, ...], as_json: bool) -> None:
    """Compare what was seen with what was declared. Exits 20 if they differ, 10 if not everything was looked at."""
    plan = _plan(declared_path)
    seen = join(_surveys(seen_texts), plan)
    differences = compare(plan, seen)
    around = look_around(plan, [seen])
    short = NOT_SURVEYED if differences else CONSISTENT
    code = DIFFERS if any(difference.contradicts for difference in differences) else short
    if as_json:
        print_json(_check_json(plan, seen, differences, around, code))
    else:
        _print_check(plan, seen, differences, around, code)
    raise SystemExit(code)


@topology.command()
@declared_option
@click.option("--seen", "seen_texts", multiple=True, metavar="[NODE=]FILE", help="Count wires that surveys show, too.")
@click.option("--between", nargs=2, metavar="A B", help="Two pods or nodes; otherwise the pairs with most of all.")
@click.option("--around-gateway", is_flag=True, help="Take the gateways out, and ask again.")
@click.option(
    "--gateway-limit",
    type=click.IntRange(min=1),
    metavar="BYTES_PER_S",
    help="Gateways hold each pod to this in each direction, and drop all else: verified elsewhere.",
)
@click.option("--no-relay", is_flag=True, help="With --between: other pods pass nothing on.")
@json_option
def cut(
    declared_path: Path,
    seen_texts: tuple[str, ...],
    between: tuple[str, str] | None,
    around_gateway: bool,
    gateway_limit: int | None,
    no_relay: bool,
    as_json: bool,
) -> None:
    """The largest bandwidth between pods over all that is wired, and the wires that carry it."""
    if around_gateway and gateway_limit is not None:
        raise InputError("does not matter around the gateway", where="--gateway-limit")
    if no_relay and not between:
        raise InputError("needs --between", where="--no-relay")
    plan = _plan(declared_path)
    around = look_around(plan, [join(_surveys(seen_texts), plan)] if seen_texts else [])
    limits = None
    if gateway_limit is not None:
        one = Limit(sent_bytes_per_s=gateway_limit, received_bytes_per_s=gateway_limit)
        limits = dict.fromkeys(around.topology.pods, one)
    network = around.network if around_gateway else Network(around.topology, limits=limits)
    if between:
        cuts = [_cut(network, *between, relay=not no_relay), _cut(network, *between[::-1], relay=not no_relay)]
        _print_cuts(cuts, None, as_json)
        return
    if len(around.topology.pods) < 2:
        raise InputError("names fewer than two pods", where=str(declared_path), remedy="mark nodes with kind=pod")
    pairs = network.pairs()
    cuts = [network.cut(one, other) for one, other, _ in pairs.largest(reference.PAIRS_SHOWN_MAX)]
    _print_cuts(cuts, pairs, as_json)


@topology.command()
@click.argument("survey_file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--node", required=True, help="The node on which it was printed, under its declared name.")
@click.option("--reporter", required=True, help="The declared reporter of cabling that says so.")
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="Its key (PKCS#8 PEM).")
@click.option("--out", type=_folder, required=True, help="Spool folder for statements and payloads.")
@click.option(
    "--since", help="When it was asked, at the earliest; the file's time, or the start of this command for -."
)
@click.option("--ledger", type=_folder, help="Append the statement's digest to this log.")
@click.option("--ledger-key", "ledger_key_path", type=EXISTING_FILE, help="The log's key, if it is not that of --key.")
@json_option
def attest(
    survey_file: Path,
    node: str,
    reporter: str,
    key_path: Path,
    out: Path,
    since: str | None,
    ledger: Path | None,
    ledger_key_path: Path | None,
    as_json: bool,
) -> None:
    """Sign what lldpcli or ibnetdiscover printed (SURVEY_FILE, or - for standard input) as a statement.

    What cannot be read is not signed.
    """
    started = now()
    if ledger is None and ledger_key_path is not None:
        raise InputError("is of no use without --ledger", where="--ledger-key")
    from_stdin = str(survey_file) == "-"
    data = read_bounded(Path("/dev/stdin") if from_stdin else survey_file, FILE_BYTES_MAX)
    survey = read_survey(data, node=node, where=str(survey_file))
    written = started if from_stdin else datetime.fromtimestamp(os.stat(survey_file).st_mtime, UTC)
    period = _period(parse_time(since) if since else written)
    try:
        said = CablingSeen(origin=Origin.RECORDED, reporter=reporter, period=period, format=format_of(data), node=node)
    except ValidationError as fault:
        raise InputError(f"cannot be stated: {fault.errors()[0]['msg']}", where="--node or --reporter") from None
    key = SigningKey.read(key_path)
    payload = digest_of(data)
    envelope = sign_statement(make_statement(said, {"cabling": payload}), key)
    digest = digest_of(envelope)
    with contextlib.ExitStack() as stack:
        # The log is opened before anything is written: a statement that no log holds would be taken for one that was hidden.
        append = ledger_append(stack, ledger, ledger_key_path, key)
        spool = stack.enter_context(DiskSpool(out))
        spool.put(f"payloads/{payload.removeprefix('sha256:')}", [data])
        spool.put(f"statements/{digest.removeprefix('sha256:')}.json", [envelope])
        if append is not None:
            append(bytes.fromhex(digest.removeprefix("sha256:")))
    count = len(survey.sightings)
    if as_json:
        print_json(
            {"out": str(out), "statement": digest, "payload": payload, "period": str(period), "sightings": count}
        )
    else:
        click.echo(f"{digest}: {count} sightings by {node}, {period}, in {out}")


def _period(since: datetime) -> Period:
    """From then to now, and at least a millisecond. Raises `InputError` if it lies ahead."""
    end = now()
    if since > end:
        raise InputError("lies in the future", where="--since")
    return Period(start=min(since, end - timedelta(milliseconds=1)), end=end)


def _plan(path: Path) -> Topology:
    plan = read_plan(path)
    if not plan.wires:
        raise InputError("declares no wire", where=str(path), remedy="a plan without wires declares nothing")
    return plan


def _surveys(texts: Sequence[str]) -> list[Survey]:
    """Each `[NODE=]FILE` read. Raises `InputError` or `EvidenceError`."""
    surveys: list[Survey] = []
    for text in texts:
        node, separator, name = text.partition("=")
        path = Path(name if separator else text)
        node = node if separator else path.name.split(".")[0]
        surveys.append(read_survey(read_bounded(path, FILE_BYTES_MAX), node=node, where=str(path)))
    return surveys


def _cut(network: Network, source: str, target: str, *, relay: bool) -> Cut:
    try:
        return network.cut(source, target, through_pods=relay)
    except KeyError as fault:
        raise InputError(f"{fault.args[0]} is not there", where="--between", remedy="name nodes of the plan") from None
    except ValueError as fault:
        raise InputError(str(fault), where="--between") from None


def _check_json(
    plan: Topology, seen: Seen, differences: tuple[Difference, ...], around: Around, code: int
) -> dict[str, object]:
    return {
        "result": {CONSISTENT: "consistent", NOT_SURVEYED: "not-surveyed", DIFFERS: "differs"}[code],
        "declared_wires": len(plan.wires),
        "seen_wires": len(seen.wires),
        "seen_from_both_ends": sum(len(one.seen_from) == 2 for one in seen.wires),
        "asked": sorted(seen.asked),
        "differences": [
            {
                "kind": one.kind.value,
                "contradicts": one.contradicts,
                "declared": one.declared,
                "seen": one.seen,
                "text": one.text,
            }
            for one in differences
        ],
        "pairs_around_gateway": _pairs_around(around),
        "around_gateway": [
            {**_cut_json(one), "path": list(around.network.path(one.source, one.target))}
            for one in _around_cuts(around)
        ],
        "ways_out": [
            {"from": pod, "to": name, "path": list(path)}
            for pod in around.topology.pods
            for name, path in around.network.paths(pod, around.outside).items()
        ],
    }


def _pairs_around(around: Around) -> int:
    """How many pairs of pods reach each other without passing a gateway."""
    return int((around.pairs.bytes_per_s > 0).sum()) // 2


def _around_cuts(around: Around) -> list[Cut]:
    largest = around.pairs.largest(reference.PAIRS_SHOWN_MAX)
    return [around.network.cut(one, other) for one, other, _ in largest]


def _print_check(plan: Topology, seen: Seen, differences: tuple[Difference, ...], around: Around, code: int) -> None:
    both = sum(len(one.seen_from) == 2 for one in seen.wires)
    click.echo(
        f"{len(plan.wires)} wires declared; {len(seen.wires)} seen, {both} of them from both ends; "
        f"{len(seen.asked)} nodes asked"
    )
    for difference in differences:
        click.echo(f"  {difference}")
    if not around.topology.of_kind(NodeKind.GATEWAY):
        click.echo("the plan names no gateway: every path is a path around it")
    cuts = _around_cuts(around)
    for one in cuts:
        click.echo(f"around the gateway: {_cut_text(one)}")
    if _pairs_around(around) > len(cuts):
        click.echo(f"around the gateway: {_pairs_around(around) - len(cuts)} pairs of pods more")
    for pod in around.topology.pods:
        for name, path in around.network.paths(pod, around.outside).items():
            click.echo(f"a way out around the gateway: {pod} to {name}: {', '.join(path)}")
    words = {
        CONSISTENT: "as declared, seen from both ends",
        NOT_SURVEYED: "nothing differs, but not everything was looked at",
        DIFFERS: "differs from what was declared",
    }
    click.echo(words[code])


def _print_cuts(cuts: list[Cut], pairs: Pairs | None, as_json: bool) -> None:
    if as_json:
        exact = pairs.exact if pairs else True
        print_json(
            {"exact": exact, "pods": len(pairs.pods) if pairs else None, "cuts": [_cut_json(one) for one in cuts]}
        )
        return
    if not cuts:
        click.echo("no two pods reach each other")
    for one in cuts:
        click.echo(_cut_text(one))


def _cut_json(one: Cut) -> dict[str, object]:
    return {
        "from": one.source,
        "to": one.target,
        "bytes_per_s": one.bytes_per_s,
        "rates_assumed": one.assumed,
        "wires": [{"name": w.name, "bytes_per_s": w.bytes_per_s, "assumed": w.assumed} for w in one.wires],
    }


def _cut_text(one: Cut) -> str:
    shown = [f"{wire.name} ({wire.bytes_per_s:,}{', assumed' if wire.assumed else ''})" for wire in one.wires]
    more = f" and {len(shown) - CUT_WIRES_SHOWN_MAX} more" if len(shown) > CUT_WIRES_SHOWN_MAX else ""
    over = f", over {'; '.join(shown[:CUT_WIRES_SHOWN_MAX])}{more}" if shown else ""
    return f"{one.source} to {one.target}: {one.bytes_per_s:,} B/s{over}"
