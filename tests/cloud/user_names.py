"""IAM knows users whatever the case of their names: `Alice` is found as `alice`, and cannot be made beside her.

ministack compares the names as they are written. Here every call that names a user is given the name that the user was
made with. ministack has no UpdateUser, so no new name has to be compared.
"""

from collections.abc import Callable
from typing import Any

from ministack.services import iam

Params = dict[str, Any]


def install() -> None:
    """Put the look-up in front of every IAM call."""
    for action, handler in iam._IAM_HANDLERS.items():
        iam._IAM_HANDLERS[action] = _with_stored_name(handler)


def stored(name: str) -> str:
    """The name that the user was made with; the given one where there is no such user."""
    folded = name.lower()
    return next((known for known in iam._users if known.lower() == folded), name)


def _with_stored_name(handler: Callable[[Params], Any]) -> Callable[[Params], Any]:
    def handle(params: Params) -> Any:
        given = params.get("UserName")
        if isinstance(given, list):
            params = {**params, "UserName": [stored(name) for name in given]}
        elif given:
            params = {**params, "UserName": stored(given)}
        return handler(params)

    return handle
