"""What an auditor runs: it recomputes everything of a record with code of its own.

This is the public face: what is listed here is what users import.
"""

from darkpool.verification.audit import audit, audit_all
from darkpool.verification.censorship import prove_omission
from darkpool.verification.evidence import Anchor, ChainReader
from darkpool.verification.report import AuditReport, Check, Verdict

__all__ = [
    "Anchor",
    "AuditReport",
    "ChainReader",
    "Check",
    "Verdict",
    "audit",
    "audit_all",
    "prove_omission",
]
