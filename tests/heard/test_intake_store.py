"""A running intake: what is answered is there and opens, what is not waits or is refused, and the rhythm does not change."""

from __future__ import annotations

import asyncio
import os
import resource
from datetime import timedelta
from pathlib import Path

import pytest
from intake_scene import SMALL, Scene, offices_of, pairs

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.files import replace_file
from inspectorate.mechanisms.whistleblowing.intake.boards import Answer, make_board
from inspectorate.mechanisms.whistleblowing.intake.settings import Settings
from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.intake.submission import Refusal, Refused, TooLarge
from inspectorate.mechanisms.whistleblowing.intake.volume import create_volume
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_report_opens_for_every_pair_and_for_nobody_alone(scene: Scene) -> None:
    phrase, data = Phrase.make(), os.urandom(9_000)

    async def acts(intake: Intake) -> None:
        await scene.report(intake, {"what": "they train at night"}, [("a.bin", data), ("b.bin", b"")], phrase)
        await scene.report(intake, {"what": "again"}, phrase=phrase)
        await scene.finish_batch(intake)

    scene.run(acts)
    for pair in pairs(3):
        opening = scene.opened(f"opened-{pair}", pair)
        assert (opening.faults, opening.wrong_shares, opening.closed) == ((), {}, 0)
        first, second = sorted(opening.reports, key=lambda one: len(one.files), reverse=True)
        assert first.answers == {"what": "they train at night"}
        assert [one.size for one in first.files] == [9_000, 0]
        assert (scene.folder / f"opened-{pair}" / first.report / "file-00").read_bytes() == data
        assert second.mailbox == first.mailbox == phrase.mailbox("house")
        assert first.complete
        assert second.complete
        assert 0 < opening.dummies < opening.blocks
    for alone in range(3):
        with pytest.raises(EvidenceError, match="takes the shares of 2 offices"):
            scene.opened("nothing", (alone,))
        with pytest.raises(EvidenceError, match="takes the shares of 2 offices"):
            scene.opened("nothing", (alone, alone))


def test_every_batch_has_as_many_blocks_with_reports_or_without(scene: Scene) -> None:
    async def acts(intake: Intake) -> None:
        await scene.tick(intake, SMALL.ticks)
        await scene.report(intake, {"what": "x"}, [("a", os.urandom(20_000))])
        await scene.tick(intake, 2 * SMALL.ticks)

    scene.run(acts)
    sizes = {path.stat().st_size for path in scene.closed.glob("*.blocks")}
    lists = {path.stat().st_size for path in scene.closed.glob("*.commitments")}
    assert len(scene.log) >= 3
    assert sizes == {SMALL.batch_bytes}
    assert lists == {SMALL.slots * 32}


def test_a_report_is_answered_only_after_its_last_tick(scene: Scene) -> None:
    async def acts(intake: Intake) -> None:
        await scene.tick(intake)
        submission = intake.begin(Phrase.make(), {"a": "b"}, "en")
        sending = asyncio.create_task(submission.finish())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not sending.done()
        await scene.tick(intake)
        await asyncio.sleep(0)
        assert sending.done()

    scene.run(acts)


def test_who_sends_more_than_is_written_waits_and_little_is_in_memory(scene: Scene) -> None:
    async def acts(intake: Intake) -> None:
        await scene.tick(intake)
        submission = intake.begin(Phrase.make(), {}, "en")
        await submission.file("a", "b")
        sending = asyncio.create_task(submission.write(os.urandom(100_000)))
        for ticks in range(4):
            for _ in range(20):
                await asyncio.sleep(0)
            assert not sending.done()
            assert len(submission._waiting) <= SMALL.window_blocks + 2, ticks
            await scene.tick(intake)
        await submission.abandon()
        with pytest.raises(EnvironmentError_, match="abandoned"):
            await sending
        assert intake.refusal() is None

    scene.run(acts)


def test_reports_take_turns(scene: Scene) -> None:
    """A long report does not keep a short one waiting."""

    async def acts(intake: Intake) -> None:
        await scene.tick(intake)
        long = intake.begin(Phrase.make(), {}, "en")
        await long.file("a", "b")
        sending = asyncio.create_task(long.write(os.urandom(60_000)))
        await asyncio.sleep(0)
        short = asyncio.create_task(intake.begin(Phrase.make(), {"a": "b"}, "en").finish())
        await asyncio.sleep(0)
        await scene.tick(intake)
        await asyncio.sleep(0)
        assert short.done()
        assert not sending.done()
        await long.abandon()
        with pytest.raises(EnvironmentError_):
            await sending

    scene.run(acts)


def test_what_is_too_large_is_refused_and_leaves_nothing_open(tmp_path: Path) -> None:
    scene = Scene(tmp_path, SMALL.model_copy(update={"report_bytes_max": 5000, "files_max": 1}))

    async def acts(intake: Intake) -> None:
        await scene.tick(intake)
        submission = intake.begin(Phrase.make(), {}, "en")
        await submission.file("a", "b")
        with pytest.raises(TooLarge):
            await submission.write(bytes(5001))
        with pytest.raises(TooLarge):
            await submission.file("b", "b")
        await submission.abandon()
        with pytest.raises(InputError):
            intake.begin(Phrase.make(), {"a": "x" * 500_000}, "en")

    scene.run(acts)


def test_only_so_many_reports_at_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path, SMALL.model_copy(update={"reports_at_once_max": 2}))

    async def acts(intake: Intake) -> None:
        assert intake.refusal() is Refusal.STOPPED
        await scene.tick(intake)
        first, _ = intake.begin(Phrase.make(), {}, "en"), intake.begin(Phrase.make(), {}, "en")
        with pytest.raises(Refused, match="busy"):
            intake.begin(Phrase.make(), {}, "en")
        await first.abandon()
        assert intake.refusal() is None

    scene.run(acts)


def test_a_full_disk_refuses_reports_before_they_begin(tmp_path: Path) -> None:
    """Room for the batch and not for the next: a limit on the size of files stands for the disk."""
    scene = Scene(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def acts(intake: Intake) -> None:
        (scene.store / "batches" / "next.blocks").unlink()
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL.batch_bytes - 1, hard))
        try:
            await scene.tick(intake, SMALL.ticks + 2)
            assert intake.refusal() is Refusal.FULL
            with pytest.raises(Refused, match="full"):
                intake.begin(Phrase.make(), {"a": "b"}, "en")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await scene.tick(intake)
        assert intake.refusal() is None
        await scene.report(intake, {"a": "b"})

    scene.run(acts)


def test_no_room_for_the_first_batch_is_said(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL.batch_bytes - 1, hard))
    try:
        with pytest.raises(EnvironmentError_, match="no room for a batch"):
            asyncio.run(_opened(scene))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def _opened(scene: Scene) -> Intake:
    return scene.open()


def test_a_disk_that_fails_at_a_tick_loses_nothing(scene: Scene) -> None:
    """The pending tick is made again when the disk is back: the source waits, and is answered then."""

    async def acts(intake: Intake) -> None:
        await scene.tick(intake)
        sending = asyncio.create_task(intake.begin(Phrase.make(), {"a": "late"}, "en").finish())
        await asyncio.sleep(0)
        batch = intake._volume.batch
        blocks, away = batch._blocks, batch._blocks.with_suffix(".away")
        blocks.rename(away)
        blocks.mkdir()
        await scene.tick(intake)
        assert not sending.done()
        assert intake.refusal() is Refusal.FULL
        blocks.rmdir()
        away.rename(blocks)
        await scene.tick(intake)
        await sending
        await scene.finish_batch(intake)

    scene.run(acts)
    assert [one.answers for one in scene.opened().reports] == [{"a": "late"}]


@pytest.mark.parametrize("name", ["0000000001.commitments", "0000000001.closing.json", "0000000002.json"])
def test_a_disk_that_fails_when_a_batch_closes_loses_nothing(scene: Scene, name: str) -> None:
    """The batch takes nothing more while it cannot be closed, and is closed once."""

    async def acts(intake: Intake) -> None:
        await scene.tick(intake, SMALL.ticks - 1)
        in_the_way = scene.store / "batches" / f"{name}.{os.getpid()}.new"
        in_the_way.mkdir()
        early = asyncio.create_task(intake.begin(Phrase.make(), {"a": "1"}, "en").finish())
        await asyncio.sleep(0)
        await scene.tick(intake)
        late = None if intake.refusal() else intake.begin(Phrase.make(), {"a": "2"}, "en")
        waiting = asyncio.create_task(late.finish()) if late else None
        await asyncio.sleep(0)
        await scene.tick(intake, 2)
        assert early.done()
        assert waiting is None or not waiting.done()
        assert intake.refusal() is Refusal.FULL
        in_the_way.rmdir()
        await scene.tick(intake, 2)
        await scene.report(intake, {"a": "3"})
        await scene.finish_batch(intake)

    scene.run(acts)
    found = [one.answers["a"] for one in scene.opened().reports]
    assert {"1", "3"} <= set(found)
    assert sorted(scene.expected.log) == list(range(1, len(scene.expected.log) + 1))


def test_a_log_that_cannot_be_reached_holds_nothing_up(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    logged: list[bytes] = []
    down = [True]

    def log(entry: bytes) -> None:
        if down[0]:
            raise EnvironmentError_("the log is away")
        logged.append(entry)

    async def acts() -> None:
        intake = Intake.open(scene.store, log=log, clock=lambda: scene.now)
        await scene.tick(intake, 2 * SMALL.ticks + 3)
        assert "away" in intake.fault
        assert intake.refusal() is None
        assert list(scene.closed.iterdir()) == []
        intake.close()
        again = Intake.open(scene.store, log=log, clock=lambda: scene.now)
        down[0] = False
        await scene.tick(again)
        again.close()

    asyncio.run(acts())
    scene.log = logged
    assert {1, 2} <= set(scene.expected.log)
    scene.collected()


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_clock_that_steps_neither_holds_a_batch_open_nor_brings_a_number_twice(scene: Scene, step_s: int) -> None:
    async def acts(intake: Intake) -> None:
        await scene.tick(intake, 2)
        scene.now += timedelta(seconds=step_s)
        await scene.report(intake, {"a": "b"})
        await scene.tick(intake, 2 * SMALL.ticks + 2)

    scene.run(acts)
    assert sorted(scene.expected.log) == list(range(1, len(scene.expected.log) + 1))
    assert len(scene.expected.log) >= 2
    assert [one.answers for one in scene.opened().reports] == [{"a": "b"}]


def test_a_report_may_lie_in_two_batches(scene: Scene) -> None:
    data = os.urandom(40_000)

    async def acts(intake: Intake) -> None:
        await scene.tick(intake, SMALL.ticks - 2)
        await scene.report(intake, {"a": "b"}, [("f", data)])
        await scene.finish_batch(intake)

    scene.run(acts)
    (one,) = scene.opened().reports
    assert len(one.sealed_in) >= 2
    assert one.complete
    assert (scene.folder / "opened" / one.report / "file-00").read_bytes() == data


def test_offices_that_change_count_from_the_next_batch_on(scene: Scene) -> None:
    others, _ = offices_of()

    async def acts(intake: Intake) -> None:
        await scene.tick(intake)
        (scene.store / "offices.json").write_bytes(others.canonical_bytes())
        await scene.tick(intake)
        assert intake.offices == scene.offices
        await scene.finish_batch(intake)
        assert intake.offices == others

    scene.run(acts)
    assert intake_offices_are_refused(scene)


def intake_offices_are_refused(scene: Scene) -> bool:
    """A host that puts an office of its own in place of another is seen by whoever holds the agreed list."""

    async def acts(intake: Intake) -> None:
        await scene.finish_batch(intake)

    scene.run(acts)
    with pytest.raises(EvidenceError, match="other offices than those that were agreed"):
        scene.collected()
    return True


def test_replies_reach_the_source_and_nobody_else(scene: Scene) -> None:
    phrase = Phrase.make()
    board = make_board("house", "office-1", 1, [Answer(phrase.mailbox("house"), "who else saw it?")], scene.held[1].key)
    path = scene.store / "boards" / "office-1.board"

    async def acts(intake: Intake) -> None:
        assert intake.replies(phrase) == ()
        replace_file(path, board)
        assert [(one.office, one.text) for one in intake.replies(phrase)] == [("office-1", "who else saw it?")]
        assert intake.replies(Phrase.make()) == ()
        replace_file(path, board[:-1] + b"x")
        assert intake.replies(phrase) == ()

    scene.run(acts)


def test_two_processes_cannot_run_one_intake(scene: Scene) -> None:
    async def acts(intake: Intake) -> None:
        with pytest.raises(InputError, match="another process"):
            scene.open()

    scene.run(acts)


def test_run_makes_ticks_and_answers_what_came_in_before_it_stops(tmp_path: Path) -> None:
    scene = Scene(tmp_path, SMALL.model_copy(update={"tick_s": 0.02, "batch_s": 0.2}))

    async def acts() -> None:
        intake = Intake.open(scene.store, log=scene.log.append)
        running = asyncio.create_task(intake.run())
        await asyncio.sleep(0.01)
        half = intake.begin(Phrase.make(), {"a": "never finished"}, "en")
        whole = asyncio.create_task(intake.begin(Phrase.make(), {"a": "b"}, "en").finish())
        await asyncio.sleep(0)
        await intake.stop()
        await running
        assert (await whole).text().startswith("BEGIN")
        with pytest.raises(EnvironmentError_):
            await half.finish()
        assert intake.refusal() is Refusal.STOPPED
        intake.close()

    asyncio.run(acts())


@pytest.mark.parametrize(
    "change",
    [
        {"tick_s": 10, "batch_s": 1},
        {"block_bytes": 5000},
        {"blocks_per_tick": 0},
        {"batch_s": 31 * 86_400, "tick_s": 0.01},
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Settings.parse({"intake": "x", **change}, where="settings", error=InputError)


def test_an_intake_is_made_once(scene: Scene) -> None:
    with pytest.raises(InputError, match="not empty"):
        create_volume(scene.store, SMALL, scene.offices, scene.key)
