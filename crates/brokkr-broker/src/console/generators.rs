//! Generators: tenants and CI identities that submit work, and their keys.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_api::{CreateGenerator, UpdateGenerator};
use brokkr_core::ids::GeneratorId;
use brokkr_core::time::Timestamp;
use serde::Deserialize;

use super::listed::{After, FETCHED, Listed};
use super::page::{Shell, Trouble, page};
use super::secret::Secret;
use super::session::{ConsoleAdmin, ConsoleReader};
use super::when::When;
use crate::api::{Problem, generator_changes, new_generator};
use crate::app::App;
use crate::app::generators::{Generator, GeneratorError};

struct GeneratorShown {
    id: String,
    name: String,
    description: String,
    made: When,
    changed: When,
}

impl GeneratorShown {
    fn new(generator: Generator, now: Timestamp) -> GeneratorShown {
        GeneratorShown {
            id: generator.id.to_string(),
            name: generator.name.into_string(),
            description: generator.description.unwrap_or_default(),
            made: When::at(generator.created_at, now),
            changed: When::at(generator.updated_at, now),
        }
    }
}

#[derive(Template)]
#[template(path = "generators.html")]
struct GeneratorsPage {
    shell: Shell,
    generators: Listed<GeneratorShown>,
}

#[derive(Template)]
#[template(path = "generator.html")]
struct GeneratorPage {
    shell: Shell,
    generator: GeneratorShown,
}

impl From<GeneratorError> for Trouble {
    fn from(error: GeneratorError) -> Trouble {
        Problem::from(error).into()
    }
}

fn generator_id(text: &str) -> Result<GeneratorId, Trouble> {
    text.parse()
        .map_err(|_| Trouble::absent("There is no such generator."))
}

pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<After>,
) -> Result<Response, Trouble> {
    let fetched = app.list_generators(asked.after.parse().ok(), FETCHED).await?;
    let now = app.now();
    page(&GeneratorsPage {
        shell: Shell::new(&session, "generators"),
        generators: Listed::new(fetched, |last| format!("/generators?after={}", last.id))
            .map(|generator| GeneratorShown::new(generator, now)),
    })
}

pub(super) async fn show(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Trouble> {
    let generator = app.generator(generator_id(&id)?).await?;
    page(&GeneratorPage {
        shell: Shell::new(&session, "generators"),
        generator: GeneratorShown::new(generator, app.now()),
    })
}

#[derive(Deserialize)]
pub(super) struct NewForm {
    name: String,
    #[serde(default)]
    description: String,
}

/// Makes a generator, whose key is shown once.
pub(super) async fn create(
    State(app): State<App>,
    ConsoleAdmin { session, form }: ConsoleAdmin<NewForm>,
) -> Result<Response, Trouble> {
    let description = form.description.trim();
    let (name, description) = new_generator(CreateGenerator {
        name: form.name.trim().to_owned(),
        description: (!description.is_empty()).then(|| description.to_owned()),
    })?;
    let (generator, pak) = app
        .create_generator(&session.caller, &name, description.as_deref())
        .await?;
    let back = format!("/generators/{}", generator.id);
    Secret::pak(&pak, generator.name.into_string(), back).page(Shell::new(&session, "generators"))
}

/// What a generator's page asks for.
#[derive(Deserialize)]
pub(super) struct GeneratorForm {
    act: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
}

/// Changes or deletes a generator, or makes a new key, which is shown once.
pub(super) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    ConsoleAdmin { session, form }: ConsoleAdmin<GeneratorForm>,
) -> Result<Response, Trouble> {
    let (id, caller) = (generator_id(&id)?, &session.caller);
    let mut next = format!("/generators/{id}");
    match form.act.as_str() {
        "change" => {
            let changes = generator_changes(UpdateGenerator {
                name: Some(form.name.trim().to_owned()),
                description: Some(form.description.trim().to_owned()),
            })?;
            app.update_generator(caller, id, &changes).await?;
        }
        "rotate" => {
            let (generator, pak) = app.rotate_generator_pak(caller, id).await?;
            let shell = Shell::new(&session, "generators");
            return Secret::pak(&pak, generator.name.into_string(), next).page(shell);
        }
        "delete" => {
            app.delete_generator(caller, id).await?;
            next = "/generators".to_owned();
        }
        _ => return Err(Trouble::bad("There is no such button.")),
    }
    Ok(Redirect::to(&next).into_response())
}
