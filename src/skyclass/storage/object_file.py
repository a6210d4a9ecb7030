"""An object as a file, for libraries that read a few ranges of a large one."""

import io

from skyclass.storage.s3 import ObjectStore


class ObjectFile(io.RawIOBase):
    """A seekable view of an object; each read is one request for a range."""

    def __init__(self, store: ObjectStore, bucket: str, key: str) -> None:
        """Look up the size of the object.

        Raises:
            ObjectMissingError: No object has the key.
        """
        super().__init__()
        self._store = store
        self._bucket = bucket
        self._key = key
        self._size = store.get_size(bucket, key)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._position)
        length = left if size is None or size < 0 else min(size, left)
        if not length:
            return b""
        data = self._store.get_range(self._bucket, self._key, self._position, length)
        self._position += len(data)
        return data
