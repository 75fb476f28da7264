-- Who wants to be told of which events, and what was sent to them.
--
-- The events themselves are the outbox: they are written in the transaction of what they tell, and each webhook has a place in
-- them up to which its deliveries were made.
CREATE TABLE webhooks (
    id              UUID NOT NULL PRIMARY KEY,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    name            TEXT COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    url             TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    -- JSON arrays: patterns of event types, agents' ids, labels. An empty one of agents or labels wants all.
    event_types     TEXT NOT NULL,
    agent_ids       TEXT NOT NULL,
    labels          TEXT NOT NULL,
    -- Encrypted by the key of this id, which is in the configuration and never here.
    key_id          TEXT COLLATE "C" NOT NULL,
    secret          TEXT NOT NULL,
    -- The secret before, with which deliveries are signed as well until then.
    previous_secret TEXT,
    previous_until  BIGINT,
    -- What is sent as the header Authorization.
    auth_header     TEXT,
    disabled_at     BIGINT,
    disabled_reason TEXT,
    -- When the first of the failures was after which nothing was delivered.
    failing_since   BIGINT,
    -- Up to which event the deliveries were made.
    position        BIGINT NOT NULL CHECK (position >= 0),
    CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
    CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
);

CREATE UNIQUE INDEX webhooks_name ON webhooks (name);

CREATE TABLE webhook_deliveries (
    -- Also the webhook-id that the receiver sees: the same at each attempt, and when it is replayed.
    id              UUID NOT NULL PRIMARY KEY,
    webhook_id      UUID NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    created_at      BIGINT NOT NULL,
    -- The event; absent for a test.
    position        BIGINT,
    event_type      TEXT COLLATE "C" NOT NULL,
    payload         TEXT NOT NULL,
    status          TEXT COLLATE "C" NOT NULL CHECK (status IN ('PENDING', 'DELIVERED', 'FAILED')),
    attempts        BIGINT NOT NULL CHECK (attempts >= 0),
    -- When it is sent, or taken for not sent if it is being sent now; absent while the webhook is disabled.
    next_attempt_at BIGINT,
    last_attempt_at BIGINT,
    last_status     BIGINT,
    last_error      TEXT,
    ended_at        BIGINT,
    CHECK (next_attempt_at IS NULL OR status = 'PENDING'),
    CHECK ((ended_at IS NULL) = (status = 'PENDING'))
);

-- One delivery of one event to one webhook, whoever makes it.
CREATE UNIQUE INDEX webhook_deliveries_event ON webhook_deliveries (webhook_id, position) WHERE position IS NOT NULL;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
