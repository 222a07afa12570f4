"""Fedward in a Flower server; needs ``pip install "fedward[flower]"``."""

from fedward.flower.replies import Limits as Limits
from fedward.flower.strategy import Defended as Defended
