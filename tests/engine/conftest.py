"""Kernels for GPUs are interpreted where there is none."""

import os

import torch

if not torch.cuda.is_available():
    # Triton asks when a kernel is written down, that is when its module is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")
