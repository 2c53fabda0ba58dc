"""The product's version, printed in reports and stored with every event."""

VERSION = "0.1.0"
RESEARCH_NOTICE = "Research use only. Not for diagnosis."
