"""What is published of revocations: the lists of each CA, whole or in parts, and the answers signed for OCSP."""

from leafward.store.revocations.answers import Answer, Answers, Asked
from leafward.store.revocations.lists import COMPLETE, ListState, RevocationLists

__all__ = ["COMPLETE", "Answer", "Answers", "Asked", "ListState", "RevocationLists"]
