//! What the agent's credential may do, for those who set it up.

use std::fmt;

use ::kube::Error;
use ::kube::core::request::Error as RequestError;
use http::Request;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};

use crate::kube::{ApiFailure, Cluster};

/// Something that one may do to objects of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access<'a> {
    /// As RBAC names it, such as `create`.
    pub verb: &'a str,
    /// The group; empty for the core group.
    pub group: &'a str,
    /// The resource, in the plural.
    pub resource: &'a str,
    /// Such as `log`.
    pub subresource: Option<&'a str>,
}

impl fmt::Display for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if let Some(subresource) = self.subresource {
            write!(f, "/{subresource}")?;
        }
        if self.group.is_empty() {
            return Ok(());
        }
        write!(f, ".{}", self.group)
    }
}

impl Cluster {
    /// Whether the credential has a right in a namespace, or in all of them (`SelfSubjectAccessReview`, which everybody may
    /// ask for unless the cluster's administrator forbids it).
    ///
    /// # Errors
    /// When the cluster does not tell.
    pub async fn may(&self, access: Access<'_>, namespace: Option<&str>) -> Result<bool, ApiFailure> {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(access.verb.to_owned()),
                    group: Some(access.group.to_owned()),
                    resource: Some(access.resource.to_owned()),
                    subresource: access.subresource.map(str::to_owned),
                    namespace: namespace.map(str::to_owned),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let operation = "ask the cluster what the agent may do";
        let failed = |source| ApiFailure {
            operation: operation.to_owned(),
            source,
        };
        let body = serde_json::to_vec(&review)
            .map_err(|error| failed(Error::BuildRequest(RequestError::SerializeBody(error))))?;
        let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header("Content-Type", "application/json")
            .body(body)
            .map_err(|error| failed(Error::HttpError(error)))?;
        let answer: SelfSubjectAccessReview = self.send(operation, &request).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}
