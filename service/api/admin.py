"""Who may change what everybody sees: bearers of CTR_ADMIN_TOKEN, and without one nobody.

With CTR_ADMIN_PORT, only where they come by that port: a firewall or a NetworkPolicy tells ports apart, not paths. The
port is the one the connection was accepted on, which no header can change.
"""

from __future__ import annotations

import hmac

from starlette.types import Scope

from service.api.hot import header
from service.api.problems import Problem, ProblemError
from service.settings import Settings

_SCHEME = b"bearer "


def is_admin(scope: Scope, settings: Settings) -> bool:
    """Whether a request bears the admin token; compared in a time that does not tell how much of it is right."""
    if settings.admin_token is None or not _by_the_right_port(scope, settings):
        return False
    given = header(scope, b"authorization") or b""
    expected = settings.admin_token.get_secret_value().encode()
    return given[: len(_SCHEME)].lower() == _SCHEME and hmac.compare_digest(given[len(_SCHEME) :].strip(), expected)


def check_admin(scope: Scope, settings: Settings) -> None:
    """Raise ProblemError unless a request bears the admin token: 401 for a wrong one, 403 where there is none or
    where it comes by another port than the admins'.
    """
    if settings.admin_token is None:
        detail = "nothing can be changed over HTTP: the service has no CTR_ADMIN_TOKEN; set one and start again"
        raise ProblemError(Problem.ADMIN_OFF, detail)
    if not _by_the_right_port(scope, settings):
        expected = f"port {settings.admin_port}, CTR_ADMIN_PORT"
        detail = f"nothing can be changed by way of this port, expected {expected}; send it there"
        raise ProblemError(Problem.ADMIN_PORT, detail, expected=expected)
    if not is_admin(scope, settings):
        expected = "Authorization: Bearer and the service's CTR_ADMIN_TOKEN"
        detail = f"the request bears no valid admin token, expected {expected}"
        raise ProblemError(
            Problem.UNAUTHORIZED, detail, expected=expected, headers={"www-authenticate": 'Bearer realm="admin"'}
        )


def _by_the_right_port(scope: Scope, settings: Settings) -> bool:
    return settings.admin_port is None or (scope.get("server") or (None, None))[1] == settings.admin_port
