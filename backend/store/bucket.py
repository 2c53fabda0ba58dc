"""The content store in an S3-compatible bucket: the folder's layout as keys under a prefix.

Keys, region and endpoint come from the usual variables (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, …)
as django-storages and boto3 read them. Imported only where such a store is configured.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

from backend.store.interface import (
    PACKED,
    QUARANTINE,
    BlobMissing,
    Bytes,
    ContentStore,
    Entry,
    enough,
    is_name,
    named,
    pack,
    part_of,
    pieces,
    unpack,
)

_CONNECTIONS = 32
# A blob that is put again counts as new, so that nobody takes it for an orphan meanwhile.
_TOUCH_SECONDS = 3600.0
_PROBE = ".writable"
_PROBE_SECONDS = 5.0
_KNOWN = 1 << 14  # Names known to be packed, so that a read asks once.
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_HERE_ALREADY = frozenset({"412", "PreconditionFailed"})
_AT_ONCE = frozenset({"409", "ConditionalRequestConflict"})
_NO_CONDITIONS = frozenset({"501", "NotImplemented"})


class StoreUnreachable(OSError):
    """The bucket does not answer, or refuses. Check its address, its keys and the network."""


class BucketStore(ContentStore):
    """Blobs in a bucket. A blob is durable when the bucket has acknowledged its hash."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client = _client(bucket)
        self._probe = _client(bucket, patient=False)
        self._probed: tuple[float, bool] = (float("-inf"), False)
        self._packed: OrderedDict[str, None] = OrderedDict()

    @classmethod
    def at(cls, address: str) -> BucketStore:
        """The store at `s3://bucket/prefix`."""
        parts = urlsplit(address)
        return cls(parts.netloc, parts.path)

    @property
    def where(self) -> str:
        """The address."""
        return f"s3://{self.bucket}/{self.prefix}"

    def put(self, data: Bytes, *, compress: bool = False, name: str | None = None) -> str:
        """One PUT that the bucket checks by hash and takes only where the key is free."""
        name = named(name or hashlib.sha256(data).hexdigest())
        if not compress:
            self._put(self._key(name), bytes(data), digest=bytes.fromhex(name))
        else:
            packed = pack(data)
            self._put(self._key(name) + PACKED, packed, digest=hashlib.sha256(packed).digest())
            self._remember(name)
        return name

    def _put(self, key: str, body: bytes, *, digest: bytes) -> None:
        told = {
            "Bucket": self.bucket,
            "Key": key,
            "Body": body,
            "ChecksumSHA256": base64.b64encode(digest).decode(),
        }
        with _answering(key):
            try:
                self._client.put_object(**told, IfNoneMatch="*")
            except ClientError as error:
                code = _code(error)
                if code in _HERE_ALREADY:
                    if self._is_fresh(key, body):
                        return
                elif code not in _NO_CONDITIONS | _AT_ONCE:
                    raise
                self._client.put_object(**told)

    def _is_fresh(self, key: str, body: bytes) -> bool:
        """Whether the object has its length and is young enough to be nobody's orphan."""
        told = self._head(key)
        if told is None:
            return False
        age = time.time() - told["LastModified"].timestamp()
        whole = key.endswith(PACKED) or int(told["ContentLength"]) == len(body)
        return whole and age < _TOUCH_SECONDS

    def exists(self, name: str) -> bool:
        """Whether either form has a key."""
        key = self._key(name)
        return self._head(key) is not None or self._head(key + PACKED) is not None

    def read(self, name: str) -> bytes:
        """One GET where it is known which form is kept."""
        body, packed = self._got(name)
        data = _whole(body, name)
        return unpack(data) if packed else data

    def read_zstd(self, name: str) -> bytes:
        """The packed form, else the plain one packed now."""
        body, packed = self._got(name, packed_first=True)
        data = _whole(body, name)
        return data if packed else pack(data)

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """A ranged GET of the plain form."""
        if length == 0 or name in self._packed:
            return part_of(self.read(name), name, offset, length)
        told = f"bytes={offset}-{offset + length - 1}"
        with _answering(name):
            try:
                answer = self._client.get_object(
                    Bucket=self.bucket, Key=self._key(name), Range=told
                )
                data: bytes = answer["Body"].read()
            except ClientError as error:
                if _code(error) in ("416", "InvalidRange"):
                    data = b""
                elif _code(error) in _ABSENT:
                    return part_of(self.read(name), name, offset, length)
                else:
                    raise
        return enough(data, name, length)

    def chunks(self, name: str) -> Iterator[bytes]:
        """One GET, read as it comes."""
        body, packed = self._got(name)

        def out() -> Iterator[bytes]:
            with _answering(name), body:
                yield from pieces(body, packed=packed)

        return out()

    def path(self, name: str) -> Path:
        """There are no files: always `BlobMissing`."""
        raise BlobMissing(name)

    def writable(self) -> bool:
        """Whether a small PUT is answered soon; asked at most every few seconds."""
        at, answer = self._probed
        if time.monotonic() - at > _PROBE_SECONDS:
            answer = True
            try:
                self._probe.put_object(Bucket=self.bucket, Key=self.prefix + _PROBE, Body=b"")
            except (BotoCoreError, ClientError):
                answer = False
            self._probed = time.monotonic(), answer
        return answer

    def entries(self) -> Iterator[Entry]:
        """In the order of their keys. A bucket shows no write that was cut off."""
        with _answering(self.where):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix):
                for one in page.get("Contents", ()):
                    place = str(one["Key"])
                    parts = place.removeprefix(self.prefix).split("/")
                    stem = parts[-1].removesuffix(PACKED)
                    if len(parts) != 3 or not is_name(stem):
                        continue  # Nothing of ours, or in quarantine.
                    yield Entry(
                        place=place,
                        name=stem,
                        packed=place.endswith(PACKED),
                        size=int(one["Size"]),
                        modified=one["LastModified"].timestamp(),
                    )

    def opened(self, entry: Entry) -> IO[bytes]:
        """The object's body as it comes."""
        body = self._get(entry.place)
        if body is None:
            raise BlobMissing(entry.name)
        return body

    def set_aside(self, entry: Entry) -> str:
        """Copied under `quarantine/`, then removed where it was."""
        told = self._head(entry.place)
        if told is None or told["LastModified"].timestamp() != entry.modified:
            return ""
        leaf = f"{entry.place.rsplit('/', 1)[-1]}.{int(time.time())}"
        target = f"{self.prefix}{QUARANTINE}/{leaf}"
        source = {"Bucket": self.bucket, "Key": entry.place}
        with _answering(entry.place):
            self._client.copy_object(Bucket=self.bucket, Key=target, CopySource=source)
            self._client.delete_object(**source)
        with suppress(KeyError):
            del self._packed[entry.name]
        return f"s3://{self.bucket}/{target}"

    def discard(self, entry: Entry) -> None:
        """Removed."""
        with _answering(entry.place):
            self._client.delete_object(Bucket=self.bucket, Key=entry.place)

    def _key(self, name: str) -> str:
        return f"{self.prefix}{named(name)[:2]}/{name[2:4]}/{name}"

    def _head(self, key: str) -> Any:
        """What the bucket tells of a key, None where it is free."""
        with _answering(key):
            try:
                return self._client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise

    def _got(self, name: str, *, packed_first: bool = False) -> tuple[IO[bytes], bool]:
        """The body of one form or the other, and whether it is the packed one."""
        forms = [False, True]
        if packed_first or name in self._packed:
            forms.reverse()
        for packed in forms:
            body = self._get(self._key(name) + (PACKED if packed else ""))
            if body is not None:
                if packed:
                    self._remember(name)
                return body, packed
        raise BlobMissing(name)

    def _get(self, key: str) -> IO[bytes] | None:
        with _answering(key):
            try:
                answer = self._client.get_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise
        body: IO[bytes] = answer["Body"]
        return body

    def _remember(self, name: str) -> None:
        self._packed[name] = None
        while len(self._packed) > _KNOWN:
            self._packed.popitem(last=False)


def _client(bucket: str, *, patient: bool = True) -> Any:
    """A client that threads may share, as django-storages configures it."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    limits: dict[str, Any] = (
        {"connect_timeout": 5, "read_timeout": 60, "retries": {"mode": "standard"}}
        if patient
        else {"connect_timeout": 2, "read_timeout": 3, "retries": {"total_max_attempts": 1}}
    )
    config = Config(
        # Only Amazon's own names have an address for each bucket.
        s3={"addressing_style": "path" if endpoint else "auto"},
        max_pool_connections=_CONNECTIONS,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **limits,
    )
    storage = S3Storage(bucket_name=bucket, endpoint_url=endpoint, client_config=config)
    return storage.connection.meta.client


def _whole(body: IO[bytes], what: str) -> bytes:
    with _answering(what):
        return body.read()


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _answering(what: str) -> Iterator[None]:
    """A bucket's errors as `StoreUnreachable`, an OSError like a disk's."""
    try:
        yield
    except ClientError as error:
        raise StoreUnreachable(
            errno.EIO, f"the content store refused ({_code(error)})", what
        ) from error
    except BotoCoreError as error:
        raise StoreUnreachable(errno.EIO, "the content store does not answer", what) from error
