"""The recorded sites under examples/, reviewed once."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_resigning import AS_OF, Taken, take_apart

from inspectorate.agreement import load_agreement
from inspectorate.evidence import Bundle
from inspectorate.keys import TrustAnchors
from inspectorate.lab.truth import GroundTruth
from inspectorate.review import Review, review

EXAMPLES = Path(__file__).parents[2] / "examples"


def review_site(name: str) -> Review:
    site = EXAMPLES / name
    anchors = TrustAnchors.read(site / "anchors.yaml")
    return review(
        Bundle.open(site / "site.tar", anchors=anchors),
        agreement=load_agreement("inference-only"),
        anchors=anchors,
        as_of=AS_OF,
        interval_s=60.0,
    )


@pytest.fixture(scope="session")
def recorded() -> Review:
    return review_site("lab-site")


@pytest.fixture(scope="session")
def honest() -> Review:
    return review_site("lab-site-honest")


@pytest.fixture(scope="session")
def truth() -> GroundTruth:
    return GroundTruth.read(EXAMPLES / "lab-site" / "truth.json")


@pytest.fixture(scope="session")
def taken() -> Taken:
    return take_apart(EXAMPLES / "lab-site")
