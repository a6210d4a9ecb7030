"""Every command reads the same objects from a file, or reports the same error."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyclass.errors import SkyclassError
from skyclass.settings import Settings
from tests.support.corpus import FOLDER, OBJECTS, READERS

MUTATIONS = 500
"""Number of damaged files that each command reads."""

NAMES = sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("bad-")])
@pytest.mark.parametrize("reader", READERS)
def test_all_commands_read_the_same_objects(reader: str, name: str, settings: Settings) -> None:
    assert READERS[reader](FOLDER / name, settings) == OBJECTS


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("bad-")])
def test_all_commands_report_the_same_error(name: str, settings: Settings) -> None:
    errors = {}
    for command, read in READERS.items():
        with pytest.raises(SkyclassError) as error:
            read(FOLDER / name, settings)
        assert "\n" not in str(error.value)
        message = str(error.value).removeprefix(f"{FOLDER}/")
        errors[command] = message.partition(" (")[0]  # details of a dialect follow
    assert len(set(errors.values())) == 1, errors


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Truncate a file, flip or insert bytes, open a quote, or drop a column or a line."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data)) if data else 0
        match chance.randrange(6):
            case 0:
                del data[at:]
            case 1:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
            case 3:
                data[at:at] = b'"'
            case 4:
                lines = bytes(data).split(b"\n")
                column = chance.randrange(12)
                data = bytearray(b"\n".join(_drop_field(line, column) for line in lines))
            case 5:
                lines = bytes(data).split(b"\n")
                del lines[chance.randrange(len(lines))]
                data = bytearray(b"\n".join(lines))
    return bytes(data)


def _drop_field(line: bytes, column: int) -> bytes:
    fields = line.split(b",")
    del fields[column : column + 1]
    return b",".join(fields)


def make_damaged_files(folder: Path) -> Iterator[Path]:
    chance = random.Random(1)  # noqa: S311 - no secret
    for number in range(MUTATIONS):
        origin = FOLDER / chance.choice(NAMES)
        path = folder / f"{number}-{origin.name}"
        path.write_bytes(mutate(origin.read_bytes(), chance))
        yield path


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_damaged_files_are_read_or_rejected_in_one_line(
    reader: str, settings: Settings, tmp_path: Path
) -> None:
    rejected = 0
    for path in make_damaged_files(tmp_path):
        try:
            READERS[reader](path, settings)
        except SkyclassError as error:
            assert "\n" not in str(error), path.name
            rejected += 1
    assert rejected > MUTATIONS / 10
