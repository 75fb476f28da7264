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
                 SELECT work_orders.id, work_orders.attempt, input.instance_id,
                        $2 + CASE WHEN work_orders.claim_timeout_seconds < input.lease_seconds
                                  THEN work_orders.claim_timeout_seconds
                                  ELSE input.lease_seconds END * 1000000 AS expires_at
                   FROM input
                  CROSS JOIN work_orders
                  WHERE work_orders.id = input.id
                    AND work_orders.attempt = input.attempt
                    AND work_orders.status = 'CLAIMED'
                    AND work_orders.claimed_by = input.agent_id
                  ORDER BY work_orders.id ",
            $lock,
            ")
             UPDATE work_orders
                SET claim_instance_id = held.instance_id,
                    lease_expires_at = CASE WHEN work_orders.lease_expires_at > held.expires_at
                                            THEN work_orders.lease_expires_at
                                            ELSE held.expires_at END
               FROM held
              WHERE work_orders.id = held.id
             RETURNING work_orders.id, work_orders.attempt, claimed_by, lease_expires_at, cancel_requested_at,
                       cancel_reason"
        )
    };
}

statements! {
    static RENEW = Sql::batch_per_dialect(
        "renewals.renew",
        renew!("FOR UPDATE OF work_orders"),
        &[renew!("")],
        &[
            ("id", Kind::Uuid),
            ("attempt", Kind::BigInt),
            ("agent_id", Kind::Uuid),
            ("instance_id", Kind::Text),
            ("lease_seconds", Kind::BigInt),
        ],
    );
}

/// A claim that its agent wants to keep.
#[derive(Debug, Clone, Copy)]
pub struct Renewal<'a> {
    /// The order.
    pub id: WorkOrderId,
    /// The attempt that must be the current one.
    pub attempt: Attempt,
    /// The agent that must hold it.
    pub agent: AgentId,
    /// Its process, which holds the claim from now on.
    pub instance_id: &'a str,
    /// How long the claim holds from now on; the order's claim timeout may shorten it. A lease never becomes shorter.
    pub lease_seconds: LeaseSeconds,
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

/// Renews the claims that their agents still hold, and answers them with those, in the order of their ids. One that is not in
/// the answer is not held: the order ended, is gone, or has another attempt.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn renew_many<'r>(
    tx: &mut Tx,
    renewals: impl IntoIterator<Item = Renewal<'r>>,
    now: Timestamp,
) -> Result<Vec<(AgentId, Renewed)>, DalError> {
    let input: Rows = renewals
        .into_iter()
        .map(|renewal| {
            let Renewal {
                id,
                attempt,
                agent,
                instance_id,
                lease_seconds,
            } = renewal;
            params![id, attempt, agent, instance_id, lease_seconds.get()]
        })
        .collect();
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(&RENEW, params![input, now]).await?;
    let mut renewed = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    renewed.sort_by_key(|(_, renewed)| renewed.id);
    Ok(renewed)
}

fn read(row: &Row) -> Result<(AgentId, Renewed), DalError> {
    let renewed = Renewed {
        id: row.get("id")?,
        attempt: row.get("attempt")?,
        lease_expires_at: row.get("lease_expires_at")?,
        cancel: cancel_request(row)?,
    };
    Ok((row.get("claimed_by")?, renewed))
}
