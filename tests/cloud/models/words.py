"""A very small language model: which word follows which in the Zen of Python, written on from the words it is given.

It answers word by word, as large ones do: as text, or as server-sent events for `Accept: text/event-stream`.
"""

import codecs
import contextlib
import io
import time
from collections import defaultdict
from collections.abc import Iterator
from email.message import Message

from tests.cloud.models.container import Answer, Model, serve

EVENTS = "text/event-stream"
LONGEST = 12
# How long the model thinks about each word.
PAUSE_SECONDS = 0.15


def build() -> Model:
    """Count the pairs of words (the text ships with Python) and answer invocations."""
    with contextlib.redirect_stdout(io.StringIO()):
        import this
    words = codecs.decode(this.s, "rot13").split()
    followers: defaultdict[str, list[str]] = defaultdict(list)
    for word, follower in zip(words, words[1:], strict=False):
        followers[word.lower()].append(follower)

    def model(body: bytes, headers: Message) -> Answer:
        prompt = body.decode("utf-8", "replace").split() or words[:1]
        if EVENTS in headers.get("Accept", ""):
            return Answer((f"data: {word}\n\n".encode() for word in continued(prompt[-1])), EVENTS)
        return Answer((f"{word} ".encode() for word in continued(prompt[-1])), "text/plain; charset=utf-8")

    def continued(word: str) -> Iterator[str]:
        """The likeliest words, no pair of them twice."""
        left = {known: list(dict.fromkeys(sorted(f, key=f.count, reverse=True))) for known, f in followers.items()}
        for _ in range(LONGEST):
            if not left.get(word.lower()):
                return
            word = left[word.lower()].pop(0)
            time.sleep(PAUSE_SECONDS)
            yield word

    return model


if __name__ == "__main__":
    serve(build())
