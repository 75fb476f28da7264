-- Every change of an order or an agent, written in the transaction of the change. A position is taken before its transaction
-- commits, so a reader may see a later one first: dal/events.rs says which positions are settled.
CREATE TABLE events (
    position      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at            BIGINT NOT NULL,
    type          TEXT COLLATE "C" NOT NULL,
    work_order_id UUID,
    agent_id      UUID,
    actor         TEXT COLLATE "C" NOT NULL,
    state_before  TEXT COLLATE "C",
    state_after   TEXT COLLATE "C",
    attempt       BIGINT,
    -- JSON: an array of the labels that the order is for, or that the agent has.
    labels        TEXT,
    -- JSON: an object without output, contents and secrets.
    details       TEXT NOT NULL,
    CONSTRAINT events_subject CHECK (work_order_id IS NOT NULL OR agent_id IS NOT NULL)
);

-- The events of one order are asked for by whoever waits for it.
CREATE INDEX events_work_order ON events (work_order_id, position) WHERE work_order_id IS NOT NULL;

-- One row: the last position that was forgotten. Whoever resumes before it has missed something.
CREATE TABLE events_forgotten (
    position BIGINT NOT NULL
);

INSERT INTO events_forgotten (position) VALUES (0);
