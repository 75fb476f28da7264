-- Every change of an order or an agent, written in the transaction of the change. There is one writer, so the order of positions
-- is the order of commits. A position is never given again.
CREATE TABLE events (
    position      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at            INTEGER NOT NULL,
    type          TEXT NOT NULL,
    work_order_id TEXT,
    agent_id      TEXT,
    actor         TEXT NOT NULL,
    state_before  TEXT,
    state_after   TEXT,
    attempt       INTEGER,
    -- JSON: an array of the labels that the order is for, or that the agent has.
    labels        TEXT,
    -- JSON: an object without output, contents and secrets.
    details       TEXT NOT NULL,
    CONSTRAINT events_subject CHECK (work_order_id IS NOT NULL OR agent_id IS NOT NULL)
) STRICT;

-- There from the start, so that the next position can be raised at any time.
INSERT INTO sqlite_sequence (name, seq) VALUES ('events', 0);

-- The events of one order are asked for by whoever waits for it.
CREATE INDEX events_work_order ON events (work_order_id, position) WHERE work_order_id IS NOT NULL;

-- One row: the last position that was forgotten. Whoever resumes before it has missed something.
CREATE TABLE events_forgotten (
    position INTEGER NOT NULL
) STRICT;

INSERT INTO events_forgotten (position) VALUES (0);
