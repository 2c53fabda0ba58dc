"""Private elements that may stay (PS3.15 E.3.10, CID 113111): numbers that images need.

Known by their creator and the low byte of their number; each has its type here, whatever the file
says, and its value passes the rule of that type. Everything else that is private is removed.
"""

from __future__ import annotations

# (group, private creator, low byte) → VR
SAFE: dict[tuple[int, str, int], str] = {
    # Factors without which the SUV of Philips' counts cannot be had.
    (0x7053, "Philips PET Private Group", 0x00): "DS",
    (0x7053, "Philips PET Private Group", 0x09): "DS",
    # When GE's PET scan began, for series that were processed later.
    (0x0009, "GEMS_PETD_01", 0x0D): "DT",
    # Geometry and exposure of CT.
    (0x0019, "GEMS_ACQU_01", 0x23): "DS",
    (0x0019, "GEMS_ACQU_01", 0x24): "DS",
    (0x0019, "GEMS_ACQU_01", 0x27): "DS",
    (0x0043, "GEMS_PARM_01", 0x27): "SH",
    (0x0045, "GEMS_HELIOS_01", 0x01): "SS",
    (0x0045, "GEMS_HELIOS_01", 0x02): "FL",
    (0x01E1, "ELSCINT1", 0x26): "CS",
    (0x01E1, "ELSCINT1", 0x50): "DS",
    (0x01F1, "ELSCINT1", 0x01): "CS",
    (0x01F1, "ELSCINT1", 0x07): "DS",
    (0x01F1, "ELSCINT1", 0x26): "DS",
    (0x01F1, "ELSCINT1", 0x27): "DS",
    # Diffusion weighting of MR.
    (0x0019, "SIEMENS MR HEADER", 0x0C): "IS",
    (0x0019, "SIEMENS MR HEADER", 0x0D): "CS",
    (0x0019, "SIEMENS MR HEADER", 0x0E): "FD",
    (0x0019, "SIEMENS MR HEADER", 0x27): "FD",
    (0x0043, "GEMS_PARM_01", 0x39): "IS",
    (0x2001, "Philips Imaging DD 001", 0x03): "FL",
    (0x2001, "Philips Imaging DD 001", 0x04): "CS",
}
CREATORS = frozenset((group, creator) for group, creator, _ in SAFE)
