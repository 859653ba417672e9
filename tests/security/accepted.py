"""What the scanners say of template.yaml and is meant to be so: the rule, the resources it is said of, and why.

A finding that is not here fails the scan, and so does an entry that no scanner finds any more.
"""

from dataclasses import dataclass

FUNCTIONS = frozenset({"ProvisionerFunction", "InvokerFunction"})
LOG_GROUPS = frozenset({"ProvisionerLogGroup", "InvokerLogGroup", "ApiAccessLogGroup"})
# The stage, by the name that the template gives it and by the one that the SAM transform does.
STAGE = frozenset({"Api", "Apiv1Stage"})


@dataclass(frozen=True)
class Accepted:
    rule: str
    resources: frozenset[str]
    reason: str


CHECKOV = (
    Accepted(
        "CKV_AWS_115",
        FUNCTIONS,
        "a reserved concurrency takes from the account's own: ReservedConcurrency is the user's choice; callers are "
        "limited by the stage and by usage plans",
    ),
    Accepted(
        "CKV_AWS_116",
        FUNCTIONS,
        "API Gateway calls the invoker synchronously; a lost event of the provisioner ends at ServiceTimeout, and an "
        "event kept in a queue would keep its pre-signed ResponseURL",
    ),
    Accepted(
        "CKV_AWS_117",
        FUNCTIONS,
        "both call public AWS endpoints alone and listen to nothing; a VPC needs subnets of the user's and a way out",
    ),
    Accepted(
        "CKV_AWS_173",
        FUNCTIONS,
        "no variable holds a credential, and Lambda encrypts them with its own key; an ExternalId is not a secret",
    ),
    Accepted(
        "CKV_AWS_158",
        LOG_GROUPS,
        "CloudWatch encrypts every log; no level logs a secret or a body, so a key of one's own guards nothing more",
    ),
    Accepted("CKV_AWS_120", STAGE, "predictions are POSTed and are not to be kept, least of all for another caller"),
    Accepted("CKV_AWS_73", STAGE, "tracing is the user's choice: it costs per request and sends names to X-Ray"),
    Accepted("CKV_AWS_76", STAGE, "the invoker's log has one line a request with the same fields, and no body"),
)

# By the name of the rule; AWS Control Tower's number of it is in its text.
CFN_GUARD = (
    Accepted(
        "api_gw_v1_execution_logging_enabled_check",
        STAGE,
        "execution logs would hold request bodies, so they are off whatever the account's default is (S15)",
    ),
    Accepted("api_gw_xray_enabled_check", STAGE, "as CKV_AWS_73"),
    Accepted(
        "cloudwatch_log_group_retention_period_check",
        LOG_GROUPS,
        "LogRetentionDays is a parameter, whose value the rule cannot see; it may be 365 and more",
    ),
    Accepted("cloudwatch_log_group_encrypted_check", LOG_GROUPS, "as CKV_AWS_158"),
    Accepted("lambda_inside_vpc_check", FUNCTIONS, "as CKV_AWS_117"),
    Accepted(
        "lambda_function_public_access_prohibited_check",
        frozenset(
            f"InvokerFunction{event}Permissionv1"
            for event in (
                "InvokeEndpoint",
                "InvokeEndpointWithResponseStream",
                "InvokeEndpointAsync",
                "ListEndpoints",
                "ExamineEndpoint",
            )
        ),
        "each has a SourceArn of this API in this account, put together by Fn::Sub, which the rule cannot read; "
        "test_s14_only_this_api_may_invoke_and_only_the_invoker does",
    ),
)
