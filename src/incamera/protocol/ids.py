# SPDX-License-Identifier: Apache-2.0
"""Names for byte strings that must not be swapped (spec/encoding.md, section 4)."""

from typing import NewType

LedgerId = NewType("LedgerId", bytes)
"""SHA-256 of a ledger's descriptor, 32 bytes."""
TopicId = NewType("TopicId", bytes)
"""Id of a topic's first valid entry on one ledger, 32 bytes."""
MeetingId = NewType("MeetingId", bytes)
"""Id of a meeting's publish entry, 32 bytes, the same on every ledger."""
UserId = NewType("UserId", bytes)
"""Id of a user's root entry, 32 bytes."""
EntryId = NewType("EntryId", bytes)
"""SHA-256 of an entry's Sig_structure, 32 bytes."""
MessageId = NewType("MessageId", bytes)
"""SHA-256 of a message's Sig_structure, 32 bytes."""
KeyId = NewType("KeyId", bytes)
"""Id of the epoch entry or refresh that brought a meeting key, 32 bytes."""
VerifyKey = NewType("VerifyKey", bytes)
"""Ed25519 public key, 32 bytes, canonical and of prime order."""
Kid = NewType("Kid", bytes)
"""First 16 bytes of SHA-256 of a verify key."""
DeviceId = NewType("DeviceId", bytes)
"""16 bytes, from the device's first verify key."""
UserTag = NewType("UserTag", bytes)
"""16 bytes that are equal for all devices of one user in one meeting."""
Head = NewType("Head", bytes)
"""Hash chain head of a topic, 32 bytes."""
