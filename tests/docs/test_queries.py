"""The queries of SECURITY.md on records in CloudTrail's form. SQLite stands in for Athena, with its functions."""

import json
import re
import sqlite3
import subprocess
import sys
from typing import Any

import pytest

from tests.template.expansion import ROOT

PAGE = (ROOT / "SECURITY.md").read_text()
ROLE = "arn:aws:iam::111122223333:role/sagemaker-external/SageMakerExternal"
INVOKER = "AROAINVOKERSROLEID"
# Athena's table has structs; here each is as many columns.
STRUCT = re.compile(r"\buseridentity((?:\.[a-z]+)+)")


def assumed(who: dict[str, str], role: str = ROLE, **asked: Any) -> dict[str, Any]:
    return {
        "eventTime": "2026-11-28T10:00:00Z",
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "readOnly": True,
        "userIdentity": who,
        "sourceIPAddress": "192.0.2.1",
        "requestParameters": {"roleArn": role, "roleSessionName": "alice@r-1", **asked},
    }


def written(name: str, code: str | None, issuer: str, *, reads: bool = False) -> dict[str, Any]:
    session = {"sessionIssuer": {"userName": issuer}}
    return {
        "eventTime": "2026-11-28T11:00:00Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "readOnly": reads,
        "userIdentity": {"accountId": "111122223333", "principalId": "AROAX:x", "sessionContext": session},
        "errorCode": code,
    }


OF_INVOKER = assumed(
    {"accountId": "444455556666", "principalId": f"{INVOKER}:invoker"},
    sourceIdentity="alice",
    policy='{"Version":"2012-10-17"}',
    tags=[{"key": "Caller", "value": "alice"}],
)
OF_ANOTHER = assumed({"accountId": "444455556666", "principalId": "AIDAMALLORY"})
WITHOUT_AN_ID = assumed({"type": "AWSService"})
PROVISIONER = "sagemaker-external-parent-ProvisionerRole-1A2B"
RECORDS = [
    OF_INVOKER,
    OF_ANOTHER,
    WITHOUT_AN_ID,
    assumed({"accountId": "444455556666", "principalId": "AIDAMALLORY"}, "arn:aws:iam::111122223333:role/Other"),
    assumed({"accountId": "444455556666", "principalId": f"{INVOKER}:invoker"}) | {"eventTime": "2026-11-01T00:00:00Z"},
    written("CreateRole", "AccessDenied", PROVISIONER),
    written("CreateRole", None, PROVISIONER),
    written("GetRole", "AccessDenied", PROVISIONER, reads=True),
    written("CreateRole", "AccessDenied", "Administrators"),
]


@pytest.fixture(scope="module")
def athena() -> sqlite3.Connection:
    """A table as Athena's, with the functions that the queries call."""
    connection = sqlite3.connect(":memory:")
    connection.create_function("json_extract_scalar", 2, scalar)
    connection.row_factory = sqlite3.Row
    rows = [columns(record) for record in RECORDS]
    names = sorted({name for row in rows for name in row})
    connection.execute(f"CREATE TABLE cloudtrail_logs ({', '.join(names)})")
    for row in rows:
        marks = ", ".join("?" for _ in names)
        connection.execute(f"INSERT INTO cloudtrail_logs VALUES ({marks})", [row.get(name) for name in names])
    return connection


def scalar(text: str | None, path: str) -> str | None:
    value = json.loads(text or "{}").get(path.removeprefix("$."))
    return value if isinstance(value, str) else None


def columns(record: dict[str, Any]) -> dict[str, Any]:
    who = record["userIdentity"]
    issuer = who.get("sessionContext", {}).get("sessionIssuer", {})
    parameters = record.get("requestParameters")
    return {
        "eventtime": record["eventTime"],
        "eventsource": record["eventSource"],
        "eventname": record["eventName"],
        "readonly": str(record["readOnly"]).lower(),
        "errorcode": record.get("errorCode"),
        "errormessage": None,
        "sourceipaddress": record.get("sourceIPAddress"),
        "useragent": None,
        "requestparameters": parameters and json.dumps(parameters),
        "useridentity_accountid": who.get("accountId"),
        "useridentity_principalid": who.get("principalId"),
        "useridentity_sessioncontext_sessionissuer_username": issuer.get("userName"),
    }


def answers(athena: sqlite3.Connection, number: int) -> list[sqlite3.Row]:
    queries = re.findall(r"^```sql\n(.*?)^```", PAGE, re.M | re.S)
    assert len(queries) == 3
    return athena.execute(STRUCT.sub(lambda found: found[0].replace(".", "_"), queries[number - 1])).fetchall()


def test_the_first_query_lists_every_request_by_caller(athena: sqlite3.Connection):
    found = answers(athena, 1)
    assert [row["caller"] for row in found].count("alice") == 1
    assert [row["session"] for row in found] == ["alice@r-1"] * 3
    (of_invoker,) = [row for row in found if row["caller"]]
    assert "alice" in of_invoker["tags"]
    assert of_invoker["what"] == OF_INVOKER["requestParameters"]["policy"]


def test_the_second_query_lists_whoever_is_not_the_invoker(athena: sqlite3.Connection):
    assert [row["useridentity_principalid"] for row in answers(athena, 2)] == ["AIDAMALLORY", None]


def test_the_third_query_lists_the_refused_writes_of_the_provisioner(athena: sqlite3.Connection):
    assert [tuple(row)[:2] for row in answers(athena, 3)] == [("2026-11-28T11:00:00Z", "CreateRole")]


def test_the_filter_behind_lookup_events_lists_who_assumed_the_role():
    (block,) = re.findall(r"^```sh\n(aws cloudtrail lookup-events .*?)^```", PAGE, re.M | re.S)
    program = block.partition("python3 -c '")[2].partition("'")[0]
    done = subprocess.run(
        [sys.executable, "-c", program, ROLE],
        input=json.dumps([json.dumps(record) for record in RECORDS]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0] == f"2026-11-28T10:00:00Z 444455556666 {INVOKER}:invoker alice@r-1 alice None"


# Of each query, the conditions in Athena's words and those of Logs Insights, as pairs.
CALLS = [
    ("eventsource = 'sts.amazonaws.com'", 'eventSource = "sts.amazonaws.com"'),
    ("eventname = 'AssumeRole'", 'eventName = "AssumeRole"'),
    (
        f"json_extract_scalar(requestparameters, '$.roleArn')\n      = '{ROLE}'",
        f'requestParameters.roleArn = "{ROLE}"',
    ),
]
CONDITIONS = {
    # The time span is chosen beside the query there.
    1: [*CALLS, ("eventtime >= '2026-11-27'", "")],
    2: [
        *CALLS,
        (
            f"coalesce(useridentity.principalid, '') NOT LIKE '{INVOKER}:%'",
            f"userIdentity.principalId not like /^{INVOKER}:/",
        ),
    ],
    3: [
        ("eventsource = 'iam.amazonaws.com'", 'eventSource = "iam.amazonaws.com"'),
        ("readonly = 'false'", "readOnly = 0"),
        (
            "errorcode IN ('AccessDenied', 'AccessDeniedException')",
            'errorCode in ["AccessDenied", "AccessDeniedException"]',
        ),
        (
            "useridentity.sessioncontext.sessionissuer.username LIKE '%-ProvisionerRole-%'",
            "userIdentity.sessionContext.sessionIssuer.userName like /-ProvisionerRole-/",
        ),
    ],
}


@pytest.mark.parametrize("number", CONDITIONS)
def test_each_query_asks_the_same_of_logs_insights(number: int):
    """No engine of Logs Insights runs here: this holds its conditions to those of the queries that are run above."""
    athena = re.findall(r"^```sql\n(.*?)^```", PAGE, re.M | re.S)
    section = PAGE.partition("**CloudWatch Logs Insights**")[2].partition("CloudTrail Lake takes")[0]
    insights = re.findall(r"^```\n(.*?)^```", section, re.M | re.S)
    assert len(athena) == len(insights) == len(CONDITIONS)
    (where,) = re.findall(r"WHERE (.*?)(?:\nORDER|$)", athena[number - 1].rstrip(), re.S)
    filters = re.findall(r"^(?:\| )?filter (.*)$", insights[number - 1], re.M)
    assert re.split(r"\s+AND ", where) == [sql for sql, _ in CONDITIONS[number]]
    asked = [condition for one in filters for condition in one.split(" and ")]
    assert asked == [condition for _, condition in CONDITIONS[number] if condition]


def test_no_query_of_logs_insights_names_fields_that_its_counting_drops():
    section = PAGE.partition("**CloudWatch Logs Insights**")[2].partition("CloudTrail Lake takes")[0]
    for query in re.findall(r"^```\n(.*?)^```", section, re.M | re.S):
        assert not ("stats " in query and "fields " in query), query
