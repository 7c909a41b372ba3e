"""One office at work on its cases: reads them, adds an act of its own, takes over what other offices did.

Rules:

- Every act is signed, checked with all that was there (`state.follow`) and only then written. An act that breaks a rule is refused
  and leaves nothing behind.
- A case is written sealed to all offices that hold it, so that every copy can be handed from one to the other as it is.
- Keys and recipients come from the agreed list of offices, and from a list of other offices to which cases may go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyrage

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.cases.acts import Act, Opened, Received, SealedFile
from inspectorate.mechanisms.whistleblowing.cases.entries import CaseFile, Keys, first_entry, read_entries, sign_entry
from inspectorate.mechanisms.whistleblowing.cases.naming import case_of, file_name, heads_commitment
from inspectorate.mechanisms.whistleblowing.cases.state import CaseState, follow
from inspectorate.mechanisms.whistleblowing.cases.store import CaseStore, Reader, read_copy, recipients_of
from inspectorate.mechanisms.whistleblowing.sealing.offices import Office, Offices


@dataclass(frozen=True, kw_only=True)
class Known:
    """The agreed offices, and other offices to which cases may be handed."""

    offices: Offices
    others: tuple[Office, ...] = ()

    def __post_init__(self) -> None:
        names = [one.name for one in (*self.offices.offices, *self.others)]
        if len(set(names)) != len(names):
            raise ValueError("two offices have one name")

    @property
    def keys(self) -> Keys:
        return {one.name: one.public_key for one in (*self.offices.offices, *self.others)}

    @property
    def recipients(self) -> Mapping[str, str]:
        return {one.name: one.recipient for one in (*self.offices.offices, *self.others)}


class Desk:
    """The cases of one office."""

    def __init__(
        self, folder: Path, *, office: str, key: SigningKey, identity: pyrage.x25519.Identity, known: Known
    ) -> None:
        """Raises `InputError` where key and identity are not those of the office."""
        expected = known.keys.get(office)
        if expected is None:
            names = ", ".join(known.keys)
            raise InputError(f"{office!r} is no office that is known", where="the desk", remedy=f"offices: {names}")
        if expected.key_id != key.key_id or known.recipients[office] != str(identity.to_public()):
            raise InputError(
                f"key and identity are not those of {office}", where="the desk", remedy="see the list of offices"
            )
        self.office = office
        self.key = key
        self.known = known
        self.store = CaseStore(folder, reader=Reader(identity=identity, keys=known.keys))

    def names(self) -> tuple[str, ...]:
        return self.store.names()

    def read(self, case: str) -> tuple[CaseFile, CaseState]:
        """A case and what follows from it. Raises `InputError`, `EvidenceError`."""
        file = self.store.read(case)
        return file, follow(file, self.known.offices)

    def all(self) -> tuple[CaseState, ...]:
        """Every case. One that was altered stops this: nothing is counted without it."""
        return tuple(self.read(case)[1] for case in self.names())

    def all_until(self, at: datetime) -> tuple[CaseState, ...]:
        """Every case as it stood at that time, by what offices signed until then."""
        then = (self.read(case)[0].until(at) for case in self.names())
        return tuple(follow(file, self.known.offices) for file in then if file is not None)

    def act(self, case: str, act: Act, *, at: datetime) -> CaseState:
        """Add an act of this office. Raises `EvidenceError` where it breaks a rule; nothing is written then."""
        file = self.store.read(case)
        envelope = sign_entry(file.next_entry(act, by=self.office, at=at), self.key)
        return self._write(case, [*(one.envelope for one in file.held), envelope])

    def open(self, opened: Opened, files: Mapping[str, Callable[[], bytes]], *, at: datetime) -> CaseState:
        """Say that this office read a report. `files` gives the bytes of each of its files, by digest.

        A case that is there already gets the report, if this office has not said so yet.
        """
        case = case_of(opened.thread)
        envelopes: list[bytes] = []
        if self.store.has(case):
            file, state = self.read(case)
            if any(one.opened.report == opened.report and self.office in one.offices for one in state.reports):
                return state
            envelopes = [one.envelope for one in file.held]
            entry = file.next_entry(opened, by=self.office, at=at)
        else:
            entry = first_entry(case, opened, by=self.office, at=at)
        # A rule that is broken is found before a file is written.
        envelopes.append(sign_entry(entry, self.key))
        state = follow(read_entries(envelopes, keys=self.known.keys, where=f"case {case}"), self.known.offices)
        for one in opened.files:
            self.keep_file(state, one, files[one.digest]())
        return self._write(case, envelopes)

    def keep_file(self, state: CaseState, file: SealedFile, data: bytes) -> None:
        """Seal a file beside the case. Raises `EvidenceError` where the bytes are not those that are named."""
        if digest_of(data) != file.digest or len(data) != file.size:
            raise EvidenceError("is not the file that the report names", where=f"case {state.case}, {file.name[:100]}")
        recipients = recipients_of(state.holders, self.known.recipients, f"case {state.case}")
        self.store.keep_file(state.case, file_name(state.thread, file.digest), data, recipients)

    def read_file(self, state: CaseState, file: SealedFile) -> bytes:
        return self.store.read_file(state.case, file_name(state.thread, file.digest), file.digest)

    def merge(self, copy: Path) -> tuple[CaseState, tuple[str, ...]]:
        """Take over what other offices did, from their copy of a case. The state, and the names of files that neither has whole.

        Raises `EvidenceError` where their copy does not fit to ours: an office told two stories, or entries were altered.
        """
        theirs = read_copy(copy, self.store.reader)
        state = self._write(theirs.case, [one.envelope for one in theirs.held])
        digests = {file_name(state.thread, file.digest): file.digest for file in state.files}
        return state, self.store.take_files(theirs.case, copy, digests)

    def receive(self, entries: Sequence[bytes], files: Mapping[str, bytes], *, at: datetime, where: str) -> CaseState:
        """Take over a whole case that a quorum handed to this office, with its files by digest. Raises `EvidenceError`."""
        file = read_entries(entries, keys=self.known.keys, where=where)
        state = follow(file, self.known.offices)
        handed = next((one for one in reversed(state.handed) if one.terms.whole and one.terms.to == self.office), None)
        if handed is None:
            raise EvidenceError(f"hands nothing over to {self.office}", where=where)
        if lacking := next((one for one in state.files if one.digest not in files), None):
            raise EvidenceError(
                f"lacks the file {lacking.digest[:19]}…", where=where, remedy="ask for the package again"
            )
        received = sign_entry(file.next_entry(Received(package=handed.package), by=self.office, at=at), self.key)
        state = self._write(file.case, [*entries, received])
        for one in state.files:
            self.keep_file(state, one, files[one.digest])
        return state

    def commitment(self, file: CaseFile, state: CaseState) -> str:
        """The salted commitment to a case as it now is: the subject of statements."""
        return heads_commitment(state.thread, file.heads)

    def _write(self, case: str, envelopes: Sequence[bytes]) -> CaseState:
        """Check everything together, and write it sealed to all who hold the case."""
        mine = [one.envelope for one in self.store.read(case).held] if self.store.has(case) else []
        together = {digest_of(data): data for data in (*mine, *envelopes)}
        file = read_entries(together.values(), keys=self.known.keys, where=f"case {case}")
        state = follow(file, self.known.offices)
        if self.office not in state.holders:
            raise EvidenceError(f"is not held by {self.office}", where=f"case {case}", remedy="a quorum hands it over")
        recipients = recipients_of(state.holders, self.known.recipients, f"case {case}")
        self.store.keep(case, [one.envelope for one in file.held], recipients)
        return state
