"""Tests of whole stories: a real kernel, a real daemon; each leaves the host as it found it."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fixtures import *  # noqa: E402,F401,F403
