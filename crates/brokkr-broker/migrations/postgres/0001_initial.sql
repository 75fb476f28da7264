-- The schema of Brokkr on PostgreSQL. Its twin for SQLite has the same tables, columns, nullability and indexes.
--
-- Times are microseconds since 1970-01-01T00:00:00Z. JSON is text that only the broker reads.
-- The CHECKs repeat the invariants of the pure model, so that no statement can break one unseen.
-- Words that are compared and sorted are COLLATE "C": the same order as on SQLite, and as fast as bytes.

CREATE TABLE agents (
    id                 UUID NOT NULL PRIMARY KEY,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    -- Agents are never removed: the log and the attempts tell who did what.
    deleted_at         BIGINT,
    name               TEXT COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    cluster_name       TEXT COLLATE "C" NOT NULL CHECK (length(cluster_name) BETWEEN 1 AND 255),
    status             TEXT COLLATE "C" NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE')),
    last_heartbeat     BIGINT,
    k8s_reachable      BOOLEAN,
    k8s_api_latency_ms BIGINT CHECK (k8s_api_latency_ms >= 0),
    k8s_reported_at    BIGINT,
    -- The process that serves the agent now.
    instance_id        TEXT COLLATE "C",
    instance_since     BIGINT,
    -- What that process says it is doing, for people.
    state              TEXT COLLATE "C",
    CHECK ((instance_id IS NULL) = (instance_since IS NULL))
);

-- A name is free again once its agent is deleted.
CREATE UNIQUE INDEX agents_name ON agents (name, cluster_name) WHERE deleted_at IS NULL;

-- Every process that ever served an agent. One that is here and is not the agent's current one has been superseded, which
-- is told by the order in which the broker saw them and not by any agent's clock.
CREATE TABLE agent_instances (
    agent_id    UUID NOT NULL REFERENCES agents (id),
    instance_id TEXT COLLATE "C" NOT NULL CHECK (length(instance_id) BETWEEN 1 AND 64),
    seen_at     BIGINT NOT NULL,
    PRIMARY KEY (agent_id, instance_id)
);

CREATE INDEX agent_instances_seen ON agent_instances (seen_at);

CREATE TABLE agent_labels (
    id       UUID NOT NULL PRIMARY KEY,
    agent_id UUID NOT NULL REFERENCES agents (id),
    label    TEXT COLLATE "C" NOT NULL CHECK (length(label) BETWEEN 1 AND 64)
);

CREATE UNIQUE INDEX agent_labels_label ON agent_labels (agent_id, label);

CREATE TABLE agent_annotations (
    id       UUID NOT NULL PRIMARY KEY,
    agent_id UUID NOT NULL REFERENCES agents (id),
    key      TEXT COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 64),
    value    TEXT COLLATE "C" NOT NULL CHECK (length(value) BETWEEN 1 AND 64)
);

-- One value per key.
CREATE UNIQUE INDEX agent_annotations_key ON agent_annotations (agent_id, key);

-- The routes on which an agent listens, written as the core writes them.
CREATE VIEW agent_routes (agent_id, route) AS
SELECT id, 'agent:' || CAST(id AS TEXT) FROM agents
UNION ALL
SELECT agent_id, 'label:' || label FROM agent_labels
UNION ALL
SELECT agent_id, 'annotation:' || replace(replace(key, '%', '%25'), '=', '%3D') || '=' || value FROM agent_annotations;

CREATE TABLE generators (
    id          UUID NOT NULL PRIMARY KEY,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    deleted_at  BIGINT,
    name        TEXT COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    description TEXT
);

CREATE UNIQUE INDEX generators_name ON generators (name) WHERE deleted_at IS NULL;

CREATE TABLE agent_generators (
    agent_id     UUID NOT NULL REFERENCES agents (id),
    generator_id UUID NOT NULL REFERENCES generators (id),
    PRIMARY KEY (agent_id, generator_id)
);

CREATE INDEX agent_generators_generator ON agent_generators (generator_id, agent_id);

-- All keys. Only the hash of a key's secret part is kept.
CREATE TABLE credentials (
    short        TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(short) BETWEEN 6 AND 16),
    hash         TEXT COLLATE "C" NOT NULL CHECK (length(hash) = 64),
    role         TEXT COLLATE "C" NOT NULL CHECK (role IN ('admin', 'viewer', 'agent', 'generator')),
    agent_id     UUID REFERENCES agents (id),
    generator_id UUID REFERENCES generators (id),
    name         TEXT COLLATE "C" CHECK (length(name) BETWEEN 1 AND 255),
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    CHECK ((role = 'agent') = (agent_id IS NOT NULL)),
    CHECK ((role = 'generator') = (generator_id IS NOT NULL)),
    -- An agent's or a generator's key is known by whose it is.
    CHECK ((role IN ('admin', 'viewer')) = (name IS NOT NULL))
);

CREATE INDEX credentials_agent ON credentials (agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX credentials_generator ON credentials (generator_id) WHERE generator_id IS NOT NULL;

-- The queue. It stays small: an order that ended moves to work_order_log in the same transaction.
CREATE TABLE work_orders (
    id                    UUID NOT NULL PRIMARY KEY,
    created_at            BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL,
    work_type             TEXT COLLATE "C" NOT NULL CHECK (length(work_type) BETWEEN 1 AND 50),
    yaml_content          TEXT NOT NULL,
    status                TEXT COLLATE "C" NOT NULL CHECK (status IN ('PENDING', 'CLAIMED', 'RETRY_PENDING', 'SCHEDULED')),
    priority              BIGINT NOT NULL CHECK (priority BETWEEN -100 AND 100),
    delivery              TEXT COLLATE "C" NOT NULL CHECK (delivery IN ('at_least_once', 'at_most_once')),
    claim_timeout_seconds BIGINT NOT NULL CHECK (claim_timeout_seconds > 0),
    max_retries           BIGINT NOT NULL CHECK (max_retries >= 0),
    retry_count           BIGINT NOT NULL CHECK (retry_count >= 0),
    lost_count            BIGINT NOT NULL CHECK (lost_count >= 0),
    backoff_seconds       BIGINT NOT NULL CHECK (backoff_seconds >= 0),
    next_retry_after      BIGINT,
    last_error            TEXT,
    last_error_at         BIGINT,
    -- The number of the latest claim, 0 before the first. It only grows.
    attempt               BIGINT NOT NULL CHECK (attempt >= 0),
    -- Not a reference: every claim would lock its agent's row, which is never removed anyway.
    claimed_by            UUID,
    claimed_at            BIGINT,
    -- Absent when the claimer did not say which process it is.
    claim_instance_id     TEXT COLLATE "C",
    lease_expires_at      BIGINT,
    cancel_requested_at   BIGINT,
    cancel_reason         TEXT,
    deadline_seconds      BIGINT CHECK (deadline_seconds > 0),
    start_by              BIGINT,
    run_at                BIGINT,
    -- JSON: an array of failure classes, a map of strings, and {agent_ids, labels, annotations}.
    retry_on              TEXT NOT NULL,
    metadata              TEXT NOT NULL,
    targeting             TEXT NOT NULL,
    -- Not a reference: the order that this one repeats is in the log, which is pruned.
    retry_of              UUID,
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
);

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
    work_order_id UUID NOT NULL REFERENCES work_orders (id) ON DELETE CASCADE,
    route         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (work_order_id, route)
);

-- The same routes exactly while the order is PENDING: what a claim reads, in the order in which it takes.
CREATE TABLE work_order_routes (
    route         TEXT COLLATE "C" NOT NULL,
    work_type     TEXT COLLATE "C" NOT NULL,
    priority      BIGINT NOT NULL,
    work_order_id UUID NOT NULL REFERENCES work_orders (id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX work_order_routes_claim ON work_order_routes (route, work_type, priority DESC, work_order_id);
-- For a claim of any work type.
CREATE INDEX work_order_routes_any_type ON work_order_routes (route, priority DESC, work_order_id);
CREATE INDEX work_order_routes_order ON work_order_routes (work_order_id);

-- Orders that ended. An entry never changes.
CREATE TABLE work_order_log (
    id                    UUID NOT NULL PRIMARY KEY,
    created_at            BIGINT NOT NULL,
    completed_at          BIGINT NOT NULL,
    work_type             TEXT COLLATE "C" NOT NULL CHECK (length(work_type) BETWEEN 1 AND 50),
    yaml_content          TEXT NOT NULL,
    priority              BIGINT NOT NULL,
    delivery              TEXT COLLATE "C" NOT NULL CHECK (delivery IN ('at_least_once', 'at_most_once')),
    claim_timeout_seconds BIGINT NOT NULL,
    max_retries           BIGINT NOT NULL,
    retries_attempted     BIGINT NOT NULL,
    lost_count            BIGINT NOT NULL,
    backoff_seconds       BIGINT NOT NULL,
    last_error            TEXT,
    last_error_at         BIGINT,
    attempt               BIGINT NOT NULL CHECK (attempt >= 0),
    -- Who held the order when it ended; absent when nobody did.
    claimed_by            UUID,
    claimed_at            BIGINT,
    ending                TEXT COLLATE "C" NOT NULL CHECK (ending IN ('succeeded', 'failed', 'cancelled', 'lost', 'expired')),
    success               BOOLEAN NOT NULL,
    result_message        TEXT,
    class                 TEXT COLLATE "C" CHECK (class IN ('infrastructure', 'work', 'refused', 'deadline', 'cancelled')),
    exit_code             BIGINT,
    -- JSON, as the agent sent it.
    result                TEXT,
    cancel_requested_at   BIGINT,
    cancel_reason         TEXT,
    deadline_seconds      BIGINT,
    start_by              BIGINT,
    run_at                BIGINT,
    retry_on              TEXT NOT NULL,
    metadata              TEXT NOT NULL,
    targeting             TEXT NOT NULL,
    retry_of              UUID,
    submitted_by          TEXT NOT NULL,
    traceparent           TEXT,
    CHECK (retries_attempted + lost_count <= max_retries),
    CHECK (success = (ending = 'succeeded')),
    CHECK ((claimed_by IS NULL) = (claimed_at IS NULL)),
    -- What succeeded, failed or was lost had been claimed; what expired had never been started.
    CHECK (ending NOT IN ('succeeded', 'failed', 'lost') OR (claimed_by IS NOT NULL AND attempt > 0)),
    CHECK (ending <> 'expired' OR claimed_by IS NULL)
);

-- Lists are newest ending first, with the id to tell equal times apart.
CREATE INDEX work_order_log_completed ON work_order_log (completed_at DESC, id DESC);
CREATE INDEX work_order_log_agent ON work_order_log (claimed_by, completed_at DESC, id DESC);
CREATE INDEX work_order_log_work_type ON work_order_log (work_type, completed_at DESC, id DESC);
CREATE INDEX work_order_log_success ON work_order_log (success, completed_at DESC, id DESC);

-- One row per attempt that ended. No reference to the order, which moves from the queue to the log.
CREATE TABLE work_order_attempts (
    work_order_id UUID NOT NULL,
    attempt       BIGINT NOT NULL CHECK (attempt > 0),
    agent_id      UUID NOT NULL,
    instance_id   TEXT COLLATE "C",
    started_at    BIGINT NOT NULL,
    ended_at      BIGINT NOT NULL,
    ending        TEXT COLLATE "C" NOT NULL CHECK (ending IN ('succeeded', 'failed', 'cancelled', 'lost', 'released')),
    message       TEXT,
    class         TEXT COLLATE "C" CHECK (class IN ('infrastructure', 'work', 'refused', 'deadline', 'cancelled')),
    exit_code     BIGINT,
    result        TEXT,
    -- A fingerprint of the report that ended the attempt: the same report sent again gets the same answer.
    outcome_hash  TEXT COLLATE "C",
    PRIMARY KEY (work_order_id, attempt)
);

-- What the work printed. A chunk begins at an offset of its attempt's output, which makes sending it twice harmless.
CREATE TABLE output_chunks (
    work_order_id UUID NOT NULL,
    attempt       BIGINT NOT NULL CHECK (attempt > 0),
    start_offset  BIGINT NOT NULL CHECK (start_offset >= 0),
    byte_count    BIGINT NOT NULL CHECK (byte_count >= 0),
    stream        TEXT COLLATE "C" NOT NULL CHECK (length(stream) BETWEEN 1 AND 16),
    at            BIGINT NOT NULL,
    data          BYTEA NOT NULL,
    PRIMARY KEY (work_order_id, attempt, start_offset)
);

-- Answers to requests that carried an Idempotency-Key. The primary key decides which of two equal requests is the first.
CREATE TABLE idempotency_keys (
    principal  TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    body_hash  TEXT COLLATE "C" NOT NULL,
    -- The answer's HTTP status and body, stored in the transaction that made it.
    status     BIGINT,
    response   TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (principal, key),
    CHECK ((status IS NULL) = (response IS NULL))
);

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- Who did what, written in the transaction of the act.
CREATE TABLE audit (
    id         UUID NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor      TEXT COLLATE "C" NOT NULL,
    action     TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    details    TEXT NOT NULL,
    request_id TEXT COLLATE "C"
);

CREATE INDEX audit_subject ON audit (subject, id);
CREATE INDEX audit_at ON audit (at);
