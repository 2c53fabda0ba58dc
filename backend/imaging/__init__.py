"""Pure image code shared by the web process and the worker: no Django, no torch, no database.

Arrays are ordered ``(slices, rows, columns)``. Slices ascend along the normal (row direction ×
column direction), rows and columns lie as they are stored in the images, and patient coordinates
are DICOM's LPS in millimetres. Every length is in mm, every volume in mm³.
"""
