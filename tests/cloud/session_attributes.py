"""AssumeRole with a source identity or with tags: who must allow them.

On AWS both the caller's own policies and the role's trust must allow sts:SetSourceIdentity and sts:TagSession, beside
sts:AssumeRole. ministack asks the trust about tags, and nobody about the rest.
"""

import contextvars
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from ministack import app as ministack
from ministack.core import iam_evaluator, responses
from ministack.services import sts

_SET_SOURCE_IDENTITY, _TAG_SESSION = "sts:SetSourceIdentity", "sts:TagSession"
_also_asked: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("also_asked", default=())


def install() -> None:
    """Put the further questions in place."""
    _ask_the_callers_policies()
    _ask_the_trust()


def _ask_the_callers_policies() -> None:
    original = sts.handle_request

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> tuple[int, dict[str, str], bytes]:
        form = {**query, **parse_qs(body.decode("utf-8", "replace"))}
        is_assume_role = form.get("Action") == ["AssumeRole"]
        asked = {
            _SET_SOURCE_IDENTITY: "SourceIdentity" in form,
            _TAG_SESSION: any(name.startswith("Tags.") for name in form),
        }
        wanted = tuple(action for action, given in asked.items() if given and is_assume_role)
        _also_asked.set(wanted)
        for action in wanted:
            (role,) = form["RoleArn"]
            refused = ministack._enforce_data_plane(
                "sts", action, headers, query, responses.new_uuid(), resource_arn=role
            )
            if refused:
                return refused
        return await original(method, path, headers, body, query)

    sts.handle_request = handle_request


def _ask_the_trust() -> None:
    original = iam_evaluator.evaluate_trust_policy

    def evaluate(trust: Any, caller: str, context: Any, *args: Any, **kwargs: Any) -> bool:
        if not original(trust, caller, context, *args, **kwargs):
            return False
        further = _also_asked.get() if context.action == "sts:AssumeRole" else ()
        return all(original(trust, caller, replace(context, action=action), *args, **kwargs) for action in further)

    iam_evaluator.evaluate_trust_policy = evaluate
