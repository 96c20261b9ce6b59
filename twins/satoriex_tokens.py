"""SatoriEx's login: RS256 access tokens, refresh tokens good for one use, and its limits.

https://satoriex.io/en/docs/trading/authentication
"""

from random import Random

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from twins.provider import Clock

EMAIL = "bot@example.org"
PASSWORD = "twin-password"  # noqa: S105 - a stand-in's
USER = "usr_1"
KEY_BITS = 2048


class Credentials(msgspec.Struct, frozen=True):
    """Body of a login."""

    email: str
    password: str


class Refresh(msgspec.Struct, frozen=True):
    """Body of a refresh."""

    refresh_token: str


class Tokens:
    """What was granted and is still good. A refresh token is spent by its use."""

    def __init__(self, clock: Clock, dice: Random, life_s: float) -> None:
        self._clock, self._dice, self._life_s = clock, dice, life_s
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        self._live: set[str] = set()
        self._refreshes: set[str] = set()

    def grant(self) -> dict[str, object]:
        now = self._clock()
        token_id, refresh = (f"{self._dice.getrandbits(128):032x}" for _ in range(2))
        claims = {"sub": USER, "jti": token_id, "iat": now, "exp": now + self._life_s}
        self._live.add(token_id)
        self._refreshes.add(refresh)
        return {
            "access_token": jwt.encode(claims, self._key, algorithm="RS256"),
            "refresh_token": refresh,
            "user": {"id": USER},
        }

    def spend(self, refresh: str) -> bool:
        """Use a refresh token; return whether it was good."""
        is_good = refresh in self._refreshes
        self._refreshes.discard(refresh)
        return is_good

    def ends(self, token: str) -> float | None:
        """Return when a good access token ends, None for any other."""
        try:
            claims = jwt.decode(
                token, self._key.public_key(), algorithms=["RS256"], options={"verify_exp": False}
            )
        except jwt.InvalidTokenError:
            return None
        ends = float(claims["exp"])
        return ends if claims["jti"] in self._live and ends > self._clock() else None

    def revoke(self) -> None:
        """End every access token now."""
        self._live.clear()

    def forget(self) -> None:
        """Refuse every refresh token that was granted."""
        self._refreshes.clear()
