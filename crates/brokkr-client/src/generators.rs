//! Generators: the tenants and CI systems that submit work.

use brokkr_api::{
    CreateGenerator, Generator, GeneratorCreated, ListGenerators, RotatedGeneratorPak, UpdateGenerator, paths,
};
use uuid::Uuid;

use crate::{Client, ClientError, Page};

impl Client {
    /// Creates a generator.
    ///
    /// # Errors
    /// `unique_violation`.
    pub async fn create_generator(
        &self,
        generator: &CreateGenerator,
    ) -> Result<GeneratorCreated, ClientError> {
        self.post(paths::GENERATORS, generator).await
    }

    /// All generators.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn generators(&self, query: &ListGenerators) -> Result<Page<Generator>, ClientError> {
        self.page(paths::GENERATORS, query).await
    }

    /// One generator.
    ///
    /// # Errors
    /// `generator_not_found`.
    pub async fn generator(&self, id: Uuid) -> Result<Generator, ClientError> {
        self.get(&paths::with_id(paths::GENERATOR, id)).await
    }

    /// Changes a generator.
    ///
    /// # Errors
    /// `generator_not_found`, `unique_violation`.
    pub async fn update_generator(
        &self,
        id: Uuid,
        update: &UpdateGenerator,
    ) -> Result<Generator, ClientError> {
        self.put(&paths::with_id(paths::GENERATOR, id), update).await
    }

    /// Deletes a generator. Its PAK is dead at once.
    ///
    /// # Errors
    /// `generator_not_found`.
    pub async fn delete_generator(&self, id: Uuid) -> Result<(), ClientError> {
        self.delete(&paths::with_id(paths::GENERATOR, id)).await
    }

    /// Replaces the PAK of a generator.
    ///
    /// # Errors
    /// `generator_not_found`.
    pub async fn rotate_generator_pak(&self, id: Uuid) -> Result<RotatedGeneratorPak, ClientError> {
        self.post_empty(&paths::with_id(paths::GENERATOR_ROTATE_PAK, id))
            .await
    }
}
