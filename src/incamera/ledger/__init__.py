# SPDX-License-Identifier: Apache-2.0
"""One ledger interface and its engines (spec/ledger.md)."""
