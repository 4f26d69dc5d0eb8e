# SPDX-License-Identifier: Apache-2.0
"""Every error incamera raises, by whose fault it is (spec/errors.md).

    IncameraError
    ├── UsageError    we, or the person at the keyboard, asked for something wrong
    ├── PeerError     somebody sent us something wrong
    ├── LedgerError   a ledger or gateway failed, lied or is out of reach
    └── MediaError    a device, file or media connection failed

Each carries a stable `code`: vectors, tests, the API and the CLI compare codes, never
messages. Messages are short, lower case and free of secrets.
"""

from enum import Enum


class Code(Enum):
    """What went wrong; the values are stable and listed in spec/errors.md."""

    # encoding
    TOO_LARGE = "too-large"
    NOT_CANONICAL = "not-canonical"
    SCHEMA = "schema"
    UNKNOWN_TYPE = "unknown-type"
    UNKNOWN_EXTENSION = "unknown-extension"
    # signatures and keys
    BAD_KEY = "bad-key"
    BAD_SIGNATURE = "bad-signature"
    BAD_COSIGNATURE = "bad-cosignature"
    WRONG_AUTHOR = "wrong-author"
    # order within a topic
    WRONG_PLACE = "wrong-place"
    OUT_OF_SEQUENCE = "out-of-sequence"
    DUPLICATE = "duplicate"
    UNKNOWN_RULES = "unknown-rules"
    UNKNOWN_TOPIC = "unknown-topic"
    # legality of an entry in the state it meets
    NOT_LEGAL = "not-legal"
    WRONG_TERM = "wrong-term"
    WRONG_EPOCH = "wrong-epoch"
    WRONG_PREV_EPOCH = "wrong-prev-epoch"
    WRONG_ROSTER = "wrong-roster"
    NOT_FRESH = "not-fresh"
    ENDED = "ended"
    DOORS_CLOSED = "doors-closed"
    NO_GATE = "no-gate"
    FULL = "full"
    # identity
    BAD_OPENING = "bad-opening"
    BAD_STATEMENT = "bad-statement"
    UNREGISTERED = "unregistered"
    DEVICE_NOT_ACTIVE = "device-not-active"
    STALE_IDENTITY = "stale-identity"
    TAG_CONFLICT = "tag-conflict"
    # keys, wraps, boxes, messages, frames
    BAD_COMMITMENT = "bad-commitment"
    BAD_BOX = "bad-box"
    BAD_WRAP = "bad-wrap"
    MISSING_KEY = "missing-key"
    REPLAYED = "replayed"
    WRONG_SENDER = "wrong-sender"
    WRONG_RECEIVER = "wrong-receiver"
    COUNTER_EXHAUSTED = "counter-exhausted"
    # proofs and ledgers
    BAD_PROOF = "bad-proof"
    BAD_CHECKPOINT = "bad-checkpoint"
    WRONG_LEDGER = "wrong-ledger"
    ROLLED_BACK = "rolled-back"
    FORKED = "forked"
    STALE = "stale"
    OMITTED = "omitted"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    QUOTA = "quota"
    STORAGE = "storage"
    PRUNED = "pruned"
    WEAK_LEDGER = "weak-ledger"
    # relay
    NOT_ALLOWED = "not-allowed"
    QUEUE_FULL = "queue-full"
    TLS_PIN = "tls-pin"
    # media
    MEDIA_FILE = "media-file"
    MEDIA_DEVICE = "media-device"
    MEDIA_CONNECTION = "media-connection"
    BAD_FINGERPRINT = "bad-fingerprint"
    # the person, the machine
    BAD_ARGUMENT = "bad-argument"
    BAD_LINK = "bad-link"
    NO_IDENTITY = "no-identity"
    NO_MEETING = "no-meeting"
    NOT_RUNNING = "not-running"
    ALREADY_RUNNING = "already-running"
    WRONG_PASSPHRASE = "wrong-passphrase"
    NO_KEYRING = "no-keyring"
    WRONG_STATE = "wrong-state"


class IncameraError(Exception):
    """Root of all errors; `code` is stable, the message is for people."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __str__(self) -> str:
        return f"{self.args[0]} [{self.code.value}]"


class UsageError(IncameraError):
    """We, or the person at the keyboard, asked for something wrong."""


class PeerError(IncameraError):
    """Somebody sent something wrong; state is unchanged."""


class LedgerError(IncameraError):
    """A ledger or gateway failed, lied or is out of reach."""


class MediaError(IncameraError):
    """A device, file or media connection failed."""
