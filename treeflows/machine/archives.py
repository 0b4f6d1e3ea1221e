"""Files that are there whole or not at all, and archives that are safe to open."""

import contextlib
import io
import json
import os
import secrets
import shutil
import zipfile
from pathlib import Path

import numpy as np

MODEL_MEMBER = "model.json"
MOST_TEXT = 2**24  # bytes of JSON, which takes up to 25 times as much once it is read


@contextlib.contextmanager
def whole_file(path, synced=False):
    """A binary file under a temporary name, which takes the name ``path`` once it is written and closed.

    What is there and no regular file, such as a pipe, is written to as it is. A file that is ``synced`` is on the disk
    before it has its name.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()  # a link stays a link
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        file = temporary.open("xb")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    try:
        with file:
            yield file
            if synced:
                file.flush()
                os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_archive(path, model, arrays, synced=False):
    """Write a dict of plain values and a dict of arrays as a NumPy .npz archive with one JSON member, uncompressed."""
    text = json.dumps(model, ensure_ascii=False, indent=1).encode()
    if len(text) > MOST_TEXT:
        raise ValueError(f"names and categories take {len(text):,} bytes, of which a file holds at most {MOST_TEXT:,}")
    with whole_file(path, synced) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # a fixed date: equal models give equal files
        archive.writestr(zipfile.ZipInfo(MODEL_MEMBER), text)
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")
            info.file_size = array.nbytes  # headers for large members only, which Python's versions write differently
            with archive.open(info, "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)


def read_archive(path):
    """Read what `write_archive` wrote; ValueError for any other file.

    Members must be stored uncompressed, as long as their headers say, and together no longer than the file, so that no
    file makes the reader allocate more than its own size, the JSON member apart, which is bounded for that.
    """
    with Path(path).open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                if sum(info.file_size for info in members) > file.seek(0, io.SEEK_END):
                    raise ValueError("its members are longer than the file")
                if len({info.filename for info in members}) < len(members):
                    raise ValueError("a member occurs more than once")
                if archive.getinfo(MODEL_MEMBER).file_size > MOST_TEXT:
                    raise ValueError(f"member {MODEL_MEMBER} is longer than {MOST_TEXT:,} bytes")
                for info in members:
                    if info.compress_type != zipfile.ZIP_STORED:
                        raise ValueError(f"member {info.filename} is compressed")
                arrays = {
                    info.filename.removesuffix(".npy"): _read_array(archive, info)
                    for info in members
                    if info.filename != MODEL_MEMBER
                }
                return json.loads(archive.read(MODEL_MEMBER)), arrays
        except Exception as error:  # zipfile, numpy and json raise a dozen types on hostile bytes
            raise ValueError(f"{path} is not a treeflows model file, or is damaged ({error})") from error


def _read_array(archive, info):
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"member {info.filename} has an unknown array format")
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(member)
        if fortran_order or dtype.kind not in "uif" or min(shape, default=0) < 0:
            raise ValueError(f"member {info.filename} has an unexpected layout")
        count = int(np.prod([int(n) for n in shape], dtype=object)) if shape else 1
        if count * dtype.itemsize != info.file_size - member.tell():
            raise ValueError(f"member {info.filename} is not as long as its header says")
        return np.frombuffer(member.read(), dtype=dtype).reshape(shape)
