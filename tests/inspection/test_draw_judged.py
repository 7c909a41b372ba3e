"""From promise to opening: an honest exchange passes, and each way to break it is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from draw_cases import HEADER, INSPECTOR, OTHER, START, Exchange, digest, hex_of, listed, packet, packets
from pydantic import ValidationError

from inspectorate.canonical import digest_of
from inspectorate.evidence import PacketsDrawn, VerifiedStatement
from inspectorate.evidence.fair import Order
from inspectorate.mechanisms.inspection.challenge.faults import Fault, Side
from inspectorate.mechanisms.inspection.challenge.judge import Believed, Draw, Statements, check_draw
from inspectorate.mechanisms.inspection.challenge.opening import Opened, Openings, check_opening
from inspectorate.mechanisms.inspection.challenge.promise import Method, Promise, Randomness, Revealed, Selection
from inspectorate.mechanisms.inspection.challenge.uses import check_commitments, check_uses
from inspectorate.mechanisms.inspection.transcripts.types import Packet

DUE = START + timedelta(hours=30)


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


def judged(exchange: Exchange, statements: Statements | None = None, believed: Believed | None = None) -> Draw:
    return check_draw(statements or exchange.statements(), payload=exchange.payload, believed=believed)


def faults(draw: Draw | Opened) -> set[Fault]:
    return {found.fault for found in draw.faults}


# --- the draw ----------------------------------------------------------------------------------------------------------


def test_an_honest_draw_has_no_fault(exchange: Exchange) -> None:
    draw = judged(exchange, believed=Believed(answer_within_s=86_400))
    assert draw.faults == ()
    assert draw.order is Order.NAMED
    assert draw.asked is not None
    assert len(draw.in_order) == 5
    assert tuple(sorted(draw.in_order)) == draw.asked.drawn.packets


def test_numbers_are_those_of_the_run(exchange: Exchange) -> None:
    exchange.packets = packets(first=400)
    draw = judged(exchange)
    assert draw.faults == ()
    assert all(400 <= number < 420 for number in draw.in_order)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"packets": 19}, Fault.LIST_DIFFERS),
        ({"flop_stated": 1.9e10}, Fault.LIST_DIFFERS),
        ({"run": "run-2"}, Fault.LIST_DIFFERS),
        ({"sequence": 1, "previous": digest("before")}, Fault.LIST_DIFFERS),
    ],
)
def test_a_list_that_is_not_that_of_the_commitment(
    exchange: Exchange, changed: dict[str, object], fault: Fault
) -> None:
    commitment = exchange.committed(**changed)
    draw = judged(
        exchange, Statements(commitment=commitment, drawn=exchange.drawn(commitment), promise=exchange.promised())
    )
    assert faults(draw) == {fault}
    assert draw.asked is None


def broken_list(exchange: Exchange, body: object) -> Draw:
    commitment = exchange.committed(body)  # type: ignore[arg-type]
    return judged(
        exchange, Statements(commitment=commitment, drawn=exchange.drawn(commitment), promise=exchange.promised())
    )


def test_a_list_that_cannot_be_read(exchange: Exchange) -> None:
    assert Fault.LIST_UNREADABLE in faults(broken_list(exchange, b"{}"))
    assert Fault.LIST_UNREADABLE in faults(broken_list(exchange, b"\xff"))
    statements = exchange.statements()
    exchange.payloads.pop(statements.commitment.statement.subject[0].digest_text)
    assert faults(judged(exchange, statements)) == {Fault.LIST_UNREADABLE}


def test_a_payload_that_was_exchanged_is_seen(exchange: Exchange) -> None:
    statements = exchange.statements()
    named = statements.commitment.statement.subject[0].digest_text
    exchange.payloads[named] = listed(packets((30.0,) * 20)).canonical_bytes()
    assert faults(judged(exchange, statements)) == {Fault.LIST_UNREADABLE}


def test_an_empty_list_never_passes(exchange: Exchange) -> None:
    exchange.packets = ()
    commitment = exchange.committed()
    drawn = exchange.drawn(commitment)
    draw = judged(exchange, Statements(commitment=commitment, drawn=drawn, promise=exchange.promised()))
    assert Fault.LIST_EMPTY in faults(draw)
    assert draw.asked is None


def test_an_empty_challenge_cannot_be_stated(exchange: Exchange) -> None:
    with pytest.raises(ValidationError, match="packets"):
        exchange.drawn(exchange.committed(), packets=())


def test_packets_outside_of_the_committed_period(exchange: Exchange) -> None:
    assert faults(broken_list(exchange, listed(packets((600.0,) * 20)))) >= {Fault.LIST_DIFFERS}


def drawn_as(exchange: Exchange, **changed: object) -> set[Fault]:
    statements = exchange.statements()
    return faults(judged(exchange, replace(statements, drawn=exchange.drawn(statements.commitment, **changed))))  # type: ignore[arg-type]


def test_packets_that_the_secret_does_not_give(exchange: Exchange) -> None:
    right = judged(exchange).in_order
    other = tuple(sorted(set(range(20)) - set(right)))[:5]
    assert drawn_as(exchange, packets=other) == {Fault.NOT_AS_DRAWN}
    assert drawn_as(exchange, packets=tuple(sorted(right))[:-1]) == {Fault.NOT_AS_DRAWN}
    assert drawn_as(exchange, packets=tuple(range(20))) == {Fault.NOT_AS_DRAWN}


def test_packets_beyond_the_list(exchange: Exchange) -> None:
    assert drawn_as(exchange, packets=(1, 2, 3, 4, 20)) == {Fault.BEYOND_LIST}
    exchange.packets = packets(first=10)
    assert drawn_as(exchange, packets=(9, 12, 13, 14, 15)) == {Fault.BEYOND_LIST}


def test_a_ground_secret_was_not_promised(exchange: Exchange) -> None:
    ground = Promise(secret=hex_of("ground"), selection=exchange.selection)
    randomness = Randomness(source=Revealed(kind="commit-reveal", promise=ground))
    assert drawn_as(exchange, randomness=randomness) == {Fault.SECRET_OTHER}


def test_another_selection_was_not_promised(exchange: Exchange) -> None:
    chosen = Promise(secret=exchange.secret, selection=Selection(method=Method.PACKETS, count=6))
    randomness = Randomness(source=Revealed(kind="commit-reveal", promise=chosen))
    assert drawn_as(exchange, randomness=randomness) == {Fault.SECRET_OTHER}


def test_a_secret_ground_after_the_commitment(exchange: Exchange) -> None:
    """Promise and draw agree; but the promise came later, by the ledger or by its own word."""
    exchange.named = False
    commitment = exchange.committed()
    late = exchange.promised(promised_at=START + timedelta(hours=1))
    drawn = exchange.drawn(commitment, promise=late.digest)
    statements = Statements(commitment=commitment, drawn=drawn, promise=late)
    assert faults(judged(exchange, statements)) == {Fault.PROMISE_AFTER}
    backdated = Statements(commitment=commitment, drawn=exchange.drawn(commitment), promise=exchange.promised())
    logged = {commitment.digest: 7, exchange.promised().digest: 8}
    assert judged(exchange, backdated).order is Order.SIGNED
    assert faults(judged(exchange, backdated, Believed(logged=logged))) == {Fault.PROMISE_AFTER}
    right = judged(exchange, backdated, Believed(logged={**logged, commitment.digest: 9}))
    assert (right.order, right.faults) == (Order.LEDGER, ())


def test_not_the_promise_that_the_commitment_names(exchange: Exchange) -> None:
    commitment = exchange.committed()
    exchange.secret = hex_of("second secret")
    drawn = exchange.drawn(commitment)
    statements = Statements(commitment=commitment, drawn=drawn, promise=exchange.promised())
    assert faults(judged(exchange, statements)) == {Fault.PROMISE_OTHER}


def test_a_promise_by_another_inspector_or_for_another_reporter(exchange: Exchange) -> None:
    for changed in ({"by": "bob", "key": OTHER}, {"reporter": "jobs-b"}):
        promise = exchange.promised(**changed)  # type: ignore[arg-type]
        commitment = exchange.committed(promise=promise.digest)
        drawn = exchange.drawn(commitment, promise=promise.digest)
        found = judged(exchange, Statements(commitment=commitment, drawn=drawn, promise=promise))
        assert faults(found) == {Fault.PROMISE_OTHER}


def test_a_promise_that_is_not_there(exchange: Exchange) -> None:
    assert faults(judged(exchange, replace(exchange.statements(), promise=None))) == {Fault.PROMISE_MISSING}
    assert drawn_as(exchange, promise=None) == {Fault.PROMISE_MISSING}


def test_a_draw_from_another_commitment_or_too_early_or_with_too_little_time(exchange: Exchange) -> None:
    assert Fault.COMMITMENT_OTHER in drawn_as(exchange, names=digest("another"))
    assert Fault.COMMITMENT_OTHER in drawn_as(exchange, reporter="jobs-b")
    assert drawn_as(exchange, drawn_at=START + timedelta(minutes=1)) == {Fault.DRAW_BEFORE}
    believed = Believed(answer_within_s=2 * 86_400)
    assert faults(judged(exchange, believed=believed)) == {Fault.ANSWER_TOO_SOON}


def test_randomness_that_cannot_be_read(exchange: Exchange) -> None:
    assert drawn_as(exchange, randomness=b"[]") == {Fault.RANDOMNESS_UNREADABLE}
    assert drawn_as(exchange, randomness=b" " * 70_000) == {Fault.RANDOMNESS_UNREADABLE}


def test_a_draw_is_judged_by_its_kinds_only(exchange: Exchange) -> None:
    statements = exchange.statements()
    with pytest.raises(TypeError):
        judged(exchange, replace(statements, drawn=statements.commitment))


# --- what one draw does not show ---------------------------------------------------------------------------------------


def uses(
    exchange: Exchange, draws: list[VerifiedStatement], promises: list[VerifiedStatement], naming: dict[str, str]
) -> dict[str, Fault]:
    found = check_uses(draws, promises, naming=naming, payload=exchange.payload)
    return {str(one.statement): one.fault for one in found}


def test_a_secret_used_twice_voids_the_second_draw(exchange: Exchange) -> None:
    first = exchange.committed()
    second = exchange.committed(sequence=1, previous=first.digest)
    draws = [exchange.drawn(first), exchange.drawn(second, drawn_at=START + timedelta(hours=4))]
    found = uses(exchange, draws, [exchange.promised()], {})
    assert found == {draws[1].digest: Fault.SECRET_REUSED}


def test_a_secret_promised_again_with_another_selection_is_the_same_secret(exchange: Exchange) -> None:
    first = exchange.committed()
    draws, promises = [exchange.drawn(first)], [exchange.promised()]
    exchange.selection = Selection(method=Method.PACKETS, count=9)
    promises.append(exchange.promised())
    second = exchange.committed(sequence=1, previous=first.digest)
    draws.append(exchange.drawn(second, drawn_at=START + timedelta(hours=4)))
    naming = {first.digest: promises[0].digest, second.digest: promises[1].digest}
    assert uses(exchange, draws, promises, naming) == {draws[1].digest: Fault.SECRET_REUSED}


def test_a_second_draw_from_one_commitment(exchange: Exchange) -> None:
    commitment = exchange.committed()
    draws, promises = [exchange.drawn(commitment)], [exchange.promised()]
    exchange.secret = hex_of("second")
    promises.append(exchange.promised())
    draws.append(exchange.drawn(commitment, drawn_at=START + timedelta(hours=4)))
    naming = {commitment.digest: promises[0].digest}
    assert uses(exchange, draws, promises, naming) == {draws[1].digest: Fault.REDRAWN}


def test_a_verifier_that_chooses_among_its_promises(exchange: Exchange) -> None:
    exchange.named = False
    commitment = exchange.committed()
    promises = [exchange.promised()]
    exchange.secret = hex_of("the one that draws what it wants")
    promises.append(exchange.promised(promised_at=START - timedelta(minutes=10)))
    drawn = exchange.drawn(commitment, promise=promises[1].digest)
    assert uses(exchange, [drawn], promises, {}) == {drawn.digest: Fault.PROMISE_SKIPPED}
    assert uses(exchange, [drawn], promises[1:], {}) == {}
    assert uses(exchange, [drawn], promises, {commitment.digest: promises[1].digest}) == {}


def test_a_prover_that_commits_again_after_a_draw(exchange: Exchange) -> None:
    """Selective abort: the same place again, an overlapping one, and a stretch after the last are named."""
    first = exchange.committed(final=False)
    again = exchange.committed(final=False, flop_stated=1.0)
    assert [one.fault for one in check_commitments([first, again])] == [Fault.COMMITMENT_REPEATED]
    second = exchange.committed(sequence=1, previous=first.digest, final=False)
    assert [one.fault for one in check_commitments([first, second])] == [Fault.COMMITMENT_REPEATED]
    other_reporter_or_run = exchange.committed(run="run-2", final=False)
    assert check_commitments([first, other_reporter_or_run]) == ()


def test_a_run_with_holes(exchange: Exchange) -> None:
    first = exchange.committed(final=False)
    later = {"start": START + timedelta(hours=2), "end": START + timedelta(hours=3)}
    good = exchange.committed(sequence=1, previous=first.digest, period=later)
    assert check_commitments([good, first], firsts={first.digest: 0, good.digest: 20}) == ()
    assert [one.fault for one in check_commitments([first, good], firsts={good.digest: 15})] == [Fault.CHAIN_BROKEN]
    for broken in (
        [good],
        [first, exchange.committed(sequence=2, previous=first.digest, period=later)],
        [first, exchange.committed(sequence=1, previous=digest("another"), period=later)],
        [first, exchange.committed(sequence=1, previous=first.digest, period=later, header=digest("another"))],
        [exchange.committed(), exchange.committed(sequence=1, previous=exchange.committed().digest, period=later)],
    ):
        assert Fault.CHAIN_BROKEN in {one.fault for one in check_commitments(broken)}


# --- the opening -------------------------------------------------------------------------------------------------------


def opening(
    exchange: Exchange, make: Callable[[VerifiedStatement, tuple[int, ...]], list[VerifiedStatement]]
) -> Opened:
    statements = exchange.statements()
    draw = judged(exchange, statements)
    assert draw.asked is not None
    return check_opening(
        draw.asked, make(statements.drawn, draw.asked.drawn.packets), payload=exchange.payload, as_of=DUE
    )


def test_what_was_drawn_is_opened(exchange: Exchange) -> None:
    opened = opening(exchange, lambda drawn, numbers: [exchange.opened(drawn, numbers)])
    assert (opened.faults, opened.refused, opened.pending) == ((), (), ())
    assert (len(opened.packets), opened.header) == (5, HEADER)
    assert not opened.times_believed


def test_in_several_parts(exchange: Exchange) -> None:
    opened = opening(
        exchange, lambda drawn, numbers: [exchange.opened(drawn, numbers[:2]), exchange.opened(drawn, numbers[1:])]
    )
    assert (opened.faults, opened.refused, len(opened.packets)) == ((), (), 5)


def test_a_packet_that_is_left_out_is_refused(exchange: Exchange) -> None:
    opened = opening(exchange, lambda drawn, numbers: [exchange.opened(drawn, numbers[1:])])
    assert faults(opened) == {Fault.NOT_OPENED}
    assert len(opened.refused) == 1
    nothing = opening(exchange, lambda drawn, numbers: [])
    assert (len(nothing.refused), nothing.header) == (5, None)


def test_before_the_time_is_up_it_is_pending(exchange: Exchange) -> None:
    draw = judged(exchange)
    assert draw.asked is not None
    early = check_opening(draw.asked, [], payload=exchange.payload, as_of=START + timedelta(hours=3))
    assert (early.refused, len(early.pending), early.faults) == ((), 5, ())


def test_late_by_its_own_word_or_by_when_it_was_received(exchange: Exchange) -> None:
    late = START + timedelta(hours=27)
    opened = opening(exchange, lambda drawn, numbers: [exchange.opened(drawn, numbers, opened_at=late)])
    assert faults(opened) == {Fault.OPENED_LATE, Fault.NOT_OPENED}
    assert len(opened.refused) == 5
    statements = exchange.statements()
    asked = judged(exchange, statements).asked
    assert asked is not None
    answer = exchange.opened(statements.drawn, asked.drawn.packets)
    for received, refused in ((late, 5), (START + timedelta(hours=25), 0)):
        found = check_opening(asked, [answer], payload=exchange.payload, as_of=DUE, received={answer.digest: received})
        assert (len(found.refused), found.times_believed) == (refused, True)


def replaced(exchange: Exchange, drawn: VerifiedStatement, numbers: tuple[int, ...], **changed: object) -> Openings:
    """Openings of which the first packet was changed."""
    by_number = {p.number: p for p in exchange.packets}
    first, *rest = (by_number[n] for n in numbers)
    return exchange.openings((first.model_copy(update=changed), *rest), drawn)


@pytest.mark.parametrize("changed", [{"flop": 2e9}, {"salt": hex_of("another")}, {"end_ns": 10**18}, {"start_ns": 5}])
def test_a_packet_that_is_not_as_committed_to_is_refused(exchange: Exchange, changed: dict[str, object]) -> None:
    opened = opening(
        exchange,
        lambda drawn, numbers: [
            exchange.opened(drawn, numbers, openings=replaced(exchange, drawn, numbers, **changed))
        ],
    )
    assert faults(opened) == {Fault.LEAF_DIFFERS, Fault.NOT_OPENED}
    assert len(opened.refused) == 1


def test_a_list_that_states_other_times_than_its_packet(exchange: Exchange) -> None:
    """The leaf is right; the list beside it said that the packet took longer, so that time would be covered."""
    true = listed(exchange.packets)
    stretched = true.model_copy(update={"flop": (5e9, *true.flop[1:])})
    exchange.selection = Selection(method=Method.PACKETS, count=20)
    commitment = exchange.committed(stretched, flop_stated=24e9)
    drawn = exchange.drawn(commitment)
    draw = judged(exchange, Statements(commitment=commitment, drawn=drawn, promise=exchange.promised()))
    assert draw.asked is not None
    opened = check_opening(draw.asked, [exchange.opened(drawn, range(20))], payload=exchange.payload, as_of=DUE)
    # Where packet 1 starts, nobody can see without packet 0.
    assert {(one.fault, one.packet) for one in opened.faults} == {
        (Fault.LEAF_DIFFERS, 0),
        (Fault.NOT_OPENED, 0),
        (Fault.NOT_OPENED, 1),
    }
    assert opened.refused == (0, 1)


def test_packets_that_were_not_drawn_count_for_nothing(exchange: Exchange) -> None:
    def everything(drawn: VerifiedStatement, numbers: tuple[int, ...]) -> list[VerifiedStatement]:
        return [exchange.opened(drawn, range(20))]

    opened = opening(exchange, everything)
    assert faults(opened) == {Fault.NOT_DRAWN}
    assert len(opened.packets) == 5


def test_a_packet_of_training_counts_only_with_the_record_before_it(exchange: Exchange) -> None:
    def with_seams(change: Callable[[tuple[Packet, ...]], tuple[Packet, ...]]) -> Opened:
        def answer(drawn: VerifiedStatement, numbers: tuple[int, ...]) -> list[VerifiedStatement]:
            shown = tuple(p for p in exchange.packets if p.number in numbers)
            honest = exchange.openings(shown, drawn)
            return [
                exchange.opened(drawn, numbers, openings=exchange.openings(shown, drawn, seams=change(honest.seams)))
            ]

        return opening(exchange, answer)

    honest = with_seams(lambda seams: seams)
    assert faults(honest) == set()
    assert {number + 1 for number in honest.seams} <= set(honest.packets)
    missing = with_seams(lambda seams: seams[1:])
    assert faults(missing) == {Fault.NOT_OPENED}
    assert len(missing.refused) == 1
    changed = with_seams(lambda seams: (seams[0].model_copy(update={"flop": 2e9}), *seams[1:]))
    assert faults(changed) == {Fault.LEAF_DIFFERS, Fault.NOT_OPENED}
    stray = next(p for p in exchange.packets if p.number not in {*honest.packets, *honest.seams})
    added = with_seams(lambda seams: tuple(sorted((*seams, stray), key=lambda p: p.number)))
    assert faults(added) == {Fault.NOT_DRAWN}
    assert set(added.seams) == set(honest.seams)


def test_the_record_before_a_stretch_is_held_against_the_leaf_that_the_list_names(exchange: Exchange) -> None:
    before, *rest = packets((60.0,) * 21, first=399)
    exchange.packets, exchange.selection = tuple(rest), Selection(method=Method.PACKETS, count=20)
    for leaf, refused in ((before.leaf, 0), (hex_of("other"), 1)):
        commitment = exchange.committed(listed(exchange.packets, before=leaf))
        drawn = exchange.drawn(commitment)
        draw = judged(exchange, Statements(commitment=commitment, drawn=drawn, promise=exchange.promised()))
        assert draw.asked is not None
        body = exchange.openings(exchange.packets, drawn, seams=(before,))
        answer = exchange.opened(drawn, range(400, 420), openings=body)
        found = check_opening(draw.asked, [answer], payload=exchange.payload, as_of=DUE)
        assert len(found.refused) == refused


def test_openings_of_another_draw_run_header_or_reporter(exchange: Exchange) -> None:
    def answers(**changed: object) -> set[Fault]:
        return faults(opening(exchange, lambda drawn, numbers: [exchange.opened(drawn, numbers, **changed)]))  # type: ignore[arg-type]

    assert answers(answers=digest("another")) == {Fault.OPENING_OTHER, Fault.NOT_OPENED}
    assert answers(openings=Openings(sequence=1, header=HEADER, packets=())) == {
        Fault.OPENING_UNREADABLE,
        Fault.NOT_OPENED,
    }
    other = HEADER.model_copy(update={"optimiser": "adam"})
    for header, sequence, fault in (
        (other, 0, Fault.HEADER_DIFFERS),
        (HEADER.model_copy(update={"run": "run-2"}), 0, Fault.OPENING_OTHER),
        (HEADER, 1, Fault.OPENING_OTHER),
    ):

        def answer(drawn: VerifiedStatement, numbers: tuple[int, ...]) -> list[VerifiedStatement]:
            shown = tuple(p for p in exchange.packets if p.number in numbers)
            return [exchange.opened(drawn, numbers, openings=Openings(sequence=sequence, header=header, packets=shown))]  # noqa: B023

        assert faults(opening(exchange, answer)) == {fault, Fault.NOT_OPENED}
    assert answers(openings=b"{}") == {Fault.OPENING_UNREADABLE, Fault.NOT_OPENED}


def test_openings_must_be_in_order_and_of_one_kind() -> None:
    one = packet(1, 10, 20)
    with pytest.raises(ValidationError, match="sorted and distinct"):
        Openings(sequence=0, header=HEADER, packets=(one, one))


def test_every_fault_has_a_side() -> None:
    assert {fault.side for fault in Fault} == set(Side)
    assert Fault.NOT_OPENED.side is Side.PROVER
    assert Fault.SECRET_OTHER.side is Side.VERIFIER


def test_the_header_is_checked_by_its_digest(exchange: Exchange) -> None:
    assert exchange.committed().predicate.header == digest_of(HEADER.canonical_bytes())  # type: ignore[union-attr]
    assert isinstance(exchange.statements().drawn.predicate, PacketsDrawn)
    assert INSPECTOR.key_id != OTHER.key_id
