"""Bearer tokens (JWT) of an issuer that a test makes."""

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256


class Issuer:
    """Signs tokens with a key of its own.

    Attributes:
        name: Claim `iss` of its tokens.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def make_jwks(self) -> str:
        """Return the key set that verifies its tokens, as JSON."""
        numbers = self._key.public_key().public_numbers()
        key = {
            **{"kty": "RSA", "kid": "test", "alg": "RS256", "use": "sig"},
            **{"n": _encode(_to_bytes(numbers.n)), "e": _encode(_to_bytes(numbers.e))},
        }
        return json.dumps({"keys": [key]})

    def sign(self, audience: str, seconds: float = 600, **claims: Any) -> str:
        """Return a token.

        Args:
            audience: Claim `aud`.
            seconds: Time until it expires; negative if it has expired.
            claims: Further claims.
        """
        expires = int(time.time() + seconds)
        claims = {"iss": self.name, "sub": "test", "aud": audience, "exp": expires} | claims
        parts = ({"alg": "RS256", "kid": "test", "typ": "JWT"}, claims)
        signed = ".".join(_encode(json.dumps(part).encode()) for part in parts)
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), SHA256())
        return f"{signed}.{_encode(signature)}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _to_bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
