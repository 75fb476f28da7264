//! Renewals: how an agent keeps what it has claimed.

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::limits::LeaseSeconds;
use brokkr_core::time::Timestamp;

use super::work_orders::{CancelRequest, cancel_request};
use super::{DalError, Kind, Row, Rows, Sql, Tx, params, statements};

/// Locks in the order of ids, so that it never waits for a transaction that waits for it.
macro_rules! renew {
    ($lock:literal) => {
        concat!(
            "WITH input AS MATERIALIZED ({input}),
             held AS MATERIALIZED (
                 SELECT work_orders.id
                   FROM input
                  CROSS JOIN work_orders
                  WHERE work_orders.id = input.id
                    AND work_orders.attempt = input.attempt
                    AND work_orders.status = 'CLAIMED'
                    AND work_orders.claimed_by = $2
                  ORDER BY work_orders.id ",
            $lock,
            ")
             UPDATE work_orders
                SET claim_instance_id = $3,
                    lease_expires_at = CASE
                        WHEN lease_expires_at > $4 + CASE WHEN claim_timeout_seconds < $5
                                                          THEN claim_timeout_seconds
                                                          ELSE $5 END * 1000000
                        THEN lease_expires_at
                        ELSE $4 + CASE WHEN claim_timeout_seconds < $5
                                       THEN claim_timeout_seconds
                                       ELSE $5 END * 1000000
                        END
              WHERE id IN (SELECT held.id FROM held)
             RETURNING id, attempt, lease_expires_at, cancel_requested_at, cancel_reason"
        )
    };
}

statements! {
    static RENEW = Sql::batch_per_dialect(
        "renewals.renew",
        renew!("FOR UPDATE OF work_orders"),
        renew!(""),
        &[("id", Kind::Uuid), ("attempt", Kind::BigInt)],
    );
}

/// Who renews, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Renewal<'a> {
    /// The agent.
    pub agent: AgentId,
    /// Its process, which holds the claims from now on.
    pub instance_id: &'a str,
    /// How long the claims hold from `now`; an order's claim timeout may shorten it. A lease never becomes shorter.
    pub lease_seconds: LeaseSeconds,
    /// When.
    pub now: Timestamp,
}

/// A claim that still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The order.
    pub id: WorkOrderId,
    /// The current attempt.
    pub attempt: Attempt,
    /// Until when the claim holds now.
    pub lease_expires_at: Timestamp,
    /// The wish that the work be stopped.
    pub cancel: Option<CancelRequest>,
}

/// Renews the claims that the agent still holds, and answers them in the order of their ids. One that is not in the answer
/// is not held: the order ended, is gone, or has another attempt.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn renew_many(
    tx: &mut Tx,
    renewal: Renewal<'_>,
    claims: &[(WorkOrderId, Attempt)],
) -> Result<Vec<Renewed>, DalError> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let input: Rows = claims
        .iter()
        .map(|(id, attempt)| params![*id, *attempt])
        .collect();
    let lease_seconds = renewal.lease_seconds.get();
    let values = params![
        input,
        renewal.agent,
        renewal.instance_id,
        renewal.now,
        lease_seconds
    ];
    let rows = tx.fetch_all(&RENEW, values).await?;
    let mut renewed = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    renewed.sort_by_key(|renewed| renewed.id);
    Ok(renewed)
}

fn read(row: &Row) -> Result<Renewed, DalError> {
    Ok(Renewed {
        id: row.get("id")?,
        attempt: row.get("attempt")?,
        lease_expires_at: row.get("lease_expires_at")?,
        cancel: cancel_request(row)?,
    })
}
