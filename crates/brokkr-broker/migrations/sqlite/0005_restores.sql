-- When the database was restored from a backup. Every attempt that is made after it is numbered above its epoch, and so above all that
-- were made before it, also those that the backup does not know.
CREATE TABLE restores (
    -- The milliseconds of the time.
    epoch       INTEGER NOT NULL CHECK (epoch > 0),
    restored_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX restores_epoch ON restores (epoch);
