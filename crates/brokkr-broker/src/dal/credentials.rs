//! Credentials: the keys of administrators, viewers, agents and generators. Only a hash of each is here.

use brokkr_core::ids::{AgentId, GeneratorId};
use brokkr_core::names::KeyName;
use brokkr_core::pak::{PakHash, ShortPart};
use brokkr_core::time::Timestamp;

use super::{DalError, Row, Sql, Tx, params, statements};

statements! {
    static INSERT = Sql::shared(
        "credentials.insert",
        "INSERT INTO credentials (short, hash, role, agent_id, generator_id, name, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    );

    static FIND_LIVE = Sql::shared(
        "credentials.find_live",
        "SELECT *
           FROM credentials
          WHERE short = $1
            AND revoked_at IS NULL
            AND (expires_at IS NULL OR expires_at > $2)",
    );

    /// The named keys, which are those of administrators and viewers.
    static LIST = Sql::shared(
        "credentials.list",
        "SELECT *
           FROM credentials
          WHERE name IS NOT NULL
            AND short > $1
            AND revoked_at IS NULL
            AND (expires_at IS NULL OR expires_at > $2)
          ORDER BY short
          LIMIT $3",
    );

    /// PostgreSQL needs a lock for a decision about rows that are not there. SQLite has one writer.
    static LOCK_ADMINS = Sql::per_dialect(
        "credentials.lock_admins",
        "SELECT pg_advisory_xact_lock(hashtext('brokkr.admins')) IS NULL AS locked",
        "SELECT 1 AS locked",
    );

    static ADMIN_EXISTS = Sql::shared(
        "credentials.admin_exists",
        "SELECT EXISTS (
                SELECT 1
                  FROM credentials
                 WHERE role = 'admin'
                   AND revoked_at IS NULL
                   AND (expires_at IS NULL OR expires_at > $1)) AS present",
    );

    static REVOKE_NAMED = Sql::shared(
        "credentials.revoke_named",
        "UPDATE credentials
            SET revoked_at = $2
          WHERE short = $1
            AND name IS NOT NULL
            AND revoked_at IS NULL",
    );

    static REVOKE_OF_AGENT = Sql::shared(
        "credentials.revoke_of_agent",
        "UPDATE credentials
            SET revoked_at = $2
          WHERE agent_id = $1
            AND revoked_at IS NULL
         RETURNING short",
    );

    static REVOKE_OF_GENERATOR = Sql::shared(
        "credentials.revoke_of_generator",
        "UPDATE credentials
            SET revoked_at = $2
          WHERE generator_id = $1
            AND revoked_at IS NULL
         RETURNING short",
    );

    static PRUNE = Sql::shared(
        "credentials.prune",
        "DELETE FROM credentials
          WHERE short IN (
                SELECT short
                  FROM credentials
                 WHERE revoked_at < $1
                    OR expires_at < $1
                 LIMIT $2)",
    );
}

/// What a key lets its bearer be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Does everything that is not an agent's or a generator's own business.
    Admin,
    /// Reads everything that an administrator reads, and changes nothing.
    Viewer,
    /// One agent.
    Agent(AgentId),
    /// One generator.
    Generator(GeneratorId),
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
            Self::Agent(_) => "agent",
            Self::Generator(_) => "generator",
        }
    }

    const fn agent(self) -> Option<AgentId> {
        match self {
            Self::Agent(id) => Some(id),
            _ => None,
        }
    }

    const fn generator(self) -> Option<GeneratorId> {
        match self {
            Self::Generator(id) => Some(id),
            _ => None,
        }
    }
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The part that finds it.
    pub short: ShortPart,
    /// What is kept of the secret part.
    pub hash: PakHash,
    /// What it lets its bearer be.
    pub role: Role,
    /// What people call it. Administrators' and viewers' keys have a name, the others have none.
    pub name: Option<KeyName>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is good for nothing.
    pub expires_at: Option<Timestamp>,
}

impl TryFrom<&Row> for Credential {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        let role = match row.get::<String>("role")?.as_str() {
            "admin" => Role::Admin,
            "viewer" => Role::Viewer,
            "agent" => Role::Agent(row.get("agent_id")?),
            "generator" => Role::Generator(row.get("generator_id")?),
            other => return Err(row.corrupt("role", format!("{other:?} is not a role"))),
        };
        Ok(Self {
            short: row.get("short")?,
            hash: row.get("hash")?,
            role,
            name: row.get("name")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
        })
    }
}

/// Keeps a new key.
///
/// # Errors
/// A unique [`DalError::Constraint`] when its short part is taken, for which a new one is to be made.
pub async fn insert(tx: &mut Tx, credential: &Credential) -> Result<(), DalError> {
    let values = params![
        &credential.short,
        &credential.hash,
        credential.role.as_str(),
        credential.role.agent(),
        credential.role.generator(),
        credential.name.as_ref(),
        credential.created_at,
        credential.expires_at
    ];
    tx.execute(&INSERT, values).await.map(drop)
}

/// The key with this short part, unless it is revoked or has expired.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn find_live(
    tx: &mut Tx,
    short: &ShortPart,
    now: Timestamp,
) -> Result<Option<Credential>, DalError> {
    let row = tx.fetch_optional(&FIND_LIVE, params![short, now]).await?;
    row.as_ref().map(Credential::try_from).transpose()
}

/// At most `limit` administrators' and viewers' keys that are good at `now`, by short part, after the one of `after`.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn list(
    tx: &mut Tx,
    after: Option<&ShortPart>,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<Credential>, DalError> {
    let after = after.map_or("", ShortPart::as_str);
    let rows = tx.fetch_all(&LIST, params![after, now, limit]).await?;
    rows.iter().map(Credential::try_from).collect()
}

/// Until the end of the transaction, no other one decides whether the broker has an administrator.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn lock_admins(tx: &mut Tx) -> Result<(), DalError> {
    tx.fetch_one(&LOCK_ADMINS, params![]).await.map(drop)
}

/// Whether anybody can administer the broker at `now`.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn admin_exists(tx: &mut Tx, now: Timestamp) -> Result<bool, DalError> {
    tx.fetch_one(&ADMIN_EXISTS, params![now]).await?.get("present")
}

/// Revokes an administrator's or a viewer's key and answers whether there was one to revoke.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn revoke_named(tx: &mut Tx, short: &ShortPart, now: Timestamp) -> Result<bool, DalError> {
    Ok(tx.execute(&REVOKE_NAMED, params![short, now]).await? == 1)
}

/// Revokes all keys of an agent and answers their short parts, so that caches can forget them.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn revoke_of_agent(
    tx: &mut Tx,
    agent: AgentId,
    now: Timestamp,
) -> Result<Vec<ShortPart>, DalError> {
    let rows = tx.fetch_all(&REVOKE_OF_AGENT, params![agent, now]).await?;
    rows.iter().map(|row| row.get("short")).collect()
}

/// Revokes all keys of a generator and answers their short parts, so that caches can forget them.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn revoke_of_generator(
    tx: &mut Tx,
    generator: GeneratorId,
    now: Timestamp,
) -> Result<Vec<ShortPart>, DalError> {
    let rows = tx
        .fetch_all(&REVOKE_OF_GENERATOR, params![generator, now])
        .await?;
    rows.iter().map(|row| row.get("short")).collect()
}

/// Puts a new key in the place of all that its agent or generator has, and answers the short parts of those. An
/// administrator's or viewer's key stands in nobody's place.
///
/// # Errors
/// As [`insert`].
pub async fn rotate(tx: &mut Tx, credential: &Credential) -> Result<Vec<ShortPart>, DalError> {
    let now = credential.created_at;
    let revoked = match credential.role {
        Role::Agent(id) => revoke_of_agent(tx, id, now).await?,
        Role::Generator(id) => revoke_of_generator(tx, id, now).await?,
        Role::Admin | Role::Viewer => Vec::new(),
    };
    insert(tx, credential).await?;
    Ok(revoked)
}

/// Forgets at most `limit` keys that were revoked or had expired before `before`, and answers how many.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, DalError> {
    tx.execute(&PRUNE, params![before, limit]).await
}
