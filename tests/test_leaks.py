"""The search for secrets itself: it finds what is planted, and a session in which it does fails."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from tests import leaks
from tests.cloud.canaries import ANSWERS, Canaries

SECRET = 'q/Z+ é"canary?'
ENCODED = {
    "plain": SECRET,
    "JSON": json.dumps({"message": SECRET}),
    "JSON as Rust writes it": json.dumps({"message": SECRET}, ensure_ascii=False),
    "a form": f"a=b&c={quote_plus(SECRET)}",
    "a URL": "https://host/?x=q%2fZ%2b%20%c3%a9%22canary%3f",
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 within more": base64.b64encode(f"x{SECRET}y".encode()).decode(),
    "base64url within more": base64.urlsafe_b64encode(f"xx{SECRET}y".encode()).decode(),
    "hexadecimal": SECRET.encode().hex(),
    "a Rust list": str(list(f"xx{SECRET}y".encode())),
}


@pytest.mark.parametrize("text", ENCODED.values(), ids=ENCODED)
def test_s15_a_secret_is_found_in_every_form(text: str):
    line = f'{{"level":"INFO","value":{text}}}\n'.encode()
    assert list(leaks.found(line, SECRET.encode()))
    assert not list(leaks.found(line, b"another canary"))


@pytest.fixture
def canaries(tmp_path: Path) -> Canaries:
    made = Canaries(tmp_path)
    made.note("body", b"the body itself")
    made.note("role ARN", "arn:aws:iam::111122223333:role/R")
    made.note("secret key", "secret-key-canary")
    made.note("body", b"short")
    return made


def test_what_is_printed_and_answered_is_searched_for_what_may_not_be_there(tmp_path: Path, canaries: Canaries):
    (tmp_path / "function-444455556666-child-InvokerFunction-1.log").write_text('{"message":"request"}\n')
    (tmp_path / "function-111122223333-ProvisionerFunction.log").write_text("arn:aws:iam::111122223333:role/R\n")
    (tmp_path / "function-111122223333-of-a-test.log").write_text("secret-key-canary\n")
    (tmp_path / ANSWERS).write_bytes(b"the body itself")
    searched = leaks.search(tmp_path)
    assert (searched.secrets, searched.leaks) == (3, ())
    assert str(searched) == "leaks: 3 secrets looked for in 0 KB of logs and answers, none found"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("function-444455556666-child-InvokerFunction-1.log", "the body itself"),
        ("function-444455556666-child-InvokerFunction-1.log", "arn:aws:iam::111122223333:role/R"),
        ("function-111122223333-ProvisionerFunction.log", "secret-key-canary"),
        (ANSWERS, "arn:aws:iam::111122223333:role/R"),
        (ANSWERS, base64.b64encode(b"a secret-key-canary!").decode()),
    ],
)
def test_a_planted_secret_is_a_leak(tmp_path: Path, canaries: Canaries, file: str, text: str):
    (tmp_path / file).write_text(f"before {text} after")
    (leak, *_) = leaks.search(tmp_path).leaks
    assert leak.file == file
    # It is told without the secret.
    assert text not in str(leak)


ROOT = Path(__file__).resolve().parent.parent
# `{:?}`, and what tracing's macros write in its place.
DEBUG_FORM = re.compile(r":\??#?\?\}|\bdbg!|[(,]\s*(\w+\s*=\s*)?\?[a-z_]")
# Names of variants, which hold nothing.
HARMLESS = {'format!("{attribution:?}")', 'format!("{side:?}")'}


def test_s15_shipped_code_writes_no_debug_form():
    """Types that hold secrets may have a Debug for tests (`Request`, `Step`); nothing that is shipped writes one."""
    found = []
    for source in (*ROOT.glob("functions/*/src/**/*.rs"), *ROOT.glob("shared/src/**/*.rs")):
        if source.stem.endswith("_tests"):
            continue
        shipped = source.read_text().partition("#[cfg(test)]")[0]
        lines = (line for line in shipped.splitlines() if not line.lstrip().startswith("//"))
        found += [f"{source.name}: {line.strip()}" for line in lines if DEBUG_FORM.search(line)]
    assert [line for line in found if not any(harmless in line for harmless in HARMLESS)] == []
    assert len(found) == len(HARMLESS), "the search finds what there is"


@pytest.mark.parametrize(
    "line",
    ['format!("{event:?}")', 'println!("{:#?}", x)', "info!(?event)", "debug!(target: T, step = ?step)", "dbg!(x)"],
)
def test_every_debug_form_is_seen(line: str):
    assert DEBUG_FORM.search(line)
