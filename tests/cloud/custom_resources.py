"""How CloudFormation treats a custom resource, where ministack does less.

- One whose function ended without answering fails at once. AWS waits for the ServiceTimeout, and so would ministack;
  the answer cannot come any more.
- One whose Create failed is sent a Delete: under the id that the failure named or, where no answer came, under one that
  CloudFormation invents. AWS does so in the rollback, where it comes first; here it comes at once.
"""

import json
from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import custom_resource

from tests.cloud.canaries import Canaries


def install(canaries: Canaries) -> None:
    """Put the differences in place."""
    _fail_unanswered(canaries)
    _delete_what_failed_to_be_made()


def _fail_unanswered(canaries: Canaries) -> None:
    original = lambda_svc._execute_function_with_config_scope

    def execute(function: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        canaries.of_event(event)
        result = original(function, event)
        if isinstance(event, dict) and "ResponseURL" in event:
            token = event["ResponseURL"].rpartition("/")[2]
            waiting = custom_resource._pending.get(token)
            if waiting and not waiting["event"].is_set():
                said = json.dumps(result.get("body")) if result.get("error") else "it returned normally"
                reason = f"the function ended without answering CloudFormation: {said}"
                custom_resource.deliver_response(token, {"Status": "FAILED", "Reason": reason})
        return result

    lambda_svc._execute_function_with_config_scope = execute


def _delete_what_failed_to_be_made() -> None:
    invoke, deliver = custom_resource.invoke_custom_resource, custom_resource.deliver_response
    # The id of the last failure of each resource: ministack keeps only its reason.
    failed_ids: dict[tuple[str, str], str] = {}

    def deliver_response(token: str, response: dict[str, Any]) -> bool:
        if response.get("Status") == "FAILED" and response.get("PhysicalResourceId"):
            failed_ids[response["StackId"], response["LogicalResourceId"]] = response["PhysicalResourceId"]
        return deliver(token, response)

    def invoke_custom_resource(
        request: str, logical_id: str, props: dict, stack: str, stack_id: str, kind: str, **of_an_update: Any
    ) -> tuple:
        failed_ids.pop((stack_id, logical_id), None)
        try:
            return invoke(request, logical_id, props, stack, stack_id, kind, **of_an_update)
        except (RuntimeError, TimeoutError):
            if request == "Create":
                made = failed_ids.get((stack_id, logical_id), f"{stack}-{logical_id}-1INVENTED2ID")
                invoke("Delete", logical_id, props, stack, stack_id, kind, physical_id=made)
            raise

    custom_resource.deliver_response = deliver_response
    custom_resource.invoke_custom_resource = invoke_custom_resource
