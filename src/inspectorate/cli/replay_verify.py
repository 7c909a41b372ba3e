"""`inspectorate replay verify`: run the packets of a draw again, and state what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inspectorate.cli.audit_inference import exit_code, read_tolerance
from inspectorate.cli.options import EXISTING_FILE, NAME, FiniteRange, now
from inspectorate.cli.replay_files import Signing, either, own, print_result, sign, signing
from inspectorate.cli.replay_pick import set_aside
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import PacketsDrawn, PacketsOpened, PacketsReplayed, ReplayMethod, VerifiedStatement
from inspectorate.evidence.act import Who
from inspectorate.evidence.exchange import Exchange
from inspectorate.files import read_bounded
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.inspection.challenge.acts import refusal
from inspectorate.mechanisms.inspection.challenge.judge import Statements, check_draw
from inspectorate.mechanisms.inspection.challenge.opening import Asked, check_opening
from inspectorate.mechanisms.inspection.code.archives import files_of
from inspectorate.mechanisms.inspection.code.snapshot import snapshot_of
from inspectorate.mechanisms.inspection.replaying import Means, make_replay, own_stack, run_again
from inspectorate.mechanisms.inspection.rerun.program import ModuleProgram, Program, parse_program
from inspectorate.mechanisms.inspection.rerun.reference import PROGRAM_BYTES_MAX
from inspectorate.mechanisms.inspection.results import ReplayReport
from inspectorate.mechanisms.inspection.tokens.decoder import Precision
from inspectorate.mechanisms.inspection.tokens.replay import Bounds

_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("run", type=_folder)
@click.option("--from", "theirs", type=_folder, required=True, help="The prover's folder of statements.")
@click.option("--as", "by", type=NAME, required=True, help="Your name as a trust anchor.")
@click.option("--drawn", help="Digest of the draw, where several are not run again yet.")
@click.option("--method", type=click.Choice([one.value for one in ReplayMethod]), default="exact", show_default=True)
@click.option("--tolerance", "tolerance_path", type=EXISTING_FILE, help="The agreed tolerance (JSON); none for exact.")
@click.option("--model", type=_folder, help="Of answers: the declared model.")
@click.option(
    "--precision", type=click.Choice(Precision, case_sensitive=False), default=Precision.FLOAT32, show_default=True
)
@click.option("--program", "program_path", type=EXISTING_FILE, help="Of training: the declared program (JSON).")
@click.option("--code", type=_folder, help="Of training whose program is code: the snapshot.")
@click.option(
    "--chips", type=click.IntRange(min=1), help="Of yours, that a packet keeps busy: then its time counts, too."
)
@click.option(
    "--seconds", type=FiniteRange(1, 86_400), default=600.0, show_default=True, help="Of processor time of a process."
)
@signing
def verify(**options: Any) -> None:
    """Run the packets that were drawn again, from the folder RUN that the prover gives, and state what came of it.

    Exits 20 where a packet differs from what was committed to, 10 where one was not opened or could not be run.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    mine, theirs = own(options["out"], anchors), Exchange(options["theirs"], anchors=anchors)
    if mine is None:
        raise InputError("holds no draw", where=str(options["out"]), remedy="name the folder of `replay challenge`")
    drawn = _not_run_again(mine, options["drawn"])
    asked, answers = _asked(drawn, mine, theirs)
    begun = now()
    opened = check_opening(asked, answers, payload=theirs.payload, as_of=begun)
    if opened.pending:
        raise EvidenceError(
            f"{len(opened.pending)} packets may still be opened", where=drawn.digest, remedy="wait for them"
        )
    means = _means(options)
    report = run_again(asked, opened, means)
    who = Who(name=options["by"], at=now(), origin=options["origin"])
    act = make_replay(asked, answers[0].digest, report, means.tolerance, who, begun=begun)
    digest = sign(act, Signing.of(options))
    counts = {
        outcome: sum(one.outcome == outcome for one in report.results) for outcome in ("matched", "differed", "not-run")
    }
    if not options["as_json"]:
        _show(report)
    print_result(
        options["as_json"],
        {"statement": digest, "drawn": drawn.digest, **counts, "report": report.model_dump(mode="json")},
        [", ".join(f"{count} {outcome}" for outcome, count in counts.items()), f"statement {digest}"],
    )
    raise click.exceptions.Exit(exit_code(report.results))


def _not_run_again(mine: Exchange, wanted: str | None) -> VerifiedStatement:
    done = {said.drawn for _, said in mine.of(PacketsReplayed)}
    found = [
        one
        for one, _ in mine.of(PacketsDrawn)
        if (one.digest == wanted if wanted is not None else one.digest not in done)
    ]
    if len(found) != 1:
        raise EvidenceError(
            f"{len(found)} draws are to be run again{set_aside(mine)}",
            where=str(mine.path),
            remedy="name one by --drawn",
        )
    return found[0]


def _asked(drawn: VerifiedStatement, mine: Exchange, theirs: Exchange) -> tuple[Asked, list[VerifiedStatement]]:
    """The draw, judged anew, and what answered it. Raises `EvidenceError`."""
    said = drawn.predicate
    assert isinstance(said, PacketsDrawn)
    commitment = theirs.by_digest(said.commitment)
    if commitment is None:
        raise EvidenceError(
            f"the commitment that was drawn from is not there{set_aside(theirs)}", where=str(theirs.path)
        )
    promise = mine.by_digest(said.promise) if said.promise else None
    judged = check_draw(Statements(commitment=commitment, drawn=drawn, promise=promise), payload=either(mine, theirs))
    if judged.asked is None:
        raise refusal("the draw is not fair", judged.faults, where=drawn.digest)
    answers = [one for one, of in theirs.of(PacketsOpened) if of.drawn == drawn.digest]
    if len(answers) != 1:
        what = f"{len(answers)} openings answer the draw{set_aside(theirs)}"
        raise EvidenceError(
            what, where=str(theirs.path), remedy="one is needed; `replay check` says what is due or refused"
        )
    return judged.asked, answers


def _means(options: dict[str, Any]) -> Means:
    method = ReplayMethod(options["method"])
    program = None if options["program_path"] is None else _program(options["program_path"], options["code"])
    return Means(
        folder=options["run"],
        method=method,
        tolerance=read_tolerance(options["tolerance_path"], method),
        chips=options["chips"],
        model=options["model"],
        precision=Precision(options["precision"]),
        program=program,
        code=options["code"],
        stack=None if program is None else own_stack(),
        bounds=Bounds(seconds=options["seconds"]),
    )


def _program(path: Path, code: Path | None) -> Program:
    """The declared program; where it is code, the whole snapshot must be the one that it names."""
    program = parse_program(read_bounded(path, PROGRAM_BYTES_MAX), where=str(path))
    if isinstance(program, ModuleProgram):
        if code is None:
            raise InputError("the program is code", where=str(path), remedy="name its snapshot by --code")
        found = snapshot_of(files_of(code), where=str(code)).code
        if found != program.snapshot:
            raise EvidenceError(f"is the snapshot {found}, and the program names {program.snapshot}", where=str(code))
    return program


def _show(report: ReplayReport) -> None:
    table = Table("packet", "outcome", "distance", "FLOP counted", "bits a token left", "why", box=None)
    for one in report.results:
        table.add_row(
            str(one.packet), one.outcome.value, *("-" if value is None else f"{value:.3g}"
            for value in (one.distance, one.flop_counted, one.covert_bits_per_token)), one.reason,
        )  # fmt: skip
    Console(width=132, highlight=False).print(table)
