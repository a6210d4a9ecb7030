"""Everything that version 0.1.0 stored is still read: `tests/data/v0.1.0`."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skyclass.apps.monitor.state import StateReader
from skyclass.explaining.explainer import load_explainer
from skyclass.ingest.job import ingest
from skyclass.monitoring.accuracy_job import WindowAccuracy, update_accuracy
from skyclass.monitoring.decisions import Decision
from skyclass.monitoring.documents import load_documents
from skyclass.monitoring.drift_job import run_drift
from skyclass.monitoring.lineage import read_lineage
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.models import load_verified_model
from skyclass.registry.releases import MANIFEST, REFERENCE, Registry, Release, open_release
from skyclass.registry.signatures import verify
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import score
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.log.read import read_log
from skyclass.tables.log.schema import read_reference
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.prediction_history import read_daily_history, read_scored_inputs
from tests.support.stored import STORED, load_stored

ROOT = Path(__file__).resolve().parents[2]
EXPECTED: dict[str, Any] = json.loads((STORED / "expected.json").read_bytes())
MODE = Mode.SPECTROSCOPIC
WINDOW_ENDS = [datetime.fromisoformat(text) for text in EXPECTED["log"]["windows"]]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def stored(s3: Any) -> ObjectStore:
    """A store with what version 0.1.0 wrote, in buckets of other names."""
    kinds = ("data", "models", "logs", "reports")
    buckets = {f"{kind}_bucket": f"compatibility-{kind}" for kind in kinds}
    store = ObjectStore(Settings(**s3.environment(), **buckets))
    store.make_buckets()
    load_stored(store)
    return store


@pytest.fixture
def champions(stored: ObjectStore) -> LocalChampionStore:
    return LocalChampionStore(stored)


@pytest.fixture
def champion(champions: LocalChampionStore) -> Release:
    release = champions.get_champion(MODE)
    assert release is not None
    return release


def test_releases_keep_their_ids(stored: ObjectStore) -> None:
    listed = {
        release.id: str(mode) for mode in Mode for release in Registry(stored).list_releases(mode)
    }
    assert listed == {name: each["mode"] for name, each in EXPECTED["releases"].items()}


@pytest.mark.parametrize("release_id", EXPECTED["releases"])
def test_models_of_releases_predict_the_same(
    release_id: str, stored: ObjectStore, tmp_path: Path
) -> None:
    registry, expected = Registry(stored), EXPECTED["releases"][release_id]
    release = registry.find(release_id)
    registry.download(release, tmp_path)
    assert (tmp_path / MANIFEST).read_bytes() == (
        STORED / "models" / release.prefix / MANIFEST
    ).read_bytes()
    model = load_verified_model(open_release(tmp_path), tmp_path)
    assert model.release.id == release_id
    assert model.engine_name == "onnx"
    np.testing.assert_allclose(
        model.predict_probabilities(expected["inputs"]), expected["probabilities"], atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("release_id", EXPECTED["releases"])
def test_predictions_of_releases_are_explained(release_id: str, stored: ObjectStore) -> None:
    registry, expected = Registry(stored), EXPECTED["releases"][release_id]
    explanations = load_explainer(registry, registry.find(release_id)).explain(expected["inputs"])
    for explanation, probabilities in zip(explanations, expected["probabilities"], strict=True):
        for name, probability in zip(CLASSES, probabilities, strict=True):
            shares = [each.shares[name] for each in explanation.contributions]
            assert explanation.base[name] + sum(shares) == pytest.approx(probability, abs=1e-6)


def test_number_of_rows_from_which_joblib_is_faster_is_read(stored: ObjectStore) -> None:
    assert {
        release.id: release.manifest.parity.joblib_faster_from_rows
        for mode in Mode
        for release in Registry(stored).list_releases(mode)
    } == EXPECTED["faster_below"]


def test_signature_is_verified(champion: Release, stored: ObjectStore, tmp_path: Path) -> None:
    Registry(stored).download(champion, tmp_path)
    verify(tmp_path, STORED / "signing-key.pub")


def test_champions_and_their_history_are_read(champions: LocalChampionStore) -> None:
    found = {str(mode): champions.get_champion(mode) for mode in Mode}
    assert {mode: release and release.id for mode, release in found.items()} == EXPECTED[
        "champions"
    ]
    for mode, expected in EXPECTED["promotions"].items():
        events = champions.list_promotions(Mode(mode))
        assert [[each.from_release, each.to_release, each.reason] for each in events] == expected
    first = EXPECTED["promotions"][str(MODE)][0][1]
    assert champions.get_rollback_target(MODE).id == first


def test_observations_are_read_at_each_version(stored: ObjectStore) -> None:
    table, expected = ObservationsTable(stored.settings), EXPECTED["observations"]
    assert table.identity() == expected["identity"]
    for version, rows in expected["versions"].items():
        assert len(table.read(int(version), ["plate", "class", "release"])) == rows


@pytest.mark.parametrize("uri", EXPECTED["observations"]["watermarks"])
def test_ingest_of_the_same_source_is_idempotent(
    uri: str, stored: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # the name of a file is part of its watermark
    table, source = ObservationsTable(stored.settings), open_source(uri, stored)
    version = table.newest_version()
    watermark = EXPECTED["observations"]["watermarks"][uri]
    assert table.watermark(source.watermark_id) == watermark
    done = ingest(source, table, stored)
    assert (done.rows_in, done.resumed_after, done.version) == (0, watermark, version)


def test_predictions_are_read_and_not_scored_again(stored: ObjectStore, champion: Release) -> None:
    days = read_daily_history(stored.settings, champion.id)
    assert [[each.rows, each.predicted, each.labelled, each.correct] for each in days] == EXPECTED[
        "predicted_counts"
    ]
    again = score(stored.settings, open_input(stored.settings, OBSERVATIONS_URI), champion)
    assert (again.source, again.rows_in) == (EXPECTED["scored"]["source"], 0)


@pytest.mark.parametrize("end", WINDOW_ENDS)
def test_prediction_log_is_read(end: datetime, stored: ObjectStore, champion: Release) -> None:
    found = read_log(stored, end - DAY, end, MODE, champion.id)
    assert len(found.rows) == EXPECTED["log"]["rows"]
    assert found.unreadable == ()
    assert found.rows["predicted"].notna().all()


def test_reference_of_a_release_is_read(stored: ObjectStore, champion: Release) -> None:
    reference = read_reference(Registry(stored).read_file(champion, REFERENCE))
    assert len(reference) == 520


def test_drift_verdict_is_not_computed_again(
    stored: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    end = WINDOW_ENDS[-1]
    key = f"drift/{MODE}/{end:%Y%m%dT%H%M%SZ}/verdict.json"
    before = (STORED / "reports" / key).read_bytes()
    found = run_drift(stored, champions, MODE, end - DAY, end).verdict
    assert (found.verdict, found.release) == (Verdict.DRIFT, champion.id)
    assert stored.get(stored.settings.reports_bucket, key) == before


def test_accuracy_and_decision_of_windows_are_read(
    stored: ObjectStore, champions: LocalChampionStore
) -> None:
    found = load_documents(stored, WindowAccuracy, MODE)
    assert [each.window_end for each in found] == WINDOW_ENDS
    assert [each.measured and each.measured.rows for each in found] == [100, 100]
    assert [each.estimate and each.estimate.accuracy for each in found] == [1, 1]
    assert update_accuracy(stored, champions, MODE) == []
    (decision,) = load_documents(stored, Decision, MODE)
    assert (str(decision.action), decision.run and decision.run.id) == ("retrain", "run-17")


def test_lineage_of_a_release_is_read(
    stored: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    releases = Registry(stored).list_releases(MODE)
    promotions = champions.list_promotions(MODE)
    parent = read_lineage(stored, releases[0], releases, promotions)
    assert (parent.successors, parent.windows) == ((champion,), ())
    found = read_lineage(stored, champion, releases, promotions)
    assert [each.verdict.window_end for each in found.windows] == WINDOW_ENDS
    assert [each.accuracy is not None for each in found.windows] == [True, True]
    assert [each.decision is not None for each in found.windows] == [False, True]
    (scored,) = read_scored_inputs(stored.settings, champion.id)
    assert scored.uri == EXPECTED["scored"]["source"]


def test_monitor_page_reads_all_of_it(
    stored: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    now = WINDOW_ENDS[-1] + timedelta(hours=1)
    result = StateReader(stored, champions).read(MODE, clock=lambda: now)
    assert result.error == ""
    state = result.state
    assert state is not None
    assert state.champion == champion
    assert state.parent == champion.manifest.parent
    assert [each.window_end for each in state.verdicts] == WINDOW_ENDS
    assert len(state.accuracies) == len(state.releases) == len(state.promotions) == 2
    assert len(state.decisions) == 1
