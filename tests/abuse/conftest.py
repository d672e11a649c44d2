"""Attacks, each with a control run that shows that it works without the guard."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

from fixtures import *  # noqa: E402,F401,F403
