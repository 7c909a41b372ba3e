"""The collector's folder: that of everything which makes signed segments (`evidence.spool`)."""

from inspectorate.evidence.spool import DiskSpool

__all__ = ["DiskSpool"]
