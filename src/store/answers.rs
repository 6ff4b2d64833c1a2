//! Tries at the security answer, counted in the database, so that instances share the count.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use sqlx::query;
use uuid::Uuid;

use super::failure::{Failure, Retry};
use super::{Store, StoreError};
use crate::vault::Field;

/// Most wrong answers of a customer within [`WINDOW`].
pub const MAX_WRONG_ANSWERS: i32 = 5;
/// How long a wrong answer counts.
pub const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// What a caller gets who wants to try an answer.
#[derive(Debug)]
pub enum Try {
    /// The stored answer. The try counts as wrong until [`Store::forgive_try`] takes it back, so
    /// that tries made at once cannot outrun the count.
    Answer(SecretString),
    /// The customer has no security answer.
    NoAnswer,
    /// Too many wrong answers; the next try may come then.
    TooMany(DateTime<Utc>),
    /// The customer was erased.
    Erased,
}

impl Store {
    /// Counts a try at a customer's answer and gives the answer out for it; `None` where there is
    /// no such customer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_try(&self, id: Uuid, now: DateTime<Utc>) -> Result<Option<Try>, StoreError> {
        let mut retry = Retry::start();
        loop {
            match self.attempt_try(id, now).await {
                Ok(outcome) => return Ok(outcome),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn attempt_try(&self, id: Uuid, now: DateTime<Utc>) -> Result<Option<Try>, Failure> {
        let mut connection = self.connection().await?;
        let since = now - WINDOW;
        let counted = query!(
            "update customers set wrong_answers_at =
                 array(select t from unnest(wrong_answers_at) t where t > $2) || $3::timestamptz
             where id = $1 and security_answer_sealed is not null
                 and (select count(*) from unnest(wrong_answers_at) t where t > $2) < $4
             returning security_answer_sealed",
            id,
            since,
            now,
            i64::from(MAX_WRONG_ANSWERS),
        )
        .fetch_optional(&mut *connection)
        .await
        .map_err(Failure::during)?;
        if let Some(counted) = counted {
            let sealed = counted.security_answer_sealed.as_deref();
            let answer = self.open(id, Field::SecurityAnswer, sealed)?;
            return Ok(Some(answer.map_or(Try::NoAnswer, Try::Answer)));
        }
        let row = query!(
            r#"select erased_at is not null as "erased!",
                      security_answer_sealed is null as "no_answer!",
                      (select min(t) from unnest(wrong_answers_at) t where t > $2) as oldest
               from customers where id = $1"#,
            id,
            since,
        )
        .fetch_optional(&mut *connection)
        .await
        .map_err(Failure::during)?;
        Ok(row.map(|row| match row {
            row if row.erased => Try::Erased,
            row if row.no_answer => Try::NoAnswer,
            row => Try::TooMany(row.oldest.unwrap_or(now) + WINDOW),
        }))
    }

    /// Takes back the try of this time: the answer was right.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forgive_try(&self, id: Uuid, at: DateTime<Utc>) -> Result<(), StoreError> {
        let mut retry = Retry::start();
        loop {
            match self.attempt_forgive(id, at).await {
                Ok(()) => return Ok(()),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn attempt_forgive(&self, id: Uuid, at: DateTime<Utc>) -> Result<(), Failure> {
        let mut connection = self.connection().await?;
        // One element alone: others may have tried in the same millisecond.
        query!(
            "update customers set wrong_answers_at =
                 wrong_answers_at[:array_position(wrong_answers_at, $2) - 1]
                 || wrong_answers_at[array_position(wrong_answers_at, $2) + 1:]
             where id = $1 and array_position(wrong_answers_at, $2) is not null",
            id,
            at,
        )
        .execute(&mut *connection)
        .await
        .map(|_| ())
        .map_err(Failure::during)
    }
}
