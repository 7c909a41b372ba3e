"""Response codes of a TPM in words (TPM 2.0 Library 1.59, part 2, section 6.6), and what to do about the common ones."""

from __future__ import annotations

from inspectorate.errors import EnvironmentError_

SUCCESS = 0x000
INITIALIZE = 0x100
HANDLE_UNKNOWN = 0x08B
"""TPM_RC_HANDLE: nothing is at that handle."""
RETRIES = frozenset({0x922, 0x908, 0x90A, 0x920})
"""RETRY, YIELDED, TESTING, NV_RATE: the same command may succeed later."""

_FORMAT_ONE, _PARAMETER, _WARNING = 0x080, 0x040, 0x800

_FMT0 = {
    0x100: "it is initialised already, or not yet",
    0x101: "it has failed and asks for a restart",
    0x120: "the command is disabled",
    0x124: "an authorisation does not fit this object",
    0x125: "an authorisation is missing",
    0x12F: "the authorisation of the object is not available",
    0x13A: "the size of the command is wrong",
    0x143: "it does not know this command",
    0x144: "the size of the authorisations is wrong",
    0x149: "the NV authorisation does not fit",
    0x14A: "the NV index was never written",
    0x14B: "its NV memory is full",
    0x14C: "the NV index or persistent handle is taken",
}
_WARNINGS = {
    0x01: "too many contexts are open",
    0x02: "its memory for objects is full",
    0x03: "its memory for sessions is full",
    0x04: "its memory is full",
    0x05: "it has no handle left for a session",
    0x06: "it has no handle left for an object",
    0x08: "it put the command off",
    0x09: "the command was cancelled",
    0x0A: "it is testing itself",
    0x10: "an object that the command names is not loaded",
    0x20: "writing to its NV memory is held back to spare it",
    0x21: "it is locked after too many false authorisations",
    0x22: "it asks to repeat the command",
    0x23: "its NV memory is not available",
}
_FMT1 = {
    0x01: "an asymmetric algorithm is not supported",
    0x02: "attributes are inconsistent",
    0x03: "a hash algorithm is not supported",
    0x04: "a value is out of range",
    0x05: "the hierarchy is disabled",
    0x0A: "the type is wrong",
    0x0B: "nothing is at this handle",
    0x0E: "the authorisation failed, and the failure counts",
    0x12: "a scheme is not supported",
    0x15: "a size is wrong",
    0x1A: "a structure is too short",
    0x1C: "a key is of the wrong kind",
    0x1D: "the policy is not satisfied",
    0x1F: "an integrity check failed: this is meant for another TPM or another key",
    0x20: "a ticket is not valid",
    0x22: "the authorisation is wrong",
    0x24: "a value is not allowed",
}
_REMEDIES = {
    0x902: "flush transient objects, or use the device with a resource manager",
    0x903: "flush sessions, or use the device with a resource manager",
    0x921: "wait, or reset the lockout",
    0x14B: "remove an NV index that is no longer needed",
}


def words(code: int) -> str:
    """A response code in words, with the number."""
    if code & _FORMAT_ONE:
        what = _FMT1.get(code & 0x3F, "the command was refused")
        place = (code >> 8) & 0xF
        if code & _PARAMETER:
            where = f" (parameter {place})"
        elif place & 0x8:
            where = f" (authorisation {place & 0x7})"
        else:
            where = f" (handle {place})"
        return f"{what}{where}, code {code:#05x}"
    if code & _WARNING:
        return f"{_WARNINGS.get(code & 0x7F, 'the command was put off')}, code {code:#05x}"
    return f"{_FMT0.get(code, 'the command was refused')}, code {code:#05x}"


class TpmError(EnvironmentError_):
    """A TPM answered a command with something other than success."""

    def __init__(self, command: str, code: int, where: str) -> None:
        super().__init__(f"the TPM refused {command}: {words(code)}", where=where, remedy=_REMEDIES.get(code, ""))
        self.code = code

    @property
    def is_absent(self) -> bool:
        """Whether the thing that the command names is not there."""
        return self.code & _FORMAT_ONE != 0 and self.code & 0x3F == HANDLE_UNKNOWN & 0x3F
