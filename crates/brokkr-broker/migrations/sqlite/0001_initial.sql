-- The schema of Brokkr on SQLite. Its twin for PostgreSQL has the same tables, columns, nullability and indexes.
--
-- Times are microseconds since 1970-01-01T00:00:00Z. JSON is text that only the broker reads.
-- The CHECKs repeat the invariants of the pure model, so that no statement can break one unseen.
-- Ids are lower-case hyphenated text, truth values are 0 and 1. Tables are STRICT: SQLite would keep any value in any column.

CREATE TABLE agents (
    id                 TEXT NOT NULL PRIMARY KEY,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    -- Agents are never removed: the log and the attempts tell who did what.
    deleted_at         INTEGER,
    name               TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    cluster_name       TEXT NOT NULL CHECK (length(cluster_name) BETWEEN 1 AND 255),
    status             TEXT NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE')),
    last_heartbeat     INTEGER,
    k8s_reachable      INTEGER CHECK (k8s_reachable IN (0, 1)),
    k8s_api_latency_ms INTEGER CHECK (k8s_api_latency_ms >= 0),
    k8s_reported_at    INTEGER,
    -- The process that serves the agent now.
    instance_id        TEXT,
    instance_since     INTEGER,
    -- What that process says it is doing, for people.
    state              TEXT,
    CHECK ((instance_id IS NULL) = (instance_since IS NULL))
) STRICT;

-- A name is free again once its agent is deleted.
CREATE UNIQUE INDEX agents_name ON agents (name, cluster_name) WHERE deleted_at IS NULL;

-- Every process that ever served an agent. One that is here and is not the agent's current one has been superseded, which
-- is told by the order in which the broker saw them and not by any agent's clock.
CREATE TABLE agent_instances (
    agent_id    TEXT NOT NULL REFERENCES agents (id),
    instance_id TEXT NOT NULL CHECK (length(instance_id) BETWEEN 1 AND 64),
    seen_at     INTEGER NOT NULL,
    PRIMARY KEY (agent_id, instance_id)
) STRICT;

CREATE INDEX agent_instances_seen ON agent_instances (seen_at);

CREATE TABLE agent_labels (
    id       TEXT NOT NULL PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents (id),
    label    TEXT NOT NULL CHECK (length(label) BETWEEN 1 AND 64)
) STRICT;

CREATE UNIQUE INDEX agent_labels_label ON agent_labels (agent_id, label);

CREATE TABLE agent_annotations (
    id       TEXT NOT NULL PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents (id),
    key      TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 64),
    value    TEXT NOT NULL CHECK (length(value) BETWEEN 1 AND 64)
) STRICT;

-- One value per key.
CREATE UNIQUE INDEX agent_annotations_key ON agent_annotations (agent_id, key);

-- The routes on which an agent listens, written as the core writes them.
CREATE VIEW agent_routes (agent_id, route) AS
SELECT id, 'agent:' || id FROM agents
UNION ALL
SELECT agent_id, 'label:' || label FROM agent_labels
UNION ALL
SELECT agent_id, 'annotation:' || replace(replace(key, '%', '%25'), '=', '%3D') || '=' || value FROM agent_annotations;

CREATE TABLE generators (
    id          TEXT NOT NULL PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    deleted_at  INTEGER,
    name        TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    description TEXT
) STRICT;

CREATE UNIQUE INDEX generators_name ON generators (name) WHERE deleted_at IS NULL;

CREATE TABLE agent_generators (
    agent_id     TEXT NOT NULL REFERENCES agents (id),
    generator_id TEXT NOT NULL REFERENCES generators (id),
    PRIMARY KEY (agent_id, generator_id)
) STRICT;

CREATE INDEX agent_generators_generator ON agent_generators (generator_id, agent_id);

-- All keys. Only the hash of a key's secret part is kept.
CREATE TABLE credentials (
    short        TEXT NOT NULL PRIMARY KEY CHECK (length(short) BETWEEN 6 AND 16),
    hash         TEXT NOT NULL CHECK (length(hash) = 64),
    role         TEXT NOT NULL CHECK (role IN ('admin', 'viewer', 'agent', 'generator')),
    agent_id     TEXT REFERENCES agents (id),
    generator_id TEXT REFERENCES generators (id),
    name         TEXT CHECK (length(name) BETWEEN 1 AND 255),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    CHECK ((role = 'agent') = (agent_id IS NOT NULL)),
    CHECK ((role = 'generator') = (generator_id IS NOT NULL)),
    -- An agent's or a generator's key is known by whose it is.
    CHECK ((role IN ('admin', 'viewer')) = (name IS NOT NULL))
) STRICT;

CREATE INDEX credentials_agent ON credentials (agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX credentials_generator ON credentials (generator_id) WHERE generator_id IS NOT NULL;

-- The queue. It stays small: an order that ended moves to work_order_log in the same transaction.
CREATE TABLE work_orders (
    id                    TEXT NOT NULL PRIMARY KEY,
    created_at            INTEGER NOT NULL,
    updated_at            INTEGER NOT NULL,
    work_type             TEXT NOT NULL CHECK (length(work_type) BETWEEN 1 AND 50),
    yaml_content          TEXT NOT NULL,
    status                TEXT NOT NULL CHECK (status IN ('PENDING', 'CLAIMED', 'RETRY_PENDING', 'SCHEDULED')),
    priority              INTEGER NOT NULL CHECK (priority BETWEEN -100 AND 100),
    delivery              TEXT NOT NULL CHECK (delivery IN ('at_least_once', 'at_most_once')),
    claim_timeout_seconds INTEGER NOT NULL CHECK (claim_timeout_seconds > 0),
    max_retries           INTEGER NOT NULL CHECK (max_retries >= 0),
    retry_count           INTEGER NOT NULL CHECK (retry_count >= 0),
    lost_count            INTEGER NOT NULL CHECK (lost_count >= 0),
    backoff_seconds       INTEGER NOT NULL CHECK (backoff_seconds >= 0),
    next_retry_after      INTEGER,
    last_error            TEXT,
    last_error_at         INTEGER,
    -- The number of the latest claim, 0 before the first. It only grows.
    attempt               INTEGER NOT NULL CHECK (attempt >= 0),
    -- Not a reference: every claim would lock its agent's row, which is never removed anyway.
    claimed_by            TEXT,
    claimed_at            INTEGER,
    -- Absent when the claimer did not say which process it is.
    claim_instance_id     TEXT,
    lease_expires_at      INTEGER,
    cancel_requested_at   INTEGER,
    cancel_reason         TEXT,
    deadline_seconds      INTEGER CHECK (deadline_seconds > 0),
    start_by              INTEGER,
    run_at                INTEGER,
    -- JSON: an array of failure classes, a map of strings, and {agent_ids, labels, annotations}.
    retry_on              TEXT NOT NULL,
    metadata              TEXT NOT NULL,
    targeting             TEXT NOT NULL,
    -- Not a reference: the order that this one repeats is in the log, which is pruned.
    retry_of              TEXT,
    submitted_by          TEXT NOT NULL,
    traceparent           TEXT,
    CHECK (retry_count + lost_count <= max_retries),
    CHECK ((status = 'CLAIMED') = (claimed_by IS NOT NULL)),
    CHECK ((status = 'CLAIMED') = (claimed_at IS NOT NULL)),
    CHECK ((status = 'CLAIMED') = (lease_expires_at IS NOT NULL)),
    CHECK (claim_instance_id IS NULL OR status = 'CLAIMED'),
    CHECK (status NOT IN ('CLAIMED', 'RETRY_PENDING') OR attempt > 0),
    CHECK ((status = 'RETRY_PENDING') = (next_retry_after IS NOT NULL)),
    CHECK (status <> 'SCHEDULED' OR run_at IS NOT NULL),
    -- Only a claimed order has to be asked to stop; any other is cancelled at once.
    CHECK (cancel_requested_at IS NULL OR status = 'CLAIMED'),
    CHECK (cancel_reason IS NULL OR cancel_requested_at IS NOT NULL),
    CHECK ((last_error IS NULL) = (last_error_at IS NULL))
) STRICT;

-- Lists by status, newest first, and the counts by status.
CREATE INDEX work_orders_status ON work_orders (status, id);
-- What the sweeps look for, each only over the orders that it concerns.
CREATE INDEX work_orders_next_retry ON work_orders (next_retry_after) WHERE status = 'RETRY_PENDING';
CREATE INDEX work_orders_run_at ON work_orders (run_at) WHERE status = 'SCHEDULED';
CREATE INDEX work_orders_lease ON work_orders (lease_expires_at) WHERE status = 'CLAIMED';
CREATE INDEX work_orders_start_by ON work_orders (start_by)
    WHERE start_by IS NOT NULL AND status IN ('PENDING', 'SCHEDULED');
CREATE INDEX work_orders_claimed_by ON work_orders (claimed_by) WHERE claimed_by IS NOT NULL;

-- Whom an order is for, as routes, for as long as the order is in the queue.
CREATE TABLE work_order_targets (
    work_order_id TEXT NOT NULL REFERENCES work_orders (id) ON DELETE CASCADE,
    route         TEXT NOT NULL,
    PRIMARY KEY (work_order_id, route)
) STRICT;

-- The same routes exactly while the order is PENDING: what a claim reads, in the order in which it takes.
CREATE TABLE work_order_routes (
    route         TEXT NOT NULL,
    work_type     TEXT NOT NULL,
    priority      INTEGER NOT NULL,
    work_order_id TEXT NOT NULL REFERENCES work_orders (id) ON DELETE CASCADE
) STRICT;

CREATE UNIQUE INDEX work_order_routes_claim ON work_order_routes (route, work_type, priority DESC, work_order_id);
-- For a claim of any work type.
CREATE INDEX work_order_routes_any_type ON work_order_routes (route, priority DESC, work_order_id);
CREATE INDEX work_order_routes_order ON work_order_routes (work_order_id);

-- Orders that ended. An entry never changes.
CREATE TABLE work_order_log (
    id                    TEXT NOT NULL PRIMARY KEY,
    created_at            INTEGER NOT NULL,
    completed_at          INTEGER NOT NULL,
    work_type             TEXT NOT NULL CHECK (length(work_type) BETWEEN 1 AND 50),
    yaml_content          TEXT NOT NULL,
    priority              INTEGER NOT NULL,
    delivery              TEXT NOT NULL CHECK (delivery IN ('at_least_once', 'at_most_once')),
    claim_timeout_seconds INTEGER NOT NULL,
    max_retries           INTEGER NOT NULL,
    retries_attempted     INTEGER NOT NULL,
    lost_count            INTEGER NOT NULL,
    backoff_seconds       INTEGER NOT NULL,
    last_error            TEXT,
    last_error_at         INTEGER,
    attempt               INTEGER NOT NULL CHECK (attempt >= 0),
    -- Who held the order when it ended; absent when nobody did.
    claimed_by            TEXT,
    claimed_at            INTEGER,
    ending                TEXT NOT NULL CHECK (ending IN ('succeeded', 'failed', 'cancelled', 'lost', 'expired')),
    success               INTEGER NOT NULL CHECK (success IN (0, 1)),
    result_message        TEXT,
    class                 TEXT CHECK (class IN ('infrastructure', 'work', 'refused', 'deadline', 'cancelled')),
    exit_code             INTEGER,
    -- JSON, as the agent sent it.
    result                TEXT,
    cancel_requested_at   INTEGER,
    cancel_reason         TEXT,
    deadline_seconds      INTEGER,
    start_by              INTEGER,
    run_at                INTEGER,
    retry_on              TEXT NOT NULL,
    metadata              TEXT NOT NULL,
    targeting             TEXT NOT NULL,
    retry_of              TEXT,
    submitted_by          TEXT NOT NULL,
    traceparent           TEXT,
    CHECK (retries_attempted + lost_count <= max_retries),
    CHECK (success = (ending = 'succeeded')),
    CHECK ((claimed_by IS NULL) = (claimed_at IS NULL)),
    -- What succeeded, failed or was lost had been claimed; what expired had never been started.
    CHECK (ending NOT IN ('succeeded', 'failed', 'lost') OR (claimed_by IS NOT NULL AND attempt > 0)),
    CHECK (ending <> 'expired' OR claimed_by IS NULL)
) STRICT;

-- Lists are newest ending first, with the id to tell equal times apart.
CREATE INDEX work_order_log_completed ON work_order_log (completed_at DESC, id DESC);
CREATE INDEX work_order_log_agent ON work_order_log (claimed_by, completed_at DESC, id DESC);
CREATE INDEX work_order_log_work_type ON work_order_log (work_type, completed_at DESC, id DESC);
CREATE INDEX work_order_log_success ON work_order_log (success, completed_at DESC, id DESC);

-- One row per attempt that ended. No reference to the order, which moves from the queue to the log.
CREATE TABLE work_order_attempts (
    work_order_id TEXT NOT NULL,
    attempt       INTEGER NOT NULL CHECK (attempt > 0),
    agent_id      TEXT NOT NULL,
    instance_id   TEXT,
    started_at    INTEGER NOT NULL,
    ended_at      INTEGER NOT NULL,
    ending        TEXT NOT NULL CHECK (ending IN ('succeeded', 'failed', 'cancelled', 'lost', 'released')),
    message       TEXT,
    class         TEXT CHECK (class IN ('infrastructure', 'work', 'refused', 'deadline', 'cancelled')),
    exit_code     INTEGER,
    result        TEXT,
    -- A fingerprint of the report that ended the attempt: the same report sent again gets the same answer.
    outcome_hash  TEXT,
    PRIMARY KEY (work_order_id, attempt)
) STRICT;

-- What the work printed. A chunk begins at an offset of its attempt's output, which makes sending it twice harmless.
CREATE TABLE output_chunks (
    work_order_id TEXT NOT NULL,
    attempt       INTEGER NOT NULL CHECK (attempt > 0),
    start_offset  INTEGER NOT NULL CHECK (start_offset >= 0),
    byte_count    INTEGER NOT NULL CHECK (byte_count >= 0),
    stream        TEXT NOT NULL CHECK (length(stream) BETWEEN 1 AND 16),
    at            INTEGER NOT NULL,
    data          BLOB NOT NULL,
    PRIMARY KEY (work_order_id, attempt, start_offset)
) STRICT;

-- Answers to requests that carried an Idempotency-Key. The primary key decides which of two equal requests is the first.
CREATE TABLE idempotency_keys (
    principal  TEXT NOT NULL,
    key        TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    body_hash  TEXT NOT NULL,
    -- The answer's HTTP status and body, stored in the transaction that made it.
    status     INTEGER,
    response   TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (principal, key),
    CHECK ((status IS NULL) = (response IS NULL))
) STRICT;

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- Who did what, written in the transaction of the act.
CREATE TABLE audit (
    id         TEXT NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    details    TEXT NOT NULL,
    request_id TEXT
) STRICT;

CREATE INDEX audit_subject ON audit (subject, id);
CREATE INDEX audit_at ON audit (at);
