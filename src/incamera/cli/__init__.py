# SPDX-License-Identifier: Apache-2.0
"""Arguments to calls; the only room that prints or exits."""
