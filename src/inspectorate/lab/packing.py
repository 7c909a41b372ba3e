"""What recorded sites have in common: anchors, the files of a site, and its review.

OUT/site.tar           the bundle
OUT/anchors.yaml       what the reviewer trusts: public keys only
OUT/declaration.yaml   the declaration as it was signed, for reading
OUT/agreement.yaml     the terms of this site
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from inspectorate.agreement import Agreement, load_agreement
from inspectorate.declaration import Declaration
from inspectorate.evidence import Bundle, write_bundle
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.review import Review, review

KEYS_VALID = timedelta(days=3650)
BEFOREHAND = timedelta(days=1)


def anchor(
    name: str, key: SigningKey, holder: Holder, *roles: Role, now: datetime, sensors: tuple[str, ...] = ()
) -> TrustAnchor:
    """A key of a recorded site, valid from the day before `now`."""
    return TrustAnchor(
        name=name,
        public_key=base64.b64encode(key.public.raw).decode(),
        holder=holder,
        roles=roles,
        sensors=sensors,
        valid_from=now - BEFOREHAND,
        valid_until=now - BEFOREHAND + KEYS_VALID,
    )


def write_site(
    out: Path, contents: Mapping[str, bytes], *, anchors: TrustAnchors, declaration: Declaration, agreement: Agreement
) -> None:
    """Write a site into the new folder `out`."""
    out.mkdir(parents=True)
    write_bundle(contents, out / "site.tar")
    for name, record in (("anchors", anchors), ("declaration", declaration), ("agreement", agreement)):
        write_yaml(out / f"{name}.yaml", record.model_dump(mode="json", exclude_none=True))


def write_yaml(path: Path, value: object) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110))


def reviewed(site: Path) -> Review:
    """The review of a recorded site, under its own terms and anchors."""
    anchors = TrustAnchors.read(site / "anchors.yaml")
    return review(
        Bundle.open(site / "site.tar", anchors=anchors),
        agreement=load_agreement(str(site / "agreement.yaml")),
        anchors=anchors,
        as_of=datetime.now(UTC),
    )
