//! Generators on the wire.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use brokkr_api::{
    CreateGenerator, GeneratorCreated, ListGenerators, Problem as ProblemBody, RotatedGeneratorPak,
    UpdateGenerator,
};
use brokkr_core::ids::GeneratorId;
use brokkr_core::names::{GeneratorName, NameError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Admin, AdminOrSelfGenerator, GeneratorReader, Json, LenientJson, Query, Reader};
use super::on_wire::OnWire as _;
use super::paging::{Page, PageRequest};
use super::problem::{Code, Problem, sentence};
use super::state::AppState;
use crate::app::App;
use crate::app::generators::{Generator, GeneratorChanges, GeneratorError};

const DESCRIPTION_CHARACTERS_MAX: usize = 4_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(rotate_pak))
}

impl From<GeneratorError> for Problem {
    fn from(error: GeneratorError) -> Self {
        let code = match &error {
            GeneratorError::Absent => Code::GeneratorNotFound,
            GeneratorError::NameTaken => Code::UniqueViolation,
            GeneratorError::Storage(error) => return Self::storage(error),
        };
        Self::new(code, sentence(&error))
    }
}

impl From<Generator> for brokkr_api::Generator {
    fn from(generator: Generator) -> Self {
        Self {
            id: generator.id.as_uuid(),
            created_at: generator.created_at.on_wire(),
            updated_at: generator.updated_at.on_wire(),
            deleted_at: generator.deleted_at.on_wire(),
            name: generator.name.into_string(),
            description: generator.description,
        }
    }
}

fn invalid(error: NameError) -> Problem {
    Problem::invalid_name(Code::InvalidGenerator, &error)
}

fn description(text: Option<String>) -> Result<Option<String>, Problem> {
    match &text {
        Some(text) if text.chars().count() > DESCRIPTION_CHARACTERS_MAX => Err(Problem::new(
            Code::InvalidGenerator,
            format!("description must have at most {DESCRIPTION_CHARACTERS_MAX} characters."),
        )),
        Some(text) if text.contains('\0') => Err(Problem::new(
            Code::InvalidGenerator,
            "description must not contain a NUL character.",
        )),
        _ => Ok(text),
    }
}

/// The name and the description that a request asks for, once they are found to be in order.
pub(crate) fn new_generator(body: CreateGenerator) -> Result<(GeneratorName, Option<String>), Problem> {
    let name = GeneratorName::parse(body.name).map_err(invalid)?;
    Ok((name, description(body.description)?))
}

/// What a request to change a generator asks for, once it is found to be in order.
pub(crate) fn generator_changes(body: UpdateGenerator) -> Result<GeneratorChanges, Problem> {
    Ok(GeneratorChanges {
        name: body.name.map(GeneratorName::parse).transpose().map_err(invalid)?,
        description: description(body.description)?,
    })
}

/// Creates a generator and its PAK, which is shown only now.
#[utoipa::path(post, path = brokkr_api::paths::GENERATORS, tag = "generators", operation_id = "create_generator",
    request_body = CreateGenerator,
    responses(
        (status = 201, body = GeneratorCreated),
        (status = 400, body = ProblemBody, description = "`invalid_generator`"),
        (status = 403, body = ProblemBody, description = "`admin_required`, `read_only`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: the name is taken"),
    ))]
async fn create(
    Admin(caller): Admin,
    State(app): State<App>,
    LenientJson(body): LenientJson<CreateGenerator>,
) -> Result<(StatusCode, Json<GeneratorCreated>), Problem> {
    let (name, description) = new_generator(body)?;
    let (generator, pak) = app
        .create_generator(&caller, &name, description.as_deref())
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(GeneratorCreated {
            generator: generator.into(),
            pak: pak.on_wire(),
        }),
    ))
}

/// Lists generators, oldest first.
#[utoipa::path(get, path = brokkr_api::paths::GENERATORS, tag = "generators", operation_id = "list_generators",
    params(ListGenerators),
    responses(
        (status = 200, body = Vec<brokkr_api::Generator>, headers(("Link" = String, description = "`rel=\"next\"`, when there is more"))),
        (status = 400, body = ProblemBody, description = "`invalid_limit`, `invalid_cursor`"),
        (status = 403, body = ProblemBody, description = "`admin_required`"),
    ))]
async fn list(
    _: Reader,
    State(app): State<App>,
    Query(query): Query<ListGenerators>,
    uri: Uri,
) -> Result<Page<brokkr_api::Generator>, Problem> {
    let page: PageRequest<GeneratorId> =
        PageRequest::new(query.limit, query.cursor.as_deref(), uri, &app.limits)?;
    let generators = app
        .list_generators(page.after, page.fetch())
        .await
        .map_err(|error| Problem::storage(&error))?;
    Ok(page.answer(generators, |generator| generator.id))
}

/// Shows a generator.
#[utoipa::path(get, path = brokkr_api::paths::GENERATOR, tag = "generators", operation_id = "get_generator",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = brokkr_api::Generator),
        (status = 403, body = ProblemBody, description = "`generator_pak_mismatch`"),
        (status = 404, body = ProblemBody, description = "`generator_not_found`"),
    ))]
async fn get(
    GeneratorReader(generator): GeneratorReader,
    State(app): State<App>,
) -> Result<Json<brokkr_api::Generator>, Problem> {
    Ok(Json(app.generator(generator).await?.into()))
}

/// Changes a generator's name or description. Its PAK stays what it is.
#[utoipa::path(put, path = brokkr_api::paths::GENERATOR, tag = "generators", operation_id = "update_generator",
    params(("id" = Uuid, Path)), request_body = UpdateGenerator,
    responses(
        (status = 200, body = brokkr_api::Generator),
        (status = 400, body = ProblemBody, description = "`invalid_generator`"),
        (status = 403, body = ProblemBody, description = "`generator_pak_mismatch`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`generator_not_found`"),
        (status = 409, body = ProblemBody, description = "`unique_violation`: the name is taken"),
    ))]
async fn update(
    who: AdminOrSelfGenerator,
    State(app): State<App>,
    LenientJson(body): LenientJson<UpdateGenerator>,
) -> Result<Json<brokkr_api::Generator>, Problem> {
    let changes = generator_changes(body)?;
    Ok(Json(
        app.update_generator(&who.caller, who.generator, &changes)
            .await?
            .into(),
    ))
}

/// Deletes a generator. Its PAKs are dead at once; its name is free again.
#[utoipa::path(delete, path = brokkr_api::paths::GENERATOR, tag = "generators", operation_id = "delete_generator",
    params(("id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = 403, body = ProblemBody, description = "`generator_pak_mismatch`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`generator_not_found`"),
    ))]
async fn delete(who: AdminOrSelfGenerator, State(app): State<App>) -> Result<StatusCode, Problem> {
    app.delete_generator(&who.caller, who.generator).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces a generator's PAK. The new one is shown only now, and every earlier one is dead at once.
#[utoipa::path(post, path = brokkr_api::paths::GENERATOR_ROTATE_PAK, tag = "generators", operation_id = "rotate_generator_pak",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = RotatedGeneratorPak),
        (status = 403, body = ProblemBody, description = "`generator_pak_mismatch`, `read_only`"),
        (status = 404, body = ProblemBody, description = "`generator_not_found`"),
    ))]
async fn rotate_pak(
    who: AdminOrSelfGenerator,
    State(app): State<App>,
) -> Result<Json<RotatedGeneratorPak>, Problem> {
    let (generator, pak) = app.rotate_generator_pak(&who.caller, who.generator).await?;
    Ok(Json(RotatedGeneratorPak {
        generator: generator.into(),
        pak: pak.on_wire(),
    }))
}
