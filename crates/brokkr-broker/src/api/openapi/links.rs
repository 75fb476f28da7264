//! Where the answer to a creation leads: the operations that take the id of what was created.

use utoipa::openapi::RefOr;
use utoipa::openapi::link::Link;
use utoipa::openapi::path::Operation;

struct Leads {
    from: &'static str,
    status: &'static str,
    /// The parameter of the operations, and where the answer has its value.
    parameter: (&'static str, &'static str),
    to: &'static [&'static str],
}

const LEADS: [Leads; 5] = [
    Leads {
        from: "create_work_order",
        status: "201",
        parameter: ("id", "$response.body#/id"),
        to: &[
            "get_work_order",
            "delete_work_order",
            "cancel_work_order",
            "retry_work_order",
            "list_attempts",
            "get_output",
            "get_targeting",
            "set_targeting",
        ],
    },
    Leads {
        from: "cancel_work_order",
        status: "200",
        parameter: ("id", "$response.body#/id"),
        to: &["get_log_entry", "get_work_order", "retry_work_order"],
    },
    Leads {
        from: "create_agent",
        status: "201",
        parameter: ("id", "$response.body#/agent/id"),
        to: &[
            "get_agent",
            "update_agent",
            "delete_agent",
            "rotate_agent_pak",
            "list_agent_labels",
            "list_agent_annotations",
            "list_pending_work_orders",
            "list_claims",
        ],
    },
    Leads {
        from: "create_generator",
        status: "201",
        parameter: ("id", "$response.body#/generator/id"),
        to: &[
            "get_generator",
            "update_generator",
            "delete_generator",
            "rotate_generator_pak",
        ],
    },
    Leads {
        from: "create_pak",
        status: "201",
        parameter: ("short", "$response.body#/pak_info/short"),
        to: &["delete_pak"],
    },
];

/// Adds the links of the operation's answers.
pub(super) fn add(operation: &mut Operation) {
    let own = |leads: &&Leads| operation.operation_id.as_deref() == Some(leads.from);
    let Some(leads) = LEADS.iter().find(own) else {
        return;
    };
    let Some(RefOr::T(response)) = operation.responses.responses.get_mut(leads.status) else {
        return;
    };
    let (parameter, value) = leads.parameter;
    for to in leads.to {
        let link = Link::builder()
            .operation_id(*to)
            .parameter(parameter, value)
            .build();
        response.links.insert((*to).to_owned(), link.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::openapi::{document, operations_of};

    #[test]
    fn every_link_leads_from_an_operation_to_another_one() {
        let mut document = document();
        let operations: Vec<&mut Operation> = document
            .paths
            .paths
            .values_mut()
            .flat_map(operations_of)
            .collect();
        let named = |name: &str| {
            let found = operations
                .iter()
                .find(|operation| operation.operation_id.as_deref() == Some(name));
            found.unwrap_or_else(|| panic!("there is no operation {name}"))
        };
        for leads in &LEADS {
            let Some(RefOr::T(response)) = named(leads.from).responses.responses.get(leads.status) else {
                panic!("{} does not answer {}", leads.from, leads.status);
            };
            for to in leads.to {
                assert!(
                    response.links.contains_key(*to),
                    "{} does not lead to {to}",
                    leads.from
                );
                let mut parameters = named(to).parameters.iter().flatten();
                assert!(
                    parameters.any(
                        |parameter| matches!(parameter, RefOr::T(known) if known.name == leads.parameter.0)
                    ),
                    "{to}"
                );
            }
        }
    }
}
