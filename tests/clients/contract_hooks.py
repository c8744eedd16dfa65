"""What schemathesis does here beside its own checks, for tests/it/contract.rs.

NETKEEP_KNOWN   ids by prefix that paths are filled with now and then: those of the caller's org and of another one
NETKEEP_FOREIGN what no answer may contain: the words and ids of the other org, but for an id that was asked for
"""

import json
import os
import random

import schemathesis
from hypothesis.internal import lambda_sources

KNOWN = json.loads(os.environ["NETKEEP_KNOWN"])
FOREIGN = json.loads(os.environ["NETKEEP_FOREIGN"])
chosen = random.Random(2_026)

# Hypothesis looks up the source text of lambdas for its messages; CPython 3.11 fails at that deep in a recursion.
lambda_sources.lambda_description = lambda function: "<lambda>"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes calls that find something and do something more likely."""
    for name, value in (case.path_parameters or {}).items():
        ids = KNOWN.get(str(value).split("_")[0])
        if ids and chosen.random() < 0.5:
            case.path_parameters[name] = chosen.choice(ids)
    for name in ("Idempotency-Key", "If-Match"):
        if name in (case.headers or {}) and chosen.random() < 0.7:
            del case.headers[name]
    # A position that is not there yet is waited for.
    if "Netkeep-Min-Position" in (case.headers or {}) and chosen.random() < 0.99:
        del case.headers["Netkeep-Min-Position"]
    if isinstance(case.query, dict):
        # Who chooses fields gets less than the schema says, and wants it so.
        case.query.pop("fields", None)
        if chosen.random() < 0.5:
            case.query.pop("dry_run", None)


@schemathesis.check
def stays_in_the_org(ctx, response, case):
    """No answer tells anything of another org."""
    asked = str(case.path_parameters)
    text = response.text
    for foreign in FOREIGN:
        assert foreign not in text or foreign in asked, f"{foreign} is of another org"
    # OPTIONS is about the path, whatever there is.
    is_done = response.status_code < 300 and case.method.upper() != "OPTIONS"
    if is_done and any(foreign in asked for foreign in FOREIGN):
        raise AssertionError("another org's resource was reached")
