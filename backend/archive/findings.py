"""What can be wrong with a file that arrives: its code, a sentence that names it, and the cure."""

from __future__ import annotations

from dataclasses import dataclass

ASK_SENDER = "Send the original file from the scanner or PACS again."


@dataclass
class NotTaken(Exception):
    """The file cannot be taken. It is kept aside with this sentence and this cure.

    Attributes:
        code: a word for programs, for example NOT_DICOM.
        message: one sentence about the file; `{name}` stands for its name.
        cure: one sentence, what to do.
        sop_uid: SOP Instance UID, where it could be read.
        series_uid: Series Instance UID, where it could be read.
    """

    code: str
    message: str
    cure: str
    sop_uid: str = ""
    series_uid: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.cure}"

    def sentence(self, name: str) -> str:
        """The message with the file's name in it."""
        return self.message.replace("{name}", name)


class Ignored(Exception):
    """The file belongs to a folder of images but is none (DICOMDIR, .DS_Store). Nothing to do."""
