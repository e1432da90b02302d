"""Every limit of Bilans, each with its reason. Relations on which exactness rests are asserted here."""

QUARTER_S = 900
"""A window: a quarter of an hour, the metering unit (Dz.U. 2022 poz. 788 § 17)."""

MEMORY_S = 48 * 3600
"""How far behind its series' newest a reading may be and still be applied in the stream (design rule 11)."""

BRACKET_S_MAX = 400 * 86400
"""Readings further apart than this bracket no edge (design rule 2)."""

MEASURED_BRACKET_S_MAX = 900
"""A bracket this wide or narrower leaves a window `measured` (design rule 5)."""

VALUE_MAX = 10**13
"""The largest value of a register, Wh or W (design rule 10): 10 million MWh, more than any meter can count."""

VERSION_MAX = 2**31 - 1
"""The highest version of a reading (design rule 10)."""

UNLIMITED_KW = 200_000
"""What a blank `max_kw` means (design rule 4): more than a cluster may have installed (150 MW, RES Act art. 184l)."""

KW_MAX = 30_000_000
"""The largest power in a topology, kW: more than Poland draws; a greater one is a slip of the pen."""

IDENTIFIER_CHARACTERS_MAX = 64
"""The longest name of a meter, zone, member or asset (design section 1): indices and messages stay small."""

NAME_CHARACTERS_MAX = 1000
"""The longest free text in a topology: what a page can show and an answer can carry."""

EARLIEST_INSTANT_S = 946_684_800
"""2000-01-01T00:00:00Z: a reading before it is `bad_timestamp` (design rule 10)."""

INSTANT_S_MAX = 2**32 - 1
"""2106-02-07: the memory keeps instants in 32 bits. No clock is there yet, and no reading is far ahead of the clock."""

FUTURE_S_MAX = 300
"""How far ahead of the wall clock a reading may be (design rule 10): clocks of meters drift by minutes, not more."""

READING_BYTES_MAX = 4096
"""A longer JSON reading is `oversized` (design rule 10)."""

MESSAGE_READINGS_MAX = 32_768
"""Readings in one message of the log: 24 bytes each keep it under 1 MB, far below MESSAGE_BYTES_MAX."""

MESSAGE_BYTES_MAX = 8 * 1024 * 1024
"""The largest message that the broker takes; the topics and the clients are made with the same figure."""

TAIL_READINGS_MAX = 1_000_000
"""Readings of a partition that are applied, but perhaps not archived yet, and kept in memory (24 bytes each) for the
late lane: several seconds of the fastest stream. When the archive is further behind, late readings wait for it."""

ORIGINAL_BYTES_MAX = 4 * 1024 * 1024
"""Of a rejected delivery no more bytes are kept: in base64 they still fit a message. Only an `oversized` one has more,
and it could never be a reading; whole, it would be a message that the log refuses for ever."""

BODY_BYTES_MAX = 64 * 1024 * 1024
"""The largest body of a request to ingest, after decompression too: a bomb must not fill memory."""

BODY_DELIVERIES_MAX = 1_000_000
"""The most readings of one body: a full body of the shortest readings has no more, and a body of empty objects must
not become a thousand times its size in answers."""

BODIES_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of all bodies that ingest holds at one moment; beyond it a sender is asked to wait (503, Retry-After)."""

REQUESTS_MAX = 256
"""Requests that ingest works on at one moment; beyond it a sender is asked to wait (429, Retry-After)."""

FUSE_PERCENT = 99
"""Over this share of unusable lines the JSON topic is stopped: a cluster with a few wrong meters stays far below it, a
producer of something else, or one that has run ahead of the topology, is at all of it."""

FUSE_LINES = 100_000
"""The share is judged over so many last lines: fewer could be one wrong file, and then it is over already."""

FUSE_S = 60
"""The share must hold over the lines of the last minute too: a minute of good ones means that it has passed."""

ROWS_DEFAULT = 500
ROWS_MAX = 1000
"""Rows of a list in one answer (design section 6)."""

LIVE_VIEWERS_MAX = 500
"""Viewers of the event stream at once; each holds a bounded queue."""

RANGE_S_MAX = 3 * 366 * 86400
"""The longest range of one balance query, three years: settlement looks back over two, and a page stays cheap."""

SETTLEMENT_DAYS = 2 * 366
"""Settlement looks back over two years: the year that is reported and the one before it (design section 8)."""

REVISIONS_DAYS = 1100
"""So many days all revisions of a window are kept, then its newest alone. It is longer than one query may reach
(RANGE_S_MAX), so that any answer about the last three years can be asked for again as it was. It must be more than
SETTLEMENT_DAYS: the revisions on which a month was settled stand until nobody can settle it anew."""

SIGNALS_DAYS = 31
"""So many days the signals of each minute are kept: the month that is being settled can be looked back on."""

REVISIONS_DAYS_MAX = 36_500
"""A century: no window is so old that it is not kept, and the instant is still one of the calendar."""

LIVE_RECORD_S_MAX = 5
"""A live record older than this was left behind by its balancer, which writes each at least once a second."""

READINGS_SILENT_S_MAX = 30
"""In event mode this much wall time without a reading is stale (design section 3)."""

VIEWER_SEND_S_MAX = 20
"""A viewer that takes nothing for this long is let go: it holds a place that another may need."""

AS_OF_DELAY_S = 15
"""`as_of` must lie this far back (design rule 9): a flush that is still under way ends within its shorter time-out."""

FLUSH_TIMEOUT_S = 10
"""A statement of a flush is given up after this."""

FLUSH_S_MAX = AS_OF_DELAY_S - 2
"""A flush that has taken longer as a whole is given up before its commit, which then has two seconds: no row with an
older `known_at` may appear after an `as_of` answer was given."""

FLUSH_ROWS_MAX = 50_000
"""Rows that one partition's flush writes at most: with all partitions of a busy machine in one transaction it stays
well within its time-out. What is more is put off (services/balancer/deferred.py)."""

REQUEST_S_MAX = 24 * 3600
"""The longest period of a flexibility request: no asset's content tells what it can hold for longer."""

REQUEST_AHEAD_S_MAX = 48 * 3600
"""A request's period ends within this from now: so far the forecast reaches."""

SIMULATED_SETPOINTS_MAX = 10_000
"""Set-points of one simulation: those of a hundred assets all day; an answer has a row a zone and window."""

IDEMPOTENCY_KEY_CHARACTERS_MAX = 255
"""The longest `Idempotency-Key`: any client's identifier fits, and an index takes it."""

IDEMPOTENCY_DAYS = 30
"""So long an answer is kept for retries: longer than any client goes on trying."""

assert FLUSH_TIMEOUT_S < FLUSH_S_MAX < AS_OF_DELAY_S
assert REVISIONS_DAYS * 86400 > RANGE_S_MAX > SETTLEMENT_DAYS * 86400
# A rejected delivery fits a message: its original in base64 (4 bytes for 3), and what is said of it.
assert ORIGINAL_BYTES_MAX * 4 // 3 + 1024 * 1024 < MESSAGE_BYTES_MAX
# Exactness: an edge's remainder times the bracket's width stays below 2^63 (rule 2: quotient and remainder first).
assert BRACKET_S_MAX * BRACKET_S_MAX < 2**63
# Exactness: a zone's sum over 100 million series at the plausible maximum stays below 2^63.
assert max(UNLIMITED_KW, KW_MAX) * 250 * 100_000_000 < 2**63
