"""What a month costs, from a run's processor times and AWS's list prices: a page and one plot.

Everything that was not measured stands in the constants below, each with its source or marked as assumed.
"""

import math
from dataclasses import dataclass
from html import escape

from tests.bench.report import KB, Results, table, warm

# List prices in US dollars, us-east-1, x86, without the free tier, as known on 2026-11-24 from AWS's whitepaper "How
# AWS Pricing Works" (Lambda) and from what others quote of aws.amazon.com/lambda/pricing and /api-gateway/pricing. STS
# is free of charge.
LAMBDA_REQUEST = 0.20 / 1e6
LAMBDA_GB_SECOND = 0.0000166667
# The first 333 million a month; a streamed answer counts once for each 10 MB begun.
API_REQUEST = 3.50 / 1e6
# Lambda gives processor time by memory: 1,769 MB are one vCPU (Lambda developer guide, "Configure Lambda function
# memory"). Billed time is rounded up to a millisecond.
VCPU_MB = 1769
MEMORY_MB = 128
# Assumed, because no loopback shows it: how long STS and the model take to answer. The function is billed while it
# waits.
STS_MS = 20
MODEL_MS = 100
# The default quota of an account in a Region, of AssumeRole and five other operations together; of a cross-account
# AssumeRole only the calling account's counts (IAM user guide, "IAM and AWS STS quotas", STS request quotas).
STS_PER_SECOND = 600
# Assumed: how many times a month's mean rate the busiest second has.
PEAK = 10
MONTH_SECONDS = 30 * 24 * 3600
VOLUMES = (1_000, 1_000_000, 100_000_000)


@dataclass(frozen=True)
class Variant:
    name: str
    # Of a request of 1 KB over TLS, on one vCPU of the machine that measured it.
    processor_us: float
    assumes: bool = True

    @property
    def own_ms(self) -> float:
        """What the function itself takes at its memory's share of a vCPU."""
        return self.processor_us / 1000 * VCPU_MB / MEMORY_MB

    @property
    def billed_ms(self) -> int:
        return math.ceil(self.own_ms + MODEL_MS + (STS_MS if self.assumes else 0))

    @property
    def duration(self) -> float:
        """Dollars for a request's time."""
        return self.billed_ms / 1000 * MEMORY_MB / 1024 * LAMBDA_GB_SECOND

    @property
    def total(self) -> float:
        return self.duration + LAMBDA_REQUEST + API_REQUEST


def variants(results: Results) -> list[Variant]:
    """Those that were measured, in the order of the page."""
    found = []
    if entry := warm(results, "invoker", KB, "tls"):
        found.append(Variant("invoker, a role assumed for each request", entry["processor"]))
    if reuse := results["measured"]["reuse"]:
        found.append(Variant("invoker, credentials reused", reuse["processor_on"], assumes=False))
    for contestant, name in (("kept", "Python, clients kept"), ("recipe", "Python, as in the recipe")):
        if entry := warm(results, contestant, KB, "tls"):
            found.append(Variant(name, entry["processor"]))
    return found


def page(results: Results) -> str:
    found = variants(results)
    return "\n\n".join((_intro(results), _table(found), _notes(results), _sts(found))) + "\n"


def _intro(results: Results) -> str:
    return f"""# What it costs

Written by `make bench` from its run of {results["date"]} (commit {results["commit"]}), for requests and answers of
1 KB. AWS's list prices in us-east-1 as known in November 2026, in US dollars, without free tiers: Lambda
${LAMBDA_REQUEST * 1e6:.2f} a million requests and ${LAMBDA_GB_SECOND:.10f} a GB-second (x86), API Gateway (REST)
${API_REQUEST * 1e6:.2f} a million requests, STS free of charge. Data transfer, logs and the model's own endpoint are
left out. The template gives the invoker 256 MB; the figures here are for {MEMORY_MB} MB."""


def _table(found: list[Variant]) -> str:
    head = ("", "own time", "billed time", "Lambda, a million", "API Gateway, a million", *map(_calls, VOLUMES))
    rows = [
        (
            variant.name,
            f"{variant.own_ms:,.1f} ms",
            f"{variant.billed_ms:,} ms",
            _dollars((variant.duration + LAMBDA_REQUEST) * 1e6),
            _dollars(API_REQUEST * 1e6),
            *(_dollars(variant.total * volume) for volume in VOLUMES),
        )
        for variant in found
    ]
    return table(head, rows, left=1) + "\n\n![Dollars for a million calls](cost.svg)"


def _notes(results: Results) -> str:
    if results["measured"]["reuse"]:
        reuse = " The line with reuse was measured over plain HTTP."
    else:
        reuse = " Credential reuse is not in the build that was measured."
    return f"""- **Own time** is measured: the processor time of a request over TLS, at the share of a vCPU that
  {MEMORY_MB} MB get ({MEMORY_MB} of {VCPU_MB:,}). Lambda's processors are not the measuring machine's, so read it as a
  size.{reuse}
- **Billed time** adds waiting, which is **assumed**: {STS_MS} ms for STS, {MODEL_MS} ms for the model. Most of what a
  call costs is the price of API Gateway and the wait for the model, whatever the function is written in; what a slow
  function costs is its callers' time.
- **Long answers** cost more. API Gateway counts a streamed answer as a request for each 10 MB that it begins, and
  Lambda charges for what is streamed past the first 6 MB of an answer.
- Cold starts are billed too and left out: how often they come depends on the traffic."""


def _sts(found: list[Variant]) -> str:
    rows = []
    for volume in VOLUMES:
        mean = volume / MONTH_SECONDS
        busiest = mean * PEAK
        environments = math.ceil(busiest * found[0].billed_ms / 1000) if found else 0
        rows.append((_calls(volume), _rate(mean), _rate(busiest), f"{busiest / STS_PER_SECOND:.1%}", str(environments)))
    head = (
        "",
        "mean rate",
        f"busiest second, {PEAK} × (assumed)",
        "of the default STS quota",
        "environments busy then",
    )
    limit = STS_PER_SECOND / PEAK * MONTH_SECONDS / 1e6
    steady = STS_PER_SECOND * MONTH_SECONDS / 1e6
    return f"""## Where the STS rate limit bites

Without reuse each request is one AssumeRole. AWS documents a default of {STS_PER_SECOND} requests a second for each
account and Region, shared by AssumeRole, GetCallerIdentity, GetSessionToken, GetFederationToken, GetAccessKeyInfo and
DecodeAuthorizationMessage. A cross-account AssumeRole counts for the account that calls, so here for the **child**, not
for the parent (IAM user guide, "IAM and AWS STS quotas"). Everything else in the child's account and Region that
assumes roles draws on the same quota.

{table(head, rows, left=1)}

Under these assumptions the quota is reached at about {limit:,.0f} million calls a month with such peaks, and at
{steady:,.0f} million if they came evenly. A burst reaches it earlier than a month's sum says: the caller then gets 429
`ThrottlingException` with `Retry-After`. The stage's own limit (`ThrottlingRateLimit`, by default 150 requests a second
for each route) comes before that, and answers 429 `TooManyRequestsException`: raise it as well, as
[operations](operations.md#where-limits-bite) says. What to do, in this order:

1. Set `CredentialReuseSeconds`: the rate then follows the number of callers, not of requests. The price is that a
   session's credentials live in the function's memory that long, and that CloudTrail in the parent shows one session
   for several requests.
2. Ask AWS for a higher quota.
3. Serve from several child accounts, or from several Regions, each with its own quota; the parent trusts each of them
   (`TrustedAccountIds`).

Lambda's own default of 1,000 environments running at once in an account and Region comes first where models are slow:
at {STS_PER_SECOND} requests a second it is reached at {1000 / STS_PER_SECOND:.1f} s a request."""


def plot(results: Results) -> str:
    """Dollars for a million calls as stacked bars, one for each variant."""
    found = variants(results)
    parts = (
        ("API Gateway", "#9aa5b1", lambda variant: API_REQUEST),
        ("Lambda, requests", "#4c78a8", lambda variant: LAMBDA_REQUEST),
        ("Lambda, time", "#e07b39", lambda variant: variant.duration),
    )
    left, width, bar, gap, top = 290, 470, 26, 16, 66
    height = top + len(found) * (bar + gap) + 34
    most = max((variant.total * 1e6 for variant in found), default=1.0)
    scale = width / math.ceil(most)
    draw = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {left + width + 90} {height}" font-family="sans-serif" font-size="13">',
        "<title>Dollars for a million calls</title>",
        f'<rect width="100%" height="{height}" fill="white"/>',
        '<text x="12" y="24" font-size="15" font-weight="bold">'
        f"US dollars for a million calls of 1 KB, {MEMORY_MB} MB of memory</text>",
    ]
    x = 12
    for name, colour, _ in parts:
        draw.append(f'<rect x="{x}" y="36" width="12" height="12" fill="{colour}"/>')
        draw.append(f'<text x="{x + 18}" y="47">{escape(name)}</text>')
        x += 150
    for row, variant in enumerate(found):
        y, x = top + row * (bar + gap), float(left)
        draw.append(f'<text x="{left - 10}" y="{y + 18}" text-anchor="end">{escape(variant.name)}</text>')
        for name, colour, of in parts:
            dollars = of(variant) * 1e6
            draw.append(
                f'<rect x="{x:.1f}" y="{y}" width="{dollars * scale:.1f}" height="{bar}" fill="{colour}">'
                f"<title>{escape(name)}: {_dollars(dollars)}</title></rect>"
            )
            x += dollars * scale
        draw.append(f'<text x="{x + 8:.1f}" y="{y + 18}">{_dollars(variant.total * 1e6)}</text>')
    base = top + len(found) * (bar + gap)
    draw.append(f'<line x1="{left}" y1="{base}" x2="{left + width}" y2="{base}" stroke="#555"/>')
    for tick in range(math.ceil(most) + 1):
        x = left + tick * scale
        draw.append(f'<line x1="{x:.1f}" y1="{base}" x2="{x:.1f}" y2="{base + 5}" stroke="#555"/>')
        draw.append(f'<text x="{x:.1f}" y="{base + 20}" text-anchor="middle">{tick}</text>')
    return "\n".join((*draw, "</svg>")) + "\n"


def _calls(volume: int) -> str:
    return f"{volume // 1_000_000} M calls" if volume >= 1_000_000 else f"{volume // 1000} k calls"


def _rate(rate: float) -> str:
    return f"{rate:,.1f}/s" if rate >= 1 else f"{rate:.2g}/s"


def _dollars(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 0.1 else f"${dollars:.4f}"
