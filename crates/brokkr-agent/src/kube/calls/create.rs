//! Creating what exists once: the name decides, and the labels say whose it is.

use ::kube::api::DynamicObject;
use ::kube::core::request::Error as RequestError;
use http::Request;
use http::header::CONTENT_TYPE;

use super::{built, placed, requests};
use crate::kube::labels::{BROKKR, Owner};
use crate::kube::{ApiFailure, Cluster, ObjectRef};

/// How often creating is tried when the name was taken and free again a moment later.
const TRIES_MAX: usize = 3;

/// What came of creating an object.
#[derive(Debug, Clone)]
pub enum Created {
    /// It is new.
    New(DynamicObject),
    /// The same document of the same attempt had created it before.
    Adopted(DynamicObject),
}

impl Created {
    /// The object, whoever created it.
    pub fn into_object(self) -> DynamicObject {
        match self {
            Self::New(object) | Self::Adopted(object) => object,
        }
    }
}

/// Why an object was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Somebody else's object has the name, or one that is being deleted.
    #[error("{what} exists already and does not belong to this attempt")]
    Taken {
        /// Kind, namespace and name.
        what: String,
    },
    /// The API refused it or could not be reached.
    #[error(transparent)]
    Api(#[from] ApiFailure),
}

impl Cluster {
    /// Creates the object unless the same document of the same attempt has done so. That is also how a write is found whose
    /// answer was lost. Unknown fields are refused by the API.
    ///
    /// # Errors
    /// When the name is taken, the API refuses the object, or stays unreachable for longer than there is patience.
    pub async fn create(
        &self,
        at: &ObjectRef,
        object: &DynamicObject,
        owner: &Owner,
    ) -> Result<Created, CreateError> {
        self.create_as(at, object, owner, Write::ForGood).await
    }

    /// What [`create`](Self::create) would do, without doing it.
    ///
    /// # Errors
    /// Those of creating.
    pub async fn check_create(
        &self,
        at: &ObjectRef,
        object: &DynamicObject,
        owner: &Owner,
    ) -> Result<Created, CreateError> {
        self.create_as(at, object, owner, Write::DryRun).await
    }

    async fn create_as(
        &self,
        at: &ObjectRef,
        object: &DynamicObject,
        owner: &Owner,
        write: Write,
    ) -> Result<Created, CreateError> {
        let operation = format!("create {at}");
        let request = creation(&operation, at, object, write)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.send(&operation, &request).await {
                Ok(created) => return Ok(Created::New(created)),
                Err(failure) if exists_already(&failure) => failure,
                Err(failure) => return Err(failure.into()),
            };
            match self.get(at).await? {
                Some(present) if is_owned(&present, owner) => return Ok(Created::Adopted(present)),
                Some(_) => return Err(CreateError::Taken { what: at.to_string() }),
                None if tries < TRIES_MAX => {}
                None => return Err(failure.into()),
            }
        }
    }
}

/// Whether a write is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    ForGood,
    DryRun,
}

/// The request that creates the object. `fieldValidation=Strict` refuses misspelt and doubled fields, as kubectl does.
pub(super) fn creation(
    operation: &str,
    at: &ObjectRef,
    object: &DynamicObject,
    write: Write,
) -> Result<Request<Vec<u8>>, ApiFailure> {
    let dry_run = match write {
        Write::ForGood => "",
        Write::DryRun => "&dryRun=All",
    };
    built(operation, requests(at), |requests| {
        let path = requests.url_path;
        let body = serde_json::to_vec(&placed(object, at)).map_err(RequestError::SerializeBody)?;
        Request::post(format!(
            "{path}?fieldManager={BROKKR}&fieldValidation=Strict{dry_run}"
        ))
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(RequestError::BuildRequest)
    })
}

fn exists_already(failure: &ApiFailure) -> bool {
    matches!(&failure.source, ::kube::Error::Api(status) if status.is_already_exists())
}

fn is_owned(present: &DynamicObject, owner: &Owner) -> bool {
    let labels = present.metadata.labels.as_ref();
    present.metadata.deletion_timestamp.is_none() && labels.is_some_and(|labels| owner.made(labels))
}
