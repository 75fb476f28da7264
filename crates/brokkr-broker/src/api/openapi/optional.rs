//! What may be left out is never null where null cannot be sent: as a header, or as a body.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{Content, RefOr};

/// Takes the null out of the schemas of headers and of the body.
pub(super) fn never_null(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        if let (ParameterIn::Header, Some(RefOr::T(Schema::Object(header)))) =
            (&parameter.parameter_in, &mut parameter.schema)
        {
            header.schema_type = SchemaType::Type(Type::String);
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.values_mut().for_each(body_itself);
    }
}

fn body_itself(content: &mut RefOr<Content>) {
    let RefOr::T(content) = content else { return };
    let Some(RefOr::T(Schema::OneOf(choices))) = &content.schema else {
        return;
    };
    let mut bodies = choices.items.iter().filter(|choice| !is_null(choice));
    if let (Some(body), None) = (bodies.next().cloned(), bodies.next()) {
        content.schema = Some(body);
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
