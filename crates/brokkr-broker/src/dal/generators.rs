//! Generators: tenants and CI identities that submit work.

use brokkr_core::ids::GeneratorId;
use brokkr_core::names::GeneratorName;
use brokkr_core::time::Timestamp;
use uuid::Uuid;

use super::{DalError, Row, Sql, Tx, params, statements};

statements! {
    static CREATE = Sql::shared(
        "generators.create",
        "INSERT INTO generators (id, created_at, updated_at, name, description)
         VALUES ($1, $2, $2, $3, $4)
         RETURNING *",
    );

    static GET = Sql::shared(
        "generators.get",
        "SELECT * FROM generators WHERE id = $1 AND deleted_at IS NULL",
    );

    static LIST = Sql::shared(
        "generators.list",
        "SELECT * FROM generators WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2",
    );

    static UPDATE = Sql::shared(
        "generators.update",
        "UPDATE generators
            SET updated_at = $2,
                name = COALESCE(CAST($3 AS TEXT), name),
                description = COALESCE(CAST($4 AS TEXT), description)
          WHERE id = $1
            AND deleted_at IS NULL
         RETURNING *",
    );

    static SOFT_DELETE = Sql::shared(
        "generators.soft_delete",
        "UPDATE generators
            SET deleted_at = $2, updated_at = $2
          WHERE id = $1
            AND deleted_at IS NULL",
    );
}

/// A generator as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    /// Its id.
    pub id: GeneratorId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Unique among the generators that are not deleted.
    pub name: GeneratorName,
    /// For people.
    pub description: Option<String>,
}

impl TryFrom<&Row> for Generator {
    type Error = DalError;

    fn try_from(row: &Row) -> Result<Self, DalError> {
        Ok(Self {
            id: row.get("id")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            deleted_at: row.get("deleted_at")?,
            name: row.get("name")?,
            description: row.get("description")?,
        })
    }
}

/// What to change about a generator. What is absent stays.
#[derive(Debug, Clone, Default)]
pub struct GeneratorChanges {
    /// Its name.
    pub name: Option<GeneratorName>,
    /// For people.
    pub description: Option<String>,
}

/// Creates a generator.
///
/// # Errors
/// A unique [`DalError::Constraint`] when another generator that is not deleted has the name.
pub async fn create(
    tx: &mut Tx,
    id: GeneratorId,
    name: &GeneratorName,
    description: Option<&str>,
    now: Timestamp,
) -> Result<Generator, DalError> {
    let row = tx.fetch_one(&CREATE, params![id, now, name, description]).await?;
    Generator::try_from(&row)
}

/// The generator, unless it is deleted.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn get(tx: &mut Tx, id: GeneratorId) -> Result<Option<Generator>, DalError> {
    let row = tx.fetch_optional(&GET, params![id]).await?;
    row.as_ref().map(Generator::try_from).transpose()
}

/// At most `limit` generators, oldest first, after the generator `after`.
///
/// # Errors
/// [`DalError`] when the database cannot answer.
pub async fn list(tx: &mut Tx, after: Option<GeneratorId>, limit: u32) -> Result<Vec<Generator>, DalError> {
    // Every id is greater than the nil one.
    let after = after.map_or(Uuid::nil(), GeneratorId::as_uuid);
    let rows = tx.fetch_all(&LIST, params![after, limit]).await?;
    rows.iter().map(Generator::try_from).collect()
}

/// Changes a generator and answers it; `None` when there is no such generator.
///
/// # Errors
/// A unique [`DalError::Constraint`] when another generator has the name.
pub async fn update(
    tx: &mut Tx,
    id: GeneratorId,
    changes: &GeneratorChanges,
    now: Timestamp,
) -> Result<Option<Generator>, DalError> {
    let values = params![id, now, changes.name.as_ref(), changes.description.as_ref()];
    let row = tx.fetch_optional(&UPDATE, values).await?;
    row.as_ref().map(Generator::try_from).transpose()
}

/// Deletes a generator and answers whether it was there. Its keys are for another module.
///
/// # Errors
/// [`DalError`] when the database cannot do so.
pub async fn soft_delete(tx: &mut Tx, id: GeneratorId, now: Timestamp) -> Result<bool, DalError> {
    Ok(tx.execute(&SOFT_DELETE, params![id, now]).await? == 1)
}
