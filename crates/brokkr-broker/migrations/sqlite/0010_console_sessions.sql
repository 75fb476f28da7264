-- People who signed in to the console. The token itself is only in their cookie.
CREATE TABLE console_sessions (
    hash       TEXT NOT NULL PRIMARY KEY CHECK (length(hash) = 64),
    credential TEXT NOT NULL REFERENCES credentials (short) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL CHECK (expires_at > created_at)
) STRICT;
CREATE INDEX console_sessions_by_expiry ON console_sessions (expires_at);
CREATE INDEX console_sessions_of_credential ON console_sessions (credential);
