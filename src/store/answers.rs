//! Tries at the security answer, counted in the database, so that instances share the count.
//!
//! A try is counted as pending before the answer is given out, and as wrong or not at all once it is
//! compared: so tries made at once cannot outrun the count. One that is never settled (its instance
//! died) counts like a wrong one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use metrics::counter;
use secrecy::SecretString;
use sqlx::query;
use uuid::Uuid;

use super::failure::Failure;
use super::{Store, StoreError};
use crate::telemetry::metrics::REFUSED_TRIES;
use crate::vault::Field;

/// Most wrong answers of a customer within [`WINDOW`].
pub const MAX_WRONG_ANSWERS: i64 = 5;
/// How long a wrong answer counts.
pub const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// How long a try waits for others that are not compared yet, in pauses of [`PAUSE`].
const PAUSES: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// What a caller gets who wants to try an answer.
#[derive(Debug)]
pub enum Try {
    /// The stored answer, for a try that [`Store::settle_try`] has to settle.
    Answer(SecretString),
    /// The customer has no security answer.
    NoAnswer,
    /// Too many wrong answers; the next try may come then.
    TooMany(DateTime<Utc>),
    /// The customer was erased.
    Erased,
}

enum Counted {
    Settled(Option<Try>),
    /// Only tries that are not compared yet stand in the way.
    Wait(DateTime<Utc>),
}

impl Store {
    /// Counts a try at a customer's answer and gives the answer out for it; `None` where there is
    /// no such customer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_try(&self, id: Uuid, now: DateTime<Utc>) -> Result<Option<Try>, StoreError> {
        let mut retry = self.retry("begin_try");
        let mut pauses = 0;
        let outcome = loop {
            match self.count_try(id, now).await {
                Ok(Counted::Settled(outcome)) => break outcome,
                Ok(Counted::Wait(until)) if pauses == PAUSES => break Some(Try::TooMany(until)),
                Ok(Counted::Wait(_)) => {
                    pauses += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(failure) => retry.after(failure).await?,
            }
        };
        if let Some(Try::TooMany(_)) = outcome {
            counter!(REFUSED_TRIES).increment(1);
        }
        Ok(outcome)
    }

    async fn count_try(&self, id: Uuid, now: DateTime<Utc>) -> Result<Counted, Failure> {
        let mut connection = self.connection().await?;
        let since = now - WINDOW;
        let counted = query!(
            "update customers set
                 wrong_answers_at = array(select t from unnest(wrong_answers_at) t where t > $2),
                 pending_answers_at =
                     array(select t from unnest(pending_answers_at) t where t > $2)
                     || $3::timestamptz
             where id = $1 and security_answer_sealed is not null
                 and (
                     select count(*) from unnest(wrong_answers_at || pending_answers_at) t
                     where t > $2
                 ) < $4
             returning security_answer_sealed",
            id,
            since,
            now,
            MAX_WRONG_ANSWERS,
        )
        .fetch_optional(&mut *connection)
        .await
        .map_err(Failure::during)?;
        if let Some(counted) = counted {
            let sealed = counted.security_answer_sealed.as_deref();
            let answer = self.open(id, Field::SecurityAnswer, sealed)?;
            return Ok(Counted::Settled(Some(answer.map_or(Try::NoAnswer, Try::Answer))));
        }
        let row = query!(
            r#"select erased_at is not null as "erased!",
                      security_answer_sealed is null as "no_answer!",
                      (select count(*) from unnest(wrong_answers_at) t where t > $2) as "wrong!",
                      (
                          select min(t) from unnest(wrong_answers_at || pending_answers_at) t
                          where t > $2
                      ) as oldest
               from customers where id = $1"#,
            id,
            since,
        )
        .fetch_optional(&mut *connection)
        .await
        .map_err(Failure::during)?;
        Ok(match row {
            None => Counted::Settled(None),
            Some(row) if row.erased => Counted::Settled(Some(Try::Erased)),
            Some(row) if row.no_answer => Counted::Settled(Some(Try::NoAnswer)),
            Some(row) => {
                let until = row.oldest.unwrap_or(now) + WINDOW;
                if row.wrong < MAX_WRONG_ANSWERS {
                    Counted::Wait(until)
                } else {
                    Counted::Settled(Some(Try::TooMany(until)))
                }
            }
        })
    }

    /// Settles the try of this time: a wrong one counts from then on, a right one does not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_try(
        &self,
        id: Uuid,
        at: DateTime<Utc>,
        was_right: bool,
    ) -> Result<(), StoreError> {
        let mut retry = self.retry("settle_try");
        loop {
            match self.try_settle(id, at, was_right).await {
                Ok(()) => return Ok(()),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn try_settle(
        &self,
        id: Uuid,
        at: DateTime<Utc>,
        was_right: bool,
    ) -> Result<(), Failure> {
        let mut connection = self.connection().await?;
        // One element alone: others may have tried in the same millisecond.
        query!(
            "update customers set
                 pending_answers_at =
                     pending_answers_at[:array_position(pending_answers_at, $2) - 1]
                     || pending_answers_at[array_position(pending_answers_at, $2) + 1:],
                 wrong_answers_at =
                     case when $3 then wrong_answers_at else wrong_answers_at || $2 end
             where id = $1 and array_position(pending_answers_at, $2) is not null",
            id,
            at,
            was_right,
        )
        .execute(&mut *connection)
        .await
        .map(|_| ())
        .map_err(Failure::during)
    }
}
