"""Login and TLS of the endpoint, with a real Envoy and tokens of the cluster and of an issuer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from skyclass.apps.predict.form import FIELDS, OPTIONAL_FIELDS
from tests.cluster.test_pages import CLASSIFY, request
from tests.support.certificates import Authority
from tests.support.cluster.chart import OBJECTS, Installation
from tests.support.cluster.key_server import KeyServer
from tests.support.cluster.kube import Namespace, Shell, eventually, run
from tests.support.cluster.load import generate_load
from tests.support.tokens import Issuer

MODE = "photometric"
MODEL = f"skyclass-{MODE}"
HOST = f"{MODEL}-predictor"
HTTPS, PLAIN = f"https://{HOST}:8443", f"http://{HOST}"
AUDIENCE = "skyclass"
CERTIFICATE = "endpoint-tls"
CA_FILE = "/tmp/ca.crt"  # noqa: S108 - in the pod
PREDICTORS = f"serving.kserve.io/inferenceservice={MODEL}"
V1 = (f"/v1/models/{MODEL}:predict", {"instances": [OBJECTS[MODE][0]]})
V2 = (
    f"/v2/models/{MODEL}/infer",
    {
        "inputs": [
            {"name": "input-0", "datatype": "FP64", "shape": [1, 5], "data": OBJECTS[MODE][0]}
        ]
    },
)

_SEND = """
import json, sys, urllib3
http = urllib3.PoolManager(ca_certs=sys.argv[1], retries=False, timeout=10)
statuses = []
for method, url, body, token in json.loads(sys.argv[2]):
    headers = {"Content-Type": "application/json"}
    if token: headers["Authorization"] = f"Bearer {token}"
    body = None if body is None else json.dumps(body)
    statuses.append(http.request(method, url, body=body, headers=headers).status)
print(json.dumps(statuses))
"""
_CALL = """
import grpc, json, sys
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
ca_file, target, model = sys.argv[1:4]
row, tokens = map(json.loads, sys.argv[4:])
credentials = grpc.ssl_channel_credentials(open(ca_file, "rb").read())
stub = GRPCInferenceServiceStub(grpc.secure_channel(target, credentials))
codes = [str(stub.ModelReady(pb.ModelReadyRequest(name=model), timeout=20).ready)]
for token in tokens:
    message = pb.ModelInferRequest(model_name=model)
    tensor = message.inputs.add(name="input-0", datatype="FP64", shape=[1, len(row)])
    tensor.contents.fp64_contents.extend(row)
    metadata = [("authorization", f"Bearer {token}")] if token else []
    try:
        stub.ModelInfer(message, metadata=metadata, timeout=20)
        codes.append("OK")
    except grpc.RpcError as error:
        codes.append(error.code().name)
print(json.dumps(codes))
"""
_GET_SERIAL = """
import socket, ssl, sys
host, context = sys.argv[2], ssl.create_default_context(cafile=sys.argv[1])
plain = socket.create_connection((host, 8443), 5)
with context.wrap_socket(plain, server_hostname=host) as connection:
    print(connection.getpeercert()["serialNumber"])
"""


@dataclass(frozen=True)
class Guarded:
    """An endpoint with login and TLS.

    Attributes:
        installation: The chart.
        caller: A pod that may reach any port of the predictor, and has the CA certificate.
        issuer: Issuer beside the cluster, whose keys Envoy fetches.
        authority: CA of the endpoint's certificate.
        token: Valid token of the cluster.
    """

    installation: Installation
    caller: Shell
    issuer: Issuer
    authority: Authority
    token: str

    def send(self, *requests: tuple[str, str, Any, str]) -> list[int]:
        """Send requests (method, URL, body, token) from the pod, and return their statuses."""
        return list(json.loads(self.caller.run_python(_SEND, CA_FILE, json.dumps(requests))))

    def get_pod(self) -> dict[str, Any]:
        """Return the only pod of the predictor that is not being deleted."""
        return self.installation.namespace.get_pod(PREDICTORS)


def set_certificate(namespace: Namespace, authority: Authority) -> None:
    """Issue a certificate, and store it in the Secret."""
    issued = authority.issue(HOST)
    data = {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": authority.certificate}
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": CERTIFICATE},
            "stringData": data,
        }
    )


def allow_all_connections(namespace: Namespace) -> None:
    """Remove what NetworkPolicies add, so that only addresses and ports decide."""
    namespace.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "allow-neighbour"},
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [{"podSelector": {"matchLabels": {"neighbour": "true"}}}]}],
                "egress": [{"to": [{"podSelector": {}}]}],
            },
        }
    )


@pytest.fixture(scope="module")
def guarded(cluster: None) -> Iterator[Guarded]:
    """The chart with one small endpoint and the prediction page, behind login and TLS."""
    issuer, authority = Issuer("https://issuer.test"), Authority()
    discovery = json.loads(run("kubectl", "get", "--raw", "/.well-known/openid-configuration"))
    with Namespace.create("access") as namespace, Namespace.create("issuer") as elsewhere:
        keys = KeyServer(elsewhere)
        issuers = [
            {
                "issuer": discovery["issuer"],
                "audiences": [AUDIENCE],
                "jwks": run("kubectl", "get", "--raw", "/openid/v1/jwks"),
            },
            {
                "issuer": issuer.name,
                "audiences": [AUDIENCE],
                "jwksUri": keys.url,
                "ca": keys.authority.certificate,
            },
        ]
        installation = Installation(
            namespace,
            "skyclass",
            modes__spectroscopic__enabled=False,
            bootstrap__sourceUri="simulated:?rows=3000&era=legacy&seed=0",
            bootstrap__parameters={"candidates": "decision_tree"},
            drift__enabled=False,
            maintain__enabled=False,
            monitor__enabled=False,
            images__envoy__registry="localhost",
            bootstrap__resources__requests={"cpu": "100m", "memory": "512Mi"},
            predictor__resources__requests={"cpu": "50m", "memory": "256Mi"},
            access__endpoint__resources__requests={"cpu": "10m", "memory": "96Mi"},
            access__endpoint__login={"enabled": True, "issuers": issuers},
            access__endpoint__tls__existingSecret=CERTIFICATE,
            networkPolicy__issuers=keys.network_policy,
        )
        token = namespace.kubectl("create", "token", "default", f"--audience={AUDIENCE}").strip()
        set_certificate(namespace, authority)
        installation.install()
        keys.start(installation, issuer.make_jwks())
        allow_all_connections(namespace)
        caller = installation.start_shell(
            "caller", {"skyclass-client": "true", "neighbour": "true"}
        )
        code = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
        caller.run_python(code, CA_FILE, authority.certificate)
        installation.wait_until_served((MODE,))
        guarded = Guarded(installation, caller, issuer, authority, token)
        fetched = ("POST", HTTPS + V1[0], V1[1], issuer.sign(AUDIENCE))
        eventually(lambda: guarded.send(fetched) == [200], seconds=60)
        yield guarded


def make_cases(guarded: Guarded) -> dict[str, tuple[str, int, str]]:
    """Return tokens with the HTTP status and the gRPC code that each gets."""
    namespace, issuer = guarded.installation.namespace, guarded.issuer
    elsewhere = namespace.kubectl("create", "token", "default", "--audience=elsewhere").strip()
    forger = Issuer(issuer.name)
    return {
        "none": ("", 401, "UNAUTHENTICATED"),
        "malformed": ("token", 401, "UNAUTHENTICATED"),
        "of the cluster for another audience": (elsewhere, 403, "PERMISSION_DENIED"),
        "for another audience": (issuer.sign("elsewhere"), 403, "PERMISSION_DENIED"),
        "expired": (issuer.sign(AUDIENCE, seconds=-120), 401, "UNAUTHENTICATED"),
        "with a wrong signature": (forger.sign(AUDIENCE), 401, "UNAUTHENTICATED"),
        "of an unknown issuer": (Issuer("x").sign(AUDIENCE), 401, "UNAUTHENTICATED"),
        "of the issuer": (issuer.sign(AUDIENCE), 200, "OK"),
        "of the cluster": (guarded.token, 200, "OK"),
    }


@pytest.mark.parametrize("protocol", [V1, V2], ids=["v1", "v2"])
def test_predictions_over_http_need_a_valid_token_for_this_audience(
    guarded: Guarded, protocol: tuple[str, Any]
) -> None:
    path, body = protocol
    cases = make_cases(guarded)
    found = guarded.send(*(("POST", HTTPS + path, body, token) for token, _, _ in cases.values()))
    assert dict(zip(cases, found, strict=True)) == {name: case[1] for name, case in cases.items()}


def test_predictions_over_grpc_need_a_valid_token_for_this_audience(guarded: Guarded) -> None:
    cases = make_cases(guarded)
    tokens = json.dumps([token for token, _, _ in cases.values()])
    row = json.dumps(OBJECTS[MODE][0])
    output = guarded.caller.run_python(_CALL, CA_FILE, f"{HOST}:8081", MODEL, row, tokens)
    is_ready, *found = json.loads(output)
    assert is_ready == "True"  # metadata need no token
    assert dict(zip(cases, found, strict=True)) == {name: case[2] for name, case in cases.items()}


def test_metrics_probes_and_metadata_need_neither_token_nor_tls(guarded: Guarded) -> None:
    paths = ("/metrics", "/v2/health/live", "/v2/health/ready", f"/v2/models/{MODEL}")
    requests = [("GET", url + path, None, "") for url in (PLAIN, HTTPS) for path in paths]
    assert set(guarded.send(*requests)) == {200}


def test_the_port_without_tls_serves_no_prediction_even_with_a_token(guarded: Guarded) -> None:
    requests = [("POST", PLAIN + path, body, guarded.token) for path, body in (V1, V2)]
    encoded = ("POST", PLAIN + f"/v2/models/{MODEL}%2Finfer", V2[1], guarded.token)
    assert guarded.send(*requests, encoded) == [403, 403, 403]


def test_no_port_of_the_pod_leads_around_envoy(guarded: Guarded) -> None:
    address = guarded.get_pod()["status"]["podIP"]
    for port in (8080, 8081, 8443):
        eventually(lambda port=port: guarded.caller.can_connect(address, port), 60)
    for port in (8082, 8083, 9901):
        assert not guarded.caller.can_connect(address, port), port


def test_the_prediction_page_calls_the_endpoint_with_its_own_token(guarded: Guarded) -> None:
    installation = guarded.installation
    inputs = [""] * len((*FIELDS, *OPTIONAL_FIELDS, "coverage", "purity"))
    row = OBJECTS[MODE][0]
    inputs[: len(row)] = [str(value) for value in row]
    deployment = f"deployment/{installation.name}-predict-page"
    installation.namespace.kubectl("rollout", "status", deployment, "--timeout=180s")
    with installation.namespace.forward(f"service/{installation.name}-predict-page", 80) as page:
        event = json.loads(request(page + CLASSIFY, json.dumps({"data": inputs}).encode()))
        events = request(f"{page}{CLASSIFY}/{event['event_id']}")
    assert f"by the {MODE} model" in events


def test_helm_test_classifies_through_login_and_tls(guarded: Guarded) -> None:
    assert "Succeeded" in guarded.installation.helm("test", guarded.installation.name)


def test_a_rotated_certificate_is_used_without_a_restart(guarded: Guarded) -> None:
    namespace, before = guarded.installation.namespace, guarded.get_pod()
    serial = guarded.caller.run_python(_GET_SERIAL, CA_FILE, HOST)
    set_certificate(namespace, guarded.authority)
    # kubelet updates volumes of a changed pod at once, of others within about a minute.
    namespace.kubectl("annotate", "pod", before["metadata"]["name"], "test/rotated=true")

    eventually(lambda: guarded.caller.run_python(_GET_SERIAL, CA_FILE, HOST) != serial, seconds=180)

    after = guarded.get_pod()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [each["restartCount"] for each in after["status"]["containerStatuses"]] == [0, 0]


def test_a_rollout_under_load_fails_no_request(guarded: Guarded) -> None:
    before = guarded.get_pod()["metadata"]["uid"]
    with generate_load(guarded.caller, MODE, token=guarded.token, ca_file=CA_FILE):
        guarded.installation.install(skyserver__contact="changes the settings of the pods")
        eventually(lambda: is_replaced(guarded, before), seconds=240)


def is_replaced(guarded: Guarded, uid: str) -> bool:
    """Return whether a pod is gone and another one serves."""
    pods = guarded.installation.namespace.get("pods", "-l", PREDICTORS)["items"]
    return len(pods) == 1 and pods[0]["metadata"]["uid"] != uid
