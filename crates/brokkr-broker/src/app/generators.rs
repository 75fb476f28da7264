//! Generators: tenants and CI identities that submit work.

use brokkr_core::ids::GeneratorId;
use brokkr_core::names::GeneratorName;
use brokkr_core::pak::Pak;
use serde_json::json;

use super::App;
use super::caller::{Caller, Role};
use crate::dal::credentials::{self, Credential};
use crate::dal::{ConstraintKind, DalError, generators};

pub use crate::dal::generators::{Generator, GeneratorChanges};

/// A generator that could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// It does not exist, or is deleted.
    #[error("there is no such generator")]
    Absent,
    /// Another generator has the name.
    #[error("a generator with this name exists")]
    NameTaken,
    /// The database did not do its part.
    #[error("could not read or change the generator")]
    Storage(#[from] DalError),
}

impl App {
    /// Creates a generator and makes its first key.
    ///
    /// # Errors
    /// [`GeneratorError::NameTaken`]; nothing is left behind.
    pub async fn create_generator(
        &self,
        caller: &Caller,
        name: &GeneratorName,
        description: Option<&str>,
    ) -> Result<(Generator, Pak), GeneratorError> {
        let now = self.now();
        let id = GeneratorId::new(self.next_id(now));
        let mut tx = self.db.begin().await?;
        let generator = generators::create(&mut tx, id, name, description, now)
            .await
            .map_err(name_taken)?;
        let pak = self.new_pak();
        credentials::insert(&mut tx, &Credential::of(&pak, Role::Generator(id), now)).await?;
        let details = json!({"name": name.as_str(), "pak": pak.short().as_str()});
        self.record(&mut tx, caller, now, "generator.create", id, details)
            .await?;
        tx.commit().await?;
        Ok((generator, pak))
    }

    /// The generator.
    ///
    /// # Errors
    /// [`GeneratorError::Absent`].
    pub async fn generator(&self, id: GeneratorId) -> Result<Generator, GeneratorError> {
        let mut tx = self.db.read().await?;
        generators::get(&mut tx, id).await?.ok_or(GeneratorError::Absent)
    }

    /// At most `limit` generators, oldest first.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn list_generators(
        &self,
        after: Option<GeneratorId>,
        limit: u32,
    ) -> Result<Vec<Generator>, DalError> {
        let mut tx = self.db.read().await?;
        generators::list(&mut tx, after, limit).await
    }

    /// Changes a generator's name or description.
    ///
    /// # Errors
    /// [`GeneratorError::Absent`] and [`GeneratorError::NameTaken`].
    pub async fn update_generator(
        &self,
        caller: &Caller,
        id: GeneratorId,
        changes: &GeneratorChanges,
    ) -> Result<Generator, GeneratorError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let updated = generators::update(&mut tx, id, changes, now)
            .await
            .map_err(name_taken)?;
        let generator = updated.ok_or(GeneratorError::Absent)?;
        let details = json!({"name": changes.name.as_ref().map(GeneratorName::as_str)});
        self.record(&mut tx, caller, now, "generator.update", id, details)
            .await?;
        tx.commit().await?;
        Ok(generator)
    }

    /// Deletes a generator: its keys are dead when this returns.
    ///
    /// # Errors
    /// [`GeneratorError::Absent`].
    pub async fn delete_generator(&self, caller: &Caller, id: GeneratorId) -> Result<(), GeneratorError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        if !generators::soft_delete(&mut tx, id, now).await? {
            return Err(GeneratorError::Absent);
        }
        let revoked = credentials::revoke_of_generator(&mut tx, id, now).await?;
        self.record(&mut tx, caller, now, "generator.delete", id, json!({}))
            .await?;
        self.commit_revoking(tx, &revoked).await?;
        Ok(())
    }

    /// Gives a generator a new key. All its others are dead when this returns.
    ///
    /// # Errors
    /// [`GeneratorError::Absent`].
    pub async fn rotate_generator_pak(
        &self,
        caller: &Caller,
        id: GeneratorId,
    ) -> Result<(Generator, Pak), GeneratorError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        // Changing the row first makes rotations and a deletion wait for one another, so that no key outlives its generator.
        let unchanged = GeneratorChanges::default();
        let generator = generators::update(&mut tx, id, &unchanged, now)
            .await?
            .ok_or(GeneratorError::Absent)?;
        let pak = self.new_pak();
        let revoked = credentials::rotate(&mut tx, &Credential::of(&pak, Role::Generator(id), now)).await?;
        let details = json!({"pak": pak.short().as_str()});
        self.record(&mut tx, caller, now, "generator.rotate_pak", id, details)
            .await?;
        self.commit_revoking(tx, &revoked).await?;
        Ok((generator, pak))
    }
}

fn name_taken(error: DalError) -> GeneratorError {
    match error.constraint() {
        Some(ConstraintKind::Unique) => GeneratorError::NameTaken,
        _ => GeneratorError::Storage(error),
    }
}
