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
    assert len(listed) == 3
    assert [each["id"] for each in listed if each["approval"] == "waiting"] == [waiting.id]
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


def test_lineage_names_run_data_and_promotions(
    command_line: CommandLine, published: list[Release]
) -> None:
    old, new = published
    lines = command_line.run("releases", "lineage", old.id[:12]).out.splitlines()
    facts = [(line[:14].rstrip(), line[14:]) for line in lines]
    assert ("release", f"{old.id} (spectroscopic)") in facts
    assert ("run", "test") in facts
    assert ("training set", "s3://skyclass-data/observations, version 1") in facts
    assert ("same data", new.id) in facts
    promotions = [text for name, text in facts if name == "promotion"]
    assert f"none -> {old.id[:12]}  run test: for a test" in promotions[0]
    assert f"{old.id[:12]} -> {new.id[:12]}" in promotions[1]


def test_lineage_is_printed_as_json(command_line: CommandLine, published: list[Release]) -> None:
    found = json.loads(command_line.run("releases", "lineage", published[0].id, "--json").out)
    assert found["same_training_set"] == [published[1].id]
    assert [each["to_release"] for each in found["promotions"]] == [each.id for each in published]
    assert (found["windows"], found["predictions"]) == ([], [])


def test_lineage_of_a_release_that_waits_says_why(
    command_line: CommandLine, waiting: Release
) -> None:
    text = command_line.run("releases", "lineage", waiting.id).out
    assert "the run has promotion=approve\napproval      waiting\n" in text
    found = json.loads(command_line.run("releases", "lineage", waiting.id, "--json").out)
    assert (found["approval"]["state"], found["approval"]["decision"]) == ("waiting", None)
    command_line.run("promote", waiting.id, "--approve", "--reason", "checked", "--by", "Ada")
    text = command_line.run("releases", "lineage", waiting.id).out
    assert "approval      approved by Ada: checked\n" in text
    assert "approved by Ada, run" in text


def test_lineage_of_an_unknown_release_fails(command_line: CommandLine, store: ObjectStore) -> None:
    assert "no release begins" in command_line.run_failing("releases", "lineage", "0" * 12)
