"""`skyclass releases`, `promote` and `rollback`."""

import json

from skyclass.registry.releases import Release
from skyclass.storage.s3 import ObjectStore
from tests.support.command_line import CommandLine


def test_without_releases_the_command_that_publishes_one_is_named(
    command_line: CommandLine, store: ObjectStore
) -> None:
    result = command_line.run("releases")
    assert (result.status, result.out) == (0, "")
    assert "skyclass run training" in result.err


def test_the_champion_is_marked(command_line: CommandLine, published: list[Release]) -> None:
    listed = json.loads(command_line.run("releases", "--json").out)
    assert [each["id"] for each in listed if each["champion"]] == [published[1].id]
    lines = command_line.run("releases").out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("*")] == [published[1].id[:12]]


def test_a_release_is_found_by_the_start_of_its_id(
    command_line: CommandLine, published: list[Release]
) -> None:
    shown = json.loads(command_line.run("releases", "show", published[0].id[:12]).out)
    assert shown["id"] == published[0].id
    assert "no release" in command_line.run_failing("releases", "show", "0" * 12)


def test_rollback_promotes_the_previous_champion(
    command_line: CommandLine, published: list[Release]
) -> None:
    old, new = published
    back = json.loads(command_line.run("rollback", "--reason", "too slow", "--json").out)
    assert (back["from_release"], back["to_release"]) == (new.id, old.id)
    assert back["reason"] == "too slow"
    forth = json.loads(command_line.run("promote", new.id[:12], "--json").out)
    assert (forth["from_release"], forth["to_release"]) == (old.id, new.id)


def test_rollback_without_a_champion_fails(command_line: CommandLine, store: ObjectStore) -> None:
    assert "promote one before you roll back" in command_line.run_failing(
        "rollback", "--mode", "photometric"
    )
