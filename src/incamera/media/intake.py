# SPDX-License-Identifier: Apache-2.0
"""Which received frames may a recorder or decoder see? (spec/media.md, section 5)

Only those that open under a key of the member at the other end of *this* connection, in
the section of their own kind.  There is no path for a frame that does not open.  Frames
whose key is still on its way wait up to a second; after a gap, pictures wait for a key
frame, which is asked for once the first good frame shows that it would be readable.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from incamera.errors import Code, IncameraError, PeerError
from incamera.media.encoded import EncodedFrame, is_video, measure_dummy
from incamera.media.path import MediaPath
from incamera.media.statistics import Tally
from incamera.protocol.frames import Opened, StreamKind, StreamReceiver

HOLD_S: Final = 1.0
"""Seconds that a frame waits for its key: keys are sent before senders switch."""
MAX_HELD: Final = 128
"""Frames that wait, per stream: a second of sound in 10 ms packets and some more."""
MAX_HELD_BYTES: Final = 4 * 1024 * 1024
"""Bytes that wait, per stream: two seconds of video at 16 Mbit/s."""
ASK_AGAIN_S: Final = 1.0
"""Seconds after which an unanswered request for a key frame is repeated."""

Deliver: TypeAlias = Callable[[EncodedFrame], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    data: bytes = field(repr=False)
    time: int
    since_s: float


@dataclass(frozen=True, slots=True)
class IntakePorts:
    """What an intake calls: where frames go, the way they came, seconds."""

    deliver: Deliver
    path: MediaPath
    clock: Callable[[], float]


class Intake:
    """Opens the frames of one stream of one remote member, in order."""

    def __init__(
        self, receiver: StreamReceiver, kind: StreamKind, ports: IntakePorts
    ) -> None:
        self.kind: Final = kind
        self.tally: Final = Tally()
        self._receiver = receiver
        self._ports = ports
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._last: Opened | None = None
        self._needs_key_frame = is_video(kind)
        self._asked_s: float | None = None
        self._closed = False

    def got(self, data: bytes, time: int) -> None:
        """Take a frame as it came off the network; never raises."""
        if self._closed:
            return
        self.tally.received += 1
        self._waiting.append(_Waiting(data, time, self._ports.clock()))
        self._waiting_bytes += len(data)
        while len(self._waiting) > MAX_HELD or self._waiting_bytes > MAX_HELD_BYTES:
            self._drop_first(Code.MISSING_KEY)
        self.retry()

    def retry(self) -> None:
        """Go through the waiting frames again, after new keys; never raises."""
        while self._waiting and not self._closed:
            first = self._waiting[0]
            try:
                opened = self._open(first.data)
            except IncameraError as error:
                if error.code is Code.MISSING_KEY and not self._is_late(first):
                    return
                self._drop_first(error.code)
                continue
            except Exception:  # noqa: BLE001  # a hook that raises stops the connection
                self._drop_first(Code.MEDIA_CONNECTION)
                continue
            self._take_first()
            self._accept(opened, first.time)

    def close(self) -> None:
        """Forget what waits; nothing is delivered any more."""
        self._closed = True
        self._waiting.clear()
        self._waiting_bytes = 0

    def _open(self, data: bytes) -> Opened:
        if self._ports.path.origin(data) != self._receiver.slot:
            raise PeerError(Code.WRONG_SENDER, "a frame from another member's end")
        opened = self._receiver.open(data, dummy=measure_dummy(self.kind, data))
        if opened.kind != self.kind:
            raise PeerError(Code.WRONG_PLACE, "a frame of another kind of stream")
        if not opened.frame:
            raise PeerError(Code.SCHEMA, "an empty frame")
        return opened

    def _accept(self, opened: Opened, time: int) -> None:
        self.tally.opened += 1
        frame = EncodedFrame(self.kind, opened.frame, time)
        if self._is_after_gap(opened):
            self.tally.gaps += 1
            self._needs_key_frame = is_video(self.kind)
            self._asked_s = None
        if frame.is_key:
            self._needs_key_frame = False
        if self._needs_key_frame:
            self._ask()
        else:
            self._deliver(frame)

    def _is_after_gap(self, opened: Opened) -> bool:
        """Counters of one key go up by one; a new key starts at zero."""
        last, self._last = self._last, opened
        if last is None:
            return False
        same_key = (last.number, last.epoch) == (opened.number, opened.epoch)
        return opened.counter != (last.counter + 1 if same_key else 0)

    def _ask(self) -> None:
        now_s = self._ports.clock()
        if self._asked_s is None or now_s - self._asked_s >= ASK_AGAIN_S:
            self._asked_s = now_s
            self.tally.asked += 1
            self._ports.path.request_key_frame(self.kind)

    def _deliver(self, frame: EncodedFrame) -> None:
        try:
            self._ports.deliver(frame)
        except IncameraError as error:
            self.tally.refused[error.code] += 1
        except Exception:  # noqa: BLE001  # a full disk must not end the connection
            self.tally.refused[Code.MEDIA_FILE] += 1
        else:
            self.tally.delivered += 1

    def _is_late(self, waiting: _Waiting) -> bool:
        return self._ports.clock() - waiting.since_s >= HOLD_S

    def _take_first(self) -> None:
        self._waiting_bytes -= len(self._waiting.popleft().data)

    def _drop_first(self, code: Code) -> None:
        self.tally.refused[code] += 1
        self._take_first()
