"""Messages of jobs to a webhook, through the chart's NetworkPolicy."""

from collections.abc import Iterator

import pytest

from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Shell
from tests.support.cluster.receiver import PORT, Message, Receiver, start_receiver
from tests.support.cluster.windows import (
    MODE,
    evaluate,
    make_faint_objects,
    predict_in_new_window,
)
from tests.support.scoring import publish_tree

PAGE = "https://sky.example.org"


@pytest.fixture(scope="module")
def receiver(scaled: Installation) -> Iterator[Receiver]:
    with start_receiver(scaled) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def notifying(scaled: Installation, receiver: Receiver) -> Iterator[Installation]:
    """The installation, with a channel."""
    scaled.namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "channels"},
            "stringData": {"urls": f"{receiver.url}\n"},
        }
    )
    scaled.install(
        notifications__existingSecret="channels",
        networkPolicy__notifications={"cidrs": [f"{receiver.ip}/32"], "ports": [PORT]},
        monitor__url=PAGE,
    )
    try:
        scaled.wait_until_served((MODE,))
        yield scaled
    finally:
        scaled.install()
        scaled.namespace.kubectl("delete", "secret", "channels")


@pytest.fixture(scope="module")
def release(
    notifying: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """A new champion without windows, and the one that it replaced and that follows it."""
    before = notifying.get_release(MODE)
    with notifying.connect_to_store() as settings:
        folder = tmp_path_factory.mktemp("release")
        promoted = publish_tree(ObjectStore(settings), folder, Mode(MODE), seed=4711).id
    run(notifying, "promote", promoted, "--reason", "a test of messages")
    try:
        yield promoted, before
    finally:
        run(notifying, "rollback", "--mode", MODE, "--reason", "end of the test")


def run(installation: Installation, *arguments: str) -> None:
    """Run a command of `skyclass` in a Job like that of drift."""
    job = installation.namespace.start_cron_job(f"{installation.name}-drift-{MODE}", *arguments)
    assert installation.namespace.wait_for_job(job), installation.namespace.read_logs(job)


def select(messages: list[Message], title: str) -> list[Message]:
    return [each for each in messages if each.title.endswith(title)]


def test_the_test_message_arrives(notifying: Installation, receiver: Receiver) -> None:
    run(notifying, "notify", "test")
    (message,) = select(receiver.read(), "test message")
    assert message.title.startswith(f"skyclass ({notifying.namespace.name}) ")
    assert PAGE in message.text


def test_a_promotion_by_hand_is_reported_with_its_reason(
    notifying: Installation, release: tuple[str, str], receiver: Receiver
) -> None:
    (message,) = select(receiver.read(), f"{MODE}: release promoted")
    promoted, before = release
    assert f"release {promoted[:12]} is champion, in place of {before[:12]}" in message.text
    assert "a test of messages" in message.text


def test_lasting_drift_is_reported_once_with_reason_and_link(
    notifying: Installation, release: tuple[str, str], caller: Shell, receiver: Receiver
) -> None:
    def read_messages() -> list[Message]:  # windows of other releases may have drifted, too
        messages = select(receiver.read(), f"{MODE}: drift persists")
        return [each for each in messages if f"release {release[0][:12]} drifted" in each.text]

    objects = make_faint_objects()
    evaluate(notifying, predict_in_new_window(notifying, caller, objects))
    assert read_messages() == []
    window = predict_in_new_window(notifying, caller, objects)
    for _ in range(2):
        evaluate(notifying, window)
    (message,) = read_messages()
    assert "2 of the last 2 windows of release" in message.text
    assert f"{PAGE}/{MODE}/" in message.text
