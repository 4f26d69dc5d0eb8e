-- SPDX-License-Identifier: Apache-2.0
-- The embedded ledger's file (spec/ledger.md, section 8).  States, map and log tree are
-- rebuilt from these tables; nothing derived is stored except heads.

CREATE TABLE ledger (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    format     INTEGER NOT NULL,
    descriptor BLOB NOT NULL
) STRICT;

-- `number` is a topic's short name inside this file, from 1 without gaps.
CREATE TABLE topics (
    number INTEGER PRIMARY KEY,
    id     BLOB NOT NULL,
    count  INTEGER NOT NULL,
    head   BLOB NOT NULL,
    pruned INTEGER NOT NULL
) STRICT;

-- In the order of arrival, so that appending writes at the end of the table.
CREATE TABLE entries (
    place   INTEGER PRIMARY KEY,
    topic   INTEGER NOT NULL,
    idx     INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    digest  BLOB NOT NULL,
    head    BLOB NOT NULL,
    entry   BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX entries_by_index ON entries (topic, idx);
CREATE INDEX entries_by_digest ON entries (topic, digest);

CREATE TABLE log (
    place    INTEGER PRIMARY KEY,
    time_ms  INTEGER NOT NULL,
    map_root BLOB NOT NULL,
    topics   INTEGER NOT NULL
) STRICT;
