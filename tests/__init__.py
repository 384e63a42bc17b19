"""The tests, and how Hypothesis draws for their properties.

Everyone's run draws the same examples, and no clock decides, so that a busy machine fails no test.
`make properties` draws new examples, and more of them.
"""

import os

from hypothesis import HealthCheck, settings

NEW_EXAMPLES = int(os.environ.get("WSMB_TEST_EXAMPLES", "0"))


def examples(number: int) -> settings:
    """The decorator of a property that wants so many examples, where 100 are usual."""
    return settings(max_examples=max(number, NEW_EXAMPLES))


settings.register_profile(
    "wsmb",
    max_examples=NEW_EXAMPLES or 100,
    derandomize=not NEW_EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("wsmb")
