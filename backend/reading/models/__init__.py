"""The records of the reading room."""

from backend.reading.models.cases import Case, Subject
from backend.reading.models.comparisons import Cluster, Comparison, Discrepancy
from backend.reading.models.masks import Mask, MaskSlice, Node, NodeVersion
from backend.reading.models.projects import Membership, Project, Protocol
from backend.reading.models.readings import Change, NodeState, Reading, Signature

__all__ = [
    "Case",
    "Change",
    "Cluster",
    "Comparison",
    "Discrepancy",
    "Mask",
    "MaskSlice",
    "Membership",
    "Node",
    "NodeState",
    "NodeVersion",
    "Project",
    "Protocol",
    "Reading",
    "Signature",
    "Subject",
]
