"""CloudFormation where ministack is more lenient than AWS.

- A stack whose creation was rolled back can be deleted and nothing else. `sam deploy` asks for an update then, and is
  told so.
- A stage of a REST API writes access logs only where the account names a role for them.
"""

from collections.abc import Callable
from typing import Any

from ministack.services import apigateway_v1
from ministack.services.cloudformation import _stacks, handlers, provisioners
from ministack.services.cloudformation.helpers import _error, _p

Params = dict[str, Any]
_ROLLED_BACK = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")


def install() -> None:
    """Put the refusals in place."""
    for action in ("CreateStack", "CreateChangeSet", "UpdateStack"):
        handlers._ACTION_HANDLERS[action] = _unless_rolled_back(action, handlers._ACTION_HANDLERS[action])
    stage = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::Stage"]
    create, update = stage["create"], stage["update"]

    def create_stage(logical_id: str, properties: Params, *args: Any, **kwargs: Any) -> Any:
        _require_role_for_logs(properties)
        return create(logical_id, properties, *args, **kwargs)

    def update_stage(physical_id: str, old: Params, new: Params, *args: Any, **kwargs: Any) -> Any:
        _require_role_for_logs(new)
        return update(physical_id, old, new, *args, **kwargs)

    stage["create"], stage["update"] = create_stage, update_stage


def _unless_rolled_back(action: str, handle: Callable[[Params], Any]) -> Callable[[Params], Any]:
    def refuse_or_handle(params: Params) -> Any:
        name = _p(params, "StackName")
        stack = next((s for s in _stacks.values() if name in (s.get("StackName"), s.get("StackId"))), None)
        status = stack.get("StackStatus") if stack else None
        if stack is None or status not in _ROLLED_BACK:
            return handle(params)
        if action == "CreateStack":
            return _error("AlreadyExistsException", f"Stack [{name}] already exists")
        if _p(params, "ChangeSetType") == "CREATE":
            wanted = _p(params, "ChangeSetName")
            text = f"Stack [{name}] already exists and cannot be created again with the changeSet [{wanted}]."
            return _error("ValidationError", text)
        return _error("ValidationError", f"Stack:{stack['StackId']} is in {status} state and can not be updated.")

    return refuse_or_handle


def _require_role_for_logs(stage: Params) -> None:
    settings = apigateway_v1._account_settings.get("settings") or {}
    if (stage.get("AccessLogSetting") or {}).get("DestinationArn") and not settings.get("cloudwatchRoleArn"):
        raise ValueError("CloudWatch Logs role ARN must be set in account settings to enable logging")
