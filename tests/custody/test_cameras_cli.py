"""A camera from the command line: enrol, promise, lamp, watch, verify, show."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cameras_cases import CAMERA_KEY, INSPECTOR_KEY, enrolled, enrolment_pictures, film, room
from cameras_rtsp import Server
from click.testing import CliRunner, Result

from inspectorate.cli import cli
from inspectorate.errors import EvidenceError, InputError
from inspectorate.worlds.rack_encoder import Coding, encode
from inspectorate.worlds.rack_tampers import Film, Tamper
from inspectorate.worlds.rack_trials import regions_of
from inspectorate.worlds.rack_video import Scene

WRONG_USE, UNUSABLE = 2, 30
FAULTS = {WRONG_USE: InputError, UNUSABLE: EvidenceError}


class Folder:
    """Keys, anchors and an enrolment in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        CAMERA_KEY.write(root / "camera.pem")
        INSPECTOR_KEY.write(root / "ada.pem")
        (root / "regions.json").write_text(json.dumps(regions_of(room()).model_dump(mode="json")))
        (root / "cam.json").write_bytes(enrolled().canonical_bytes())
        rows = [
            f"  - {{name: {name}, public_key: '{base64.b64encode(key.public.raw).decode()}', holder: {holder}, "
            f"roles: [{role}]{sensors}, valid_from: 2020-01-01T00:00:00Z, valid_until: 2190-01-01T00:00:00Z}}"
            for name, key, holder, role, sensors in (
                ("camera", CAMERA_KEY, "prover", "sensor", ", sensors: [cam-1]"),
                ("ada", INSPECTOR_KEY, "verifier", "inspector", ""),
            )
        ]
        (root / "anchors.yaml").write_text("anchors:\n" + "\n".join(rows) + "\n")

    def run(self, *words: str, code: int = 0) -> Result:
        given = ["custody", "camera", *(word.replace("@", f"{self.root}/") for word in words)]
        result = CliRunner().invoke(cli, given, standalone_mode=True)
        if code in FAULTS:
            assert isinstance(result.exception, FAULTS[code]), (result.output, result.exception)
        else:
            assert result.exit_code == code, (result.output, result.exception)
        return result

    def watch(self, source: str, *words: str, code: int = 0) -> dict[str, object]:
        signed = (
            "--enrolment",
            "@cam.json",
            "--out",
            "@out",
            "--key",
            "@camera.pem",
            "--anchors",
            "@anchors.yaml",
            "--json",
        )
        return json.loads(self.run("watch", source, *signed, "--origin", "simulated", *words, code=code).stdout)

    def verify(self, *words: str, code: int = 0) -> dict[str, object]:
        given = ("verify", "@out", "--enrolment", "@cam.json", "--anchors", "@anchors.yaml", "--json", *words)
        return json.loads(self.run(*given, code=code).stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_enrolling_from_a_file_and_counting_alarms_on_another(folder: Folder) -> None:
    encode(enrolment_pictures(room(), 1.0), folder.root / "enrol.mkv")
    encode(film(6), folder.root / "more.mkv")
    found = json.loads(
        folder.run(
            "enrol", "@enrol.mkv", "--regions", "@regions.json", "--out", "@made.json", "--rate", "1", "--origin", "simulated",
            "--check", "@more.mkv", "--json",
        ).stdout
    )  # fmt: skip
    assert found["places"] == ["rack-1", "rack-2", "rack-3"]
    assert found["checked_s"] == pytest.approx(5.0, abs=0.1)
    assert found["states"] >= 1
    assert found["blinking_lamps"] >= 8
    folder.run("enrol", "@none.mkv", "--regions", "@regions.json", "--out", "@x.json", code=WRONG_USE)


def test_watching_two_files_judging_and_showing(folder: Folder) -> None:
    encode(film(9), folder.root / "first.mkv")
    encode(film(18, Tamper(kind="cable-added", from_s=9, seed=3), seed=8), folder.root / "second.mp4")
    first = folder.watch("@first.mkv", "--start", "2026-11-01T10:00:00Z", "--segment", "4")
    assert (first["segments"], first["frames"], first["events"]) == (3, 36, {})
    assert folder.verify(code=10)["cameras"][0]["faults"][0]["fault"] == "never-closed"
    second = folder.watch("@second.mp4", "--start", "2026-11-01T10:00:09Z", "--last", code=20)
    assert second["events"] == {"cabling-changed": 1}
    (camera,) = folder.verify(code=20)["cameras"]
    assert (camera["segments"], camera["frames"], camera["faults"], camera["prover_alone"]) == (4, 108, [], True)
    shown = folder.run("show", "@out", "--enrolment", "@cam.json", "--anchors", "@anchors.yaml", "--html", "@page.html")
    assert "1 events" in shown.output
    page = (folder.root / "page.html").read_text()
    assert "cabling-changed" in page
    assert page.count("data:image/jpeg") == 1
    (clip,) = (folder.root / "out" / "clips").iterdir()
    clip.write_bytes(b"\xff\xd8\xff other")
    folder.run("show", "@out", "--enrolment", "@cam.json", "--anchors", "@anchors.yaml", "--html", "@page.html")
    assert "not the signed ones" in (folder.root / "page.html").read_text()
    folder.run(
        "watch", "@first.mkv", "--enrolment", "@cam.json", "--out", "@out", "--key", "@camera.pem", "--anchors", "@anchors.yaml",
        "--start", "2026-11-02T00:00:00Z", code=WRONG_USE,
    )  # fmt: skip


def test_a_film_that_breaks_off_leaves_a_signed_segment_and_an_error(folder: Folder) -> None:
    pictures = film(3)
    encode([*pictures, (500 * 86_400.0, pictures[0][1])], folder.root / "leap.mkv", Coding(codec="mjpeg"))
    signed = ("--enrolment", "@cam.json", "--out", "@out", "--key", "@camera.pem", "--anchors", "@anchors.yaml")
    start = "2026-11-01T10:00:00Z"
    folder.run("watch", "@leap.mkv", *signed, "--start", start, "--last", "--origin", "simulated", code=UNUSABLE)
    (camera,) = folder.verify(code=10)["cameras"]
    assert (camera["segments"], camera["frames"]) == (1, 12)
    assert [one["fault"] for one in camera["faults"]] == ["never-closed"]


def test_watching_rtsp(folder: Folder) -> None:
    server = Server(film(6), speed=6.0)
    try:
        found = folder.watch(f"rtsp://127.0.0.1:{server.port}/rack", "--seconds", "4", "--last")
    finally:
        server.close()
    assert (found["segments"], found["frames"], found["events"]) == (1, 16, {})


def test_a_lamp_is_promised_played_and_answered(folder: Folder) -> None:
    begins = datetime.now(UTC) + timedelta(hours=1)
    made = json.loads(
        folder.run(
            "promise", "--camera", "cam-1", "--as", "ada", "--keep", "@secret.json", "--begins", begins.isoformat(),
            "--hours", "0.01", "--every", "15", "--out", "@mine", "--key", "@ada.pem", "--anchors", "@anchors.yaml", "--json",
        ).stdout
    )  # fmt: skip
    assert made["challenges"] == 2
    lit = enrolled().model_copy(update={"lamp_latency_s": 0.1})
    (folder.root / "cam.json").write_bytes(lit.canonical_bytes())
    rows = json.loads(folder.run("lamp", "@secret.json", "--enrolment", "@cam.json", "--json").stdout)
    assert [len(one["pattern"]) for one in rows] == [20, 20]
    assert rows[0]["pattern"] != rows[1]["pattern"]
    folder.run("lamp", "@cam.json", "--enrolment", "@cam.json", code=WRONG_USE)

    def brightness(t: float) -> float:
        """What plays the printed pattern, seen 0.1 s later."""
        slot = int((t - 5 - 0.1) // 0.37)
        return float(rows[0]["pattern"][slot]) if 0 <= slot < 20 else 0.0

    scene = Scene(room=room(), seed=11, start_hour=10.0, people=False)
    encode(Film(scene=scene, rate=4.0, lamp=brightness).frames(17), folder.root / "lit.mkv")
    start = (begins - timedelta(seconds=5)).isoformat()
    words = ("--start", start, "--segment", "9", "--promise", made["statement"], "--last")
    found = folder.watch("@lit.mkv", *words, "--secret", "@secret.json")
    assert (found["segments"], found["challenges"], found["answered"]) == (2, 1, 1)
    waiting = folder.verify("--promises", "@mine", code=10)
    assert "not handed over yet" in waiting["pending"][0]
    (camera,) = folder.verify("--promises", "@mine", "--secret", "@secret.json")["cameras"]
    assert (camera["challenges"], camera["answered"], camera["faults"]) == (1, 1, [])
    (folder.root / "out" / "statements" / f"{'0' * 64}.json").write_text("{}")
    left = folder.verify("--promises", "@mine", "--secret", "@secret.json", code=10)
    assert "set aside" in left["pending"][0]


def test_a_secret_is_handed_over_only_once_its_lamp_has_stopped(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = datetime.now(UTC) + timedelta(hours=1)
    mine = ("--out", "@mine", "--key", "@ada.pem", "--anchors", "@anchors.yaml", "--json")
    made = json.loads(
        folder.run(
            "promise", "--camera", "cam-1", "--as", "ada", "--keep", "@secret.json", "--begins", begins.isoformat(),
            "--hours", "1", *mine,
        ).stdout
    )  # fmt: skip
    words = ("reveal", "@secret.json", "--out", "@mine", "--anchors", "@anchors.yaml", "--json")
    assert "goes on until" in str(folder.run(*words, code=WRONG_USE).exception)
    payload = folder.root / "mine" / "payloads" / made["promise"].removeprefix("sha256:")
    assert not payload.exists()
    monkeypatch.setattr("inspectorate.cli.custody_camera.now", lambda: begins + timedelta(hours=1))
    assert json.loads(folder.run(*words).stdout) == {"promise": made["statement"], "secret": made["promise"]}
    assert payload.read_bytes() == (folder.root / "secret.json").read_bytes()
    (folder.root / "mine" / "statements" / f"{made['statement'].removeprefix('sha256:')}.json").unlink()
    assert "not the secret of any promise" in str(folder.run(*words, code=WRONG_USE).exception)


def test_a_key_that_may_not_speak_for_the_camera_is_refused_before_anything_is_watched(folder: Folder) -> None:
    words = ("--start", "2026-11-01T10:00:00Z", "--out", "@out", "--key", "@ada.pem", "--anchors", "@anchors.yaml")
    found = folder.run("watch", "@no-film.mkv", "--enrolment", "@cam.json", *words, code=WRONG_USE)
    assert "may not speak for cam-1" in str(found.exception)
    assert not (folder.root / "out").exists()


def test_a_promise_under_another_name_keeps_no_secret(folder: Folder) -> None:
    begins = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    found = folder.run(
        "promise", "--camera", "cam-1", "--as", "eve", "--keep", "@secret.json", "--begins", begins, "--out", "@mine",
        "--key", "@ada.pem", "--anchors", "@anchors.yaml", code=WRONG_USE,
    )  # fmt: skip
    assert "ada may not sign" in str(found.exception)
    assert not (folder.root / "secret.json").exists()
    assert not (folder.root / "mine").exists()
