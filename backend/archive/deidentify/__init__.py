"""De-identification on receipt: PS3.15 Annex E, on the raw elements of one object.

What leaves here holds no free text but words of a committed list, no private element but a
committed few, no UID, date or number of a patient but the installation's own.
"""
