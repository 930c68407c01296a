#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# size_classes_table.h is what mksizeclasses.py prints.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../../src/size_classes"
python3 mksizeclasses.py | diff - size_classes_table.h
