"""`inspectorate register`: which chips there are and where they stand, by signed word, and every change of it.

    keeper       hand        the whole register, chip by chip, and how hosts are wired
                 acquire     chips came under the agreement
                 report      chips broke, or were repaired
                 transfer    notify; then move: left, arrived
    inspector    transfer    decide
                 destroy     chips were seen destroyed
    anybody      check       double entry over all statements, or two tables held against each other
                 clocks      deadlines for any date
                 compare     with a declaration
                 show        what is in a table

Exit codes: 0 done, 10 something is pending, 20 something is wrong, 30 what another party sent cannot be used, 2 wrong use.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inspectorate.cli.options import EXISTING_FILE, now, parse_time
from inspectorate.cli.register_check import check, compare, show
from inspectorate.cli.register_clocks import clocks
from inspectorate.cli.register_clusters import clusters, tables
from inspectorate.cli.register_files import (
    FOLDER,
    at_option,
    inspector_option,
    inventory,
    mapping,
    reporter_option,
    serials,
    wiring,
)
from inspectorate.cli.register_transfer import transfer
from inspectorate.cli.replay_files import Signing, own, print_result, sign, signing
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import RandomnessPromised
from inspectorate.evidence.act import Who
from inspectorate.evidence.custody import ChipsAcquired, ChipState, RegisterHanded
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.register import acts
from inspectorate.quantities import Period


@click.group()
def register() -> None:
    """Hand over a register of chips, state every change of it, and hold one against the other.

    Each party keeps a folder of its statements and hands it to the other. `check`, `clocks`, `compare` and `show` are for anybody.
    """


register.add_command(transfer)
register.add_command(check)
register.add_command(clocks)
register.add_command(clusters)
register.add_command(tables)
register.add_command(compare)
register.add_command(show)


@register.command()
@click.argument("path", metavar="INVENTORY", type=EXISTING_FILE)
@click.option(
    "--wiring", "wiring_path", type=EXISTING_FILE, help="Links between hosts: CSV with host, other, bits_per_s."
)
@click.option("--unwired", is_flag=True, help="Instead: no host is wired to another.")
@reporter_option
@click.option("--chain", help="A fresh name for the chain of registers: with the first one.")
@click.option("--since", help="With the first one: from when on it holds.")
@click.option("--standing-at", help="The time at which it stands so; the present by default.")
@click.option("--promises", type=FOLDER, help="The verifier's folder. Without it: counts are drawn by a public beacon.")
@mapping
@signing
def hand(**options: Any) -> None:
    """Hand over the register: INVENTORY is CSV or Parquet, one row per chip, with the columns serial, model, site, cluster, pod,
    rack, host, owner and state."""
    if (options["wiring_path"] is None) != options["unwired"]:
        raise InputError("give either --wiring or --unwired", where="--wiring, --unwired")
    at, anchors = now(), TrustAnchors.read(options["anchors_path"])
    mine = own(options["out"], anchors)
    earlier = mine.statements if mine else []
    place = acts.next_place(earlier, options["reporter"], options["chain"])
    start = place.since if options["since"] is None else parse_time(options["since"])
    if start is None:
        raise InputError("says from when on the first register holds", where="--since")
    end = parse_time(options["standing_at"]) if options["standing_at"] else at
    snapshot = acts.Snapshot(
        register=inventory(options["path"], options), wiring=wiring(options["wiring_path"]),
        period=Period.parse({"start": start, "end": end}, where="--since, --standing-at", error=InputError),
        promise=_next_promise(options["promises"], anchors, options["reporter"], mine),
    )  # fmt: skip
    act = acts.hand_register(snapshot, place, Who(name=options["reporter"], at=at, origin=options["origin"]))
    digest = sign(act, Signing.of(options))
    said = act.predicate
    assert isinstance(said, RegisterHanded)
    print_result(
        options["as_json"],
        {
            "statement": digest, "chain": said.chain, "sequence": said.sequence, "previous": said.previous,
            "chips": said.chips, "links": len(snapshot.wiring), "promise": said.promise, "payloads": dict(act.subjects),
        },
        [
            f"handed over: {said.chips} chips, {len(snapshot.wiring)} links, register {said.sequence} of {said.chain}",
            f"statement {digest}",
            "counts are drawn by " + (f"the promise {said.promise}" if said.promise else "a public beacon"),
        ],
    )  # fmt: skip


@register.command()
@click.argument("path", metavar="INVENTORY", type=EXISTING_FILE)
@click.option("--seller", required=True, help="From whom.")
@reporter_option
@at_option
@mapping
@signing
def acquire(**options: Any) -> None:
    """State that chips came under the agreement: INVENTORY has a row for each, as for `hand`, where they stand now."""
    rows = inventory(options["path"], options)
    who = Who(name=options["reporter"], at=parse_time(options["at"]), origin=options["origin"])
    act = acts.acquire(rows, who, seller=options["seller"])
    digest = sign(act, Signing.of(options))
    said = act.predicate
    assert isinstance(said, ChipsAcquired)
    facts = {
        "statement": digest,
        "chips": said.chips,
        "seller": said.seller,
        "acquired_at": said.acquired_at.isoformat(),
    }
    print_result(options["as_json"], facts, [f"acquired: {said.chips} chips of {said.seller}", f"statement {digest}"])


@register.command()
@click.argument("path", metavar="SERIALS", type=EXISTING_FILE)
@click.option("--state", type=click.Choice([ChipState.BROKEN.value, ChipState.WORKING.value]), required=True)
@reporter_option
@at_option
@signing
def report(**options: Any) -> None:
    """State that chips broke, or were repaired. SERIALS has one a line.

    A broken chip counts as working until an inspector certifies its destruction.
    """
    listed = serials(options["path"])
    who = Who(name=options["reporter"], at=parse_time(options["at"]), origin=options["origin"])
    digest = sign(acts.report(listed, ChipState(options["state"]), who), Signing.of(options))
    facts = {"statement": digest, "chips": len(listed), "state": options["state"]}
    print_result(options["as_json"], facts, [f"{options['state']}: {len(listed)} chips", f"statement {digest}"])


@register.command()
@click.argument("path", metavar="SERIALS", type=EXISTING_FILE)
@click.option("--reporter", required=True, help="The keeper of the register in which they stand, as declared.")
@click.option("--means", required=True, help="How they were destroyed.")
@inspector_option
@at_option
@signing
def destroy(**options: Any) -> None:
    """Certify, as an inspector, that chips were seen destroyed. SERIALS has one a line. They leave the register by this."""
    listed = serials(options["path"])
    who = Who(name=options["by"], at=parse_time(options["at"]), origin=options["origin"])
    act = acts.certify(listed, who, reporter=options["reporter"], means=options["means"])
    digest = sign(act, Signing.of(options))
    facts = {"statement": digest, "chips": len(listed), "reporter": options["reporter"], "means": options["means"]}
    print_result(options["as_json"], facts, [f"certified: {len(listed)} chips destroyed", f"statement {digest}"])


def _next_promise(folder: Path | None, anchors: TrustAnchors, reporter: str, mine: Exchange | None) -> str | None:
    """The oldest promise for this keeper that no register of its own has named yet. Raises `EvidenceError`."""
    if folder is None:
        return None
    used = {said.promise for _, said in mine.of(RegisterHanded)} if mine else set()
    left = [
        (said.promised_at, one.digest)
        for one, said in Exchange(folder, anchors=anchors).of(RandomnessPromised)
        if said.reporter == reporter and one.digest not in used
    ]
    if not left:
        remedy = "ask the verifier for another promise, or leave --promises out to be drawn from by a beacon"
        raise EvidenceError(f"holds no promise for {reporter} that is not used yet", where=str(folder), remedy=remedy)
    return min(left)[1]
