"""Commands use a proxy for other hosts, never for loopback; libraries send no telemetry."""

from pathlib import Path

import pytest

from skyclass.local.s3_server import Access
from skyclass.survey.features import INPUTS, Mode
from tests.support.command_line import CommandLine
from tests.support.predictor import Site, publish, serving, simulated
from tests.support.rows import frame
from tests.support.web import Response, serve

pytestmark = pytest.mark.slow

MODE = Mode.PHOTOMETRIC


def test_a_proxy_receives_only_the_requests_of_a_web_source(
    s3: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    survey = Response(frame({}, {}).to_csv(index=False).encode())
    with serve(survey) as proxy:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        site = Site.make(s3, tmp_path / "home")
        for name, value in site.environment.items():
            monkeypatch.setenv(name, value)
        command_line = CommandLine(monkeypatch, capsys)

        def run(*arguments: str) -> None:
            result = command_line.run(*arguments)
            assert result.status == 0, result.err

        release = publish(site, tmp_path / "files", MODE, seed=0)
        rows = simulated(20)
        rows.to_parquet(tmp_path / "rows.parquet")
        data = (tmp_path / "rows.parquet").read_bytes()
        bucket = site.settings.data_bucket
        site.store.put(bucket, "rows.parquet", data, "application/octet-stream")
        run("ingest", f"s3://{bucket}/rows.parquet")
        run("releases", "--json")
        for uri in ("table:", f"s3://{bucket}/rows.parquet"):
            run("score", uri, "--mode", str(MODE), "--release", release.id)
        rows[list(INPUTS[MODE])].to_csv(tmp_path / "rows.csv", index=False)
        address = f"s3://{site.settings.models_bucket}/{release.prefix}"
        with serving(site, MODE, address, tmp_path / "log") as server:
            run("predict", str(tmp_path / "rows.csv"), "--mode", str(MODE), "--url", server.url)
            assert server.stop() == 0  # the prediction log is written
        assert proxy.requests == []
        run("ingest", "http://survey.example/a.csv")
        assert proxy.requests == ["GET http://survey.example/a.csv"]
