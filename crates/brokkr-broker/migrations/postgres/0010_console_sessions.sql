-- People who signed in to the console. The token itself is only in their cookie.
CREATE TABLE console_sessions (
    hash       TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(hash) = 64),
    credential TEXT COLLATE "C" NOT NULL REFERENCES credentials (short) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL CHECK (expires_at > created_at)
);
CREATE INDEX console_sessions_by_expiry ON console_sessions (expires_at);
CREATE INDEX console_sessions_of_credential ON console_sessions (credential);
