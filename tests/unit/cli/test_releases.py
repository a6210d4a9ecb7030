"""`skyclass releases`, `promote` and `rollback`."""

import json
from pathlib import Path

import pytest

from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REPORT, Release
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


@pytest.fixture
def waiting(store: ObjectStore, published: list[Release], tmp_path: Path) -> Release:
    """A release that waits for an approval."""
    champion = published[-1]
    gate = champion.manifest.gate.model_copy(update={"champion": champion.id})
    manifest = champion.manifest.model_copy(update={"gate": gate, "run_id": "run-3"})
    (tmp_path / REPORT).write_text("report of the waiting release")
    registry = LocalChampionStore(store).registry
    release = registry.publish(manifest, {REPORT: tmp_path / REPORT})
    ApprovalLog(store).request(release, "the run has promotion=approve")
    return release


def test_waiting_release_is_listed(command_line: CommandLine, waiting: Release) -> None:
    listed = json.loads(command_line.run("releases", "--json").out)
    assert [each["approval"] for each in listed] == [None, None, "waiting"]
    lines = command_line.run("releases").out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("?")] == [waiting.id[:12]]
    (request,) = json.loads(command_line.run("releases", "waiting", "--json").out)
    assert request["release"] == waiting.id
    assert waiting.id in command_line.run("releases", "waiting").out


def test_waiting_release_is_promoted_by_an_approval_only(
    command_line: CommandLine, waiting: Release
) -> None:
    assert "--approve" in command_line.run_failing("promote", waiting.id[:12])
    arguments = ("promote", waiting.id[:12], "--approve", "--reason", "checked", "--json")
    event = json.loads(command_line.run(*arguments, "--by", "vera").out)
    assert (event["to_release"], event["approved_by"]) == (waiting.id, "vera")
    assert "no release waits" in command_line.run("releases", "waiting").err


def test_who_approves_is_the_run_or_the_user(
    command_line: CommandLine, waiting: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYCLASS_RUN_ID", "ticket-17")
    arguments = ("promote", waiting.id[:12], "--decline", "--reason", "too faint", "--json")
    assert json.loads(command_line.run(*arguments).out)["by"] == "ticket-17"
    monkeypatch.delenv("SKYCLASS_RUN_ID")
    monkeypatch.setenv("LOGNAME", "vera")
    approved = ("promote", waiting.id[:12], "--approve", "--reason", "not too faint", "--json")
    assert json.loads(command_line.run(*approved).out)["approved_by"] == "vera"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--approve",), "say why"),
        (("--decline", "--reason", " "), "say why"),
        (("--approve", "--decline", "--reason", "good"), "choose one of"),
    ],
)
def test_decision_without_a_reason_is_wrong_usage(
    command_line: CommandLine, waiting: Release, options: tuple[str, ...], message: str
) -> None:
    result = command_line.run("promote", waiting.id[:12], *options)
    assert result.status == 2
    assert message in result.err
