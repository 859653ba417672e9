"""Lambda takes 4 KB of environment for a function, names and values together. Lists of parameters stand in the
provisioner's.
"""

import re

import pytest

from tests.template.expansion import PSEUDO, ROOT, Stack
from tests.template.sides import BOTH, CHILD, PARENT

LIMIT = 4096
ACCOUNT = "arn:aws:iam::444455556666"
# Names as CloudFormation makes them, for a stack whose name has 64 characters and in a region with a long name.
STACK = "s" * 64
LONG = {
    **PSEUDO,
    "AWS::StackName": STACK,
    "AWS::StackId": f"arn:aws:cloudformation:ap-southeast-1:444455556666:stack/{STACK}/{'0' * 36}",
}
MADE = {
    "<Boundary>": f"{ACCOUNT}:policy/{STACK}-Boundary-1A2B3C4D5E6F",
    # IAM's names of roles end at 64 characters.
    "<InvokerRole.Arn>": f"{ACCOUNT}:role/{'r' * 64}",
}
ROLE_ARN = f"arn:aws:iam::111122223333:role/sagemaker-external/{'r' * 30}"
SIDES = [PARENT, {**CHILD, "RoleArn": ROLE_ARN}, BOTH]


def size(**given: str) -> int:
    variables = Stack(LONG, **given).properties("ProvisionerFunction")["Environment"]["Variables"]
    text = "".join(name + value for name, value in variables.items())
    for reference, value in MADE.items():
        text = text.replace(reference, value)
    assert "<" not in text
    return len(text.encode())


def documented() -> int:
    pages = [" ".join((ROOT / "docs" / page).read_text().split()) for page in ("parameters.md", "upgrade.md")]
    (figure,) = {found for page in pages for found in re.findall(r"some ([\d,]+) characters are left", page)}
    return int(figure.replace(",", ""))


def test_what_the_documents_say_is_left_is_left():
    empty = {"TrustedAccountIds": "", "TrustedPrincipalArns": ""}
    left = LIMIT - max(size(**{**given, **empty}) for given in SIDES)
    assert documented() <= left < documented() + 200


@pytest.mark.parametrize("given", SIDES, ids=["parent", "child", "both"])
def test_the_largest_lists_that_the_documents_name_fit_together(given):
    lists = {
        "AdoptArns": [f"{ACCOUNT}:policy/SageMakerExternalInvokeEndpointOfATeam{n:02}" for n in range(10)],
        "GrantableAccountIds": [f"{n:012}" for n in range(20)],
        "UserNames": [f"{'u' * 18}{n:02}" for n in range(40)],
        "TrustedPrincipalArns": [f"arn:aws:iam::555566667777:role/application/{'a' * 18}{n:02}" for n in range(10)],
    }
    # Those of the other side are refused by the rules.
    kept = {"CHILD": ("TrustedPrincipalArns",), "PARENT": ("UserNames",), "BOTH": ()}[given["Side"].upper()]
    taken = {name: ",".join(items) for name, items in lists.items() if name not in kept}
    assert size(**{**given, **taken}) <= LIMIT
    # The sum that the documents tell people to make.
    assert sum(len(value) + 1 for value in taken.values()) <= documented()
