"""The product's settings, with two bare views beside it."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.api_parts.urls"
