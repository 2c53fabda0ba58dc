"""Who does which direction."""

from __future__ import annotations

from backend.archive.remotes.carrying import Doer
from backend.archive.remotes.models import Direction
from backend.archive.remotes.pulling import pull
from backend.archive.remotes.pushing import push

DOERS: dict[str, Doer] = {Direction.PULL.value: pull, Direction.PUSH.value: push}
