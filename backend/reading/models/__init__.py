"""The records of the reading room."""

from backend.reading.models.attendance import Attendance
from backend.reading.models.cases import Case, Subject
from backend.reading.models.comparisons import Cluster, Comparison
from backend.reading.models.incidental import IncidentalFinding
from backend.reading.models.labels import ConsensusSignature, Evidence, ReferenceLabel
from backend.reading.models.masks import Mask, MaskSlice, Node, NodeVersion
from backend.reading.models.projects import Membership, Project, Protocol, ProtocolModel
from backend.reading.models.readings import Change, NodeState, NotAssessable, Reading, Signature
from backend.reading.models.settling import Consensus, ConsensusNode, Discrepancy, Step

__all__ = [
    "Attendance",
    "Case",
    "Change",
    "Cluster",
    "Comparison",
    "Consensus",
    "ConsensusNode",
    "ConsensusSignature",
    "Discrepancy",
    "Evidence",
    "IncidentalFinding",
    "Mask",
    "MaskSlice",
    "Membership",
    "Node",
    "NodeState",
    "NodeVersion",
    "NotAssessable",
    "Project",
    "Protocol",
    "ProtocolModel",
    "Reading",
    "ReferenceLabel",
    "Signature",
    "Step",
    "Subject",
]
