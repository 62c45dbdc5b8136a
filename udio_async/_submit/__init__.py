"""The paid step: who may send (`gate`), and what is sent, once, and kept (`submitter`)."""

from .gate import SubmitGate
from .policy import SubmitPolicy, affordable
from .submitter import Submitter

__all__ = ["SubmitGate", "SubmitPolicy", "Submitter", "affordable"]
