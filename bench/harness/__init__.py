# SPDX-License-Identifier: MIT
"""The benchmarks' harness: runs programs under several allocators and reports honestly."""
