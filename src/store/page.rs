//! How a page of a list is found without reading the table.
//!
//! Status, times of creation, and what is compared as a whole (an address, a number, a day, a
//! national id) have indexes in the order of the list: a page is read off one of them. The other
//! criteria have indexes in no order of use: metadata, the beginnings of names, the time of the last
//! change. With one of those there are two ways, and either reads the whole table where the other is
//! right: to walk along the list and pass over what does not match, or to collect what matches and
//! sort it. Postgres would choose by a guess of the cost, taking it for granted that matches are
//! spread evenly over the list; few old ones would cost it a walk along all that is newer. So the
//! choice is made here, by how many it says there are, and few are always collected.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};
use uuid::Uuid;

use super::Store;
use super::cursor::Place;
use super::read::View;
use crate::domain::criteria::{Filter, Order, PageRequest, Person};
use crate::domain::folded::fold;
use crate::domain::text::Text;

/// So many customers are collected rather than walked to, whatever a walk is expected to cost.
const FEW: u16 = 2_000;
/// So many changes are collected: most changes befall the newer customers, which is a long walk from
/// the oldest.
const FEW_CHANGES: u16 = 5_000;

/// A part of a list that is asked for in one statement.
struct Stretch {
    filter: Filter,
    order: Order,
    after: Option<Place>,
    limit: u32,
}

/// A criterion by which customers can be collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Criterion {
    Metadata,
    FirstName,
    LastName,
    /// Those with a newer entry than the first.
    Changed,
}

/// How a stretch is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Walk,
    Collect(Criterion),
}

impl Store {
    /// The rows of a page, and one more where there are more: `id`, `created_at`, `document`,
    /// `security_answer_sealed`.
    pub(super) async fn page(
        &self,
        connection: &mut PgConnection,
        request: &PageRequest,
        after: Option<Place>,
        view: View,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut rows = Vec::new();
        for mut stretch in stretches(request, after) {
            let Some(left) = left(&stretch, rows.len()) else { break };
            stretch.limit = left;
            let way = self.way(connection, &stretch).await?;
            let mut query = self.statement("", &stretch, way, view);
            // Planned for its values each time; and there are too many of them to keep.
            let query = query.build().persistent(false);
            rows.extend(query.fetch_all(&mut *connection).await?);
        }
        Ok(rows)
    }

    /// What the database did for each statement of a page, as `explain (analyze)` tells it.
    pub(super) async fn explain_page(
        &self,
        connection: &mut PgConnection,
        request: &PageRequest,
        after: Option<Place>,
    ) -> Result<Vec<Value>, sqlx::Error> {
        let mut plans = Vec::new();
        let mut found = 0;
        for mut stretch in stretches(request, after) {
            let Some(left) = left(&stretch, found) else { break };
            stretch.limit = left;
            let way = self.way(connection, &stretch).await?;
            let explain = "explain (analyze, buffers off, format json) ";
            let mut query = self.statement(explain, &stretch, way, View::Masked);
            let plan = plan(connection, &mut query).await?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 201")]
            let rows = plan["Actual Rows"].as_f64().unwrap_or_default() as usize;
            found += rows;
            plans.push(plan);
        }
        Ok(plans)
    }

    /// Whether to walk to a stretch or to collect it.
    async fn way(
        &self,
        connection: &mut PgConnection,
        stretch: &Stretch,
    ) -> Result<Way, sqlx::Error> {
        let mut criteria = stretch.criteria();
        if criteria.contains(&Criterion::Changed) {
            if changed(connection, &stretch.filter).await? <= i64::from(FEW_CHANGES) {
                return Ok(Way::Collect(Criterion::Changed));
            }
            criteria.retain(|criterion| *criterion != Criterion::Changed);
        }
        if criteria.is_empty() {
            return Ok(Way::Walk);
        }
        // One plan that is never carried out; its parts tell how many rows each is thought to have.
        let mut query = QueryBuilder::new("explain (format json) select 1 from customers where ");
        self.push_scope(&mut query, stretch);
        query.push(" union all select 1 from customers where ");
        self.push_scope(&mut query, stretch);
        push_rest(&mut query, &stretch.filter, Indexed::Yes);
        for criterion in &criteria {
            query.push(" union all select 1 from customers where true");
            push_criterion(&mut query, &stretch.filter, *criterion);
        }
        let plan = plan(connection, &mut query).await?;
        let parts = plan["Plans"].as_array().map(Vec::as_slice).unwrap_or_default();
        let expected: Vec<f64> =
            parts.iter().filter_map(|part| part["Plan Rows"].as_f64()).collect();
        let [scope, matching, collected @ ..] = expected.as_slice() else { return Ok(Way::Walk) };
        let limit = f64::from(stretch.limit);
        let walked = (scope * limit / matching.max(1.0)).min(*scope);
        let fewest = criteria.iter().zip(collected).min_by(|one, other| one.1.total_cmp(other.1));
        Ok(match fewest {
            Some((criterion, collected)) if *collected <= walked.max(f64::from(FEW)) => {
                Way::Collect(*criterion)
            }
            Some(_) | None => Way::Walk,
        })
    }

    fn statement(
        &self,
        prefix: &'static str,
        stretch: &Stretch,
        way: Way,
        view: View,
    ) -> QueryBuilder<Postgres> {
        let answer = match view {
            View::Masked => "null::bytea",
            View::WithSecurityAnswer => "security_answer_sealed",
        };
        let shown = format!(
            "select id, created_at, document::text as document, {answer} as security_answer_sealed
             from customers where "
        );
        let mut query = QueryBuilder::new(prefix);
        match way {
            Way::Walk => {
                query.push(shown);
                self.push_scope(&mut query, stretch);
                push_rest(&mut query, &stretch.filter, Indexed::No);
                stretch.push_order(&mut query);
                stretch.push_limit(&mut query);
            }
            Way::Collect(criterion) => {
                // What is collected stands by itself, so that no other index has a say; documents
                // are read for the page alone.
                query.push(
                    "with collected as materialized (
                         select id, status, created_at, updated_at, erased_at, metadata,
                             first_name_folded, last_name_folded, email_folded, phone_number,
                             date_of_birth, social_id_index
                         from customers where true",
                );
                push_criterion(&mut query, &stretch.filter, criterion);
                query.push(") ").push(shown);
                query.push("id = any(array(select id from collected where ");
                self.push_scope(&mut query, stretch);
                push_rest(&mut query, &stretch.filter, Indexed::No);
                stretch.push_order(&mut query);
                stretch.push_limit(&mut query);
                query.push("))");
                stretch.push_order(&mut query);
            }
        }
        query
    }

    /// The criteria that have indexes in the order of the list.
    fn push_scope(&self, query: &mut QueryBuilder<Postgres>, stretch: &Stretch) {
        let Stretch { filter, order, after, .. } = stretch;
        query.push("erased_at is null");
        if let Some(status) = filter.status {
            query.push(" and status = ").push_bind(status.as_str());
        }
        for (condition, time) in [
            (" and created_at > ", filter.created_after),
            (" and created_at < ", filter.created_before),
            // No one is changed before being created.
            (" and created_at < ", filter.updated_before),
        ] {
            if let Some(time) = time {
                query.push(condition).push_bind(time);
            }
        }
        let Person { email, phone_number, date_of_birth, social_id, .. } = &filter.person;
        if let Some(email) = email {
            query.push(" and email_folded = ").push_bind(email.folded());
        }
        if let Some(number) = phone_number {
            query.push(" and phone_number = ").push_bind(number.as_str().to_owned());
        }
        if let Some(date) = date_of_birth {
            query.push(" and date_of_birth = ").push_bind(date.date());
        }
        if let Some((social_id, country)) = social_id {
            let index = self.social_id_index(social_id, *country).to_vec();
            query.push(" and social_id_index = ").push_bind(index);
        }
        if let Some(Place { at, id }) = after {
            let comparison = match order {
                Order::NewestFirst => "<",
                Order::OldestFirst => ">",
            };
            let created_at = DateTime::from_timestamp_micros(*at).unwrap_or_default();
            query.push(" and (created_at, id) ").push(comparison).push(" (");
            query.push_bind::<DateTime<Utc>>(created_at).push(", ").push_bind::<Uuid>(*id);
            query.push(")");
        }
    }
}

/// The parts of a list in its order. Who was created after a time was changed after it as well: only
/// those before have to be looked for among the changes.
fn stretches(request: &PageRequest, after: Option<Place>) -> Vec<Stretch> {
    let stretch =
        |filter| Stretch { filter, order: request.order, after, limit: request.limit + 1 };
    let filter = &request.filter;
    let Some(time) = filter.updated_after else { return vec![stretch(filter.clone())] };
    let newer = Filter {
        created_after: filter.created_after.max(Some(time)),
        updated_after: None,
        ..filter.clone()
    };
    // The database keeps microseconds.
    let end = time.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(time);
    let older = Filter {
        created_before: Some(filter.created_before.map_or(end, |before| before.min(end))),
        ..filter.clone()
    };
    match request.order {
        Order::NewestFirst => vec![stretch(newer), stretch(older)],
        Order::OldestFirst => vec![stretch(older), stretch(newer)],
    }
}

/// How many rows a stretch has to give after those that are there; `None` where it is none.
fn left(stretch: &Stretch, there: usize) -> Option<u32> {
    let there = u32::try_from(there).unwrap_or(u32::MAX);
    stretch.limit.checked_sub(there).filter(|left| *left > 0)
}

impl Stretch {
    fn criteria(&self) -> Vec<Criterion> {
        let Filter { metadata, updated_after, person, .. } = &self.filter;
        [
            (Criterion::Metadata, !metadata.is_empty()),
            (Criterion::FirstName, person.first_name.is_some()),
            (Criterion::LastName, person.last_name.is_some()),
            (Criterion::Changed, updated_after.is_some()),
        ]
        .into_iter()
        .filter(|(_, given)| *given)
        .map(|(criterion, _)| criterion)
        .collect()
    }

    fn push_order(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(match self.order {
            Order::NewestFirst => " order by created_at desc, id desc",
            Order::OldestFirst => " order by created_at, id",
        });
    }

    fn push_limit(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" limit ").push_bind(i64::from(self.limit));
    }
}

/// Whether a condition may use its index.
#[derive(Clone, Copy)]
enum Indexed {
    Yes,
    No,
}

impl Indexed {
    /// What ends a condition in parentheses. `is true` means the same, and is expected to hold as
    /// often, but no index serves it.
    const fn end(self) -> &'static str {
        match self {
            Self::Yes => ")",
            Self::No => ") is true",
        }
    }
}

/// The criteria that have no index in the order of the list.
fn push_rest(query: &mut QueryBuilder<Postgres>, filter: &Filter, indexed: Indexed) {
    for (condition, time) in [
        (" and updated_at > ", filter.updated_after),
        (" and updated_at < ", filter.updated_before),
    ] {
        if let Some(time) = time {
            query.push(condition).push_bind(time);
        }
    }
    push_metadata(query, filter, indexed);
    push_prefix(query, "first_name_folded", filter.person.first_name.as_ref(), indexed);
    push_prefix(query, "last_name_folded", filter.person.last_name.as_ref(), indexed);
}

/// A criterion in the form that its index serves.
fn push_criterion(query: &mut QueryBuilder<Postgres>, filter: &Filter, criterion: Criterion) {
    let person = &filter.person;
    match criterion {
        Criterion::Metadata => push_metadata(query, filter, Indexed::Yes),
        Criterion::FirstName => {
            push_prefix(query, "first_name_folded", person.first_name.as_ref(), Indexed::Yes);
        }
        Criterion::LastName => {
            push_prefix(query, "last_name_folded", person.last_name.as_ref(), Indexed::Yes);
        }
        Criterion::Changed => {
            query.push(" and id = any(array(select customer_id from customer_history where ");
            push_changes(query, filter);
            query.push("))");
        }
    }
}

/// The entries that changed a customer in the time between; a first entry is no change.
fn push_changes(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    query.push("entry > 1");
    for (condition, time) in
        [(" and at > ", filter.updated_after), (" and at < ", filter.updated_before)]
    {
        if let Some(time) = time {
            query.push(condition).push_bind(time);
        }
    }
}

/// How many changes there are in the time between, counted up to one more than few.
async fn changed(connection: &mut PgConnection, filter: &Filter) -> Result<i64, sqlx::Error> {
    let mut query =
        QueryBuilder::<Postgres>::new("select count(*) from (select from customer_history where ");
    push_changes(&mut query, filter);
    query.push(" order by at limit ").push_bind(i64::from(FEW_CHANGES) + 1).push(") as changes");
    query.build_query_scalar().persistent(false).fetch_one(connection).await
}

fn push_metadata(query: &mut QueryBuilder<Postgres>, filter: &Filter, indexed: Indexed) {
    if !filter.metadata.is_empty() {
        let pairs = serde_json::to_value(&filter.metadata).unwrap_or(Value::Null);
        query.push(" and (metadata @> ").push_bind(pairs).push(indexed.end());
    }
}

/// A prefix as a range of bytes, which an index serves whatever the plan; `like` with a parameter
/// would depend on it.
fn push_prefix(
    query: &mut QueryBuilder<Postgres>,
    column: &'static str,
    prefix: Option<&Text<40>>,
    indexed: Indexed,
) {
    if let Some(prefix) = prefix {
        let from = fold(prefix.as_str());
        let to = format!("{from}{}", char::MAX);
        query.push(" and (").push(column).push(" ~>=~ ").push_bind(from).push(indexed.end());
        query.push(" and (").push(column).push(" ~<~ ").push_bind(to).push(indexed.end());
    }
}

/// The topmost node of what an `explain` in JSON answers.
async fn plan(
    connection: &mut PgConnection,
    query: &mut QueryBuilder<Postgres>,
) -> Result<Value, sqlx::Error> {
    let row = query.build().persistent(false).fetch_one(connection).await?;
    let mut answer: Value = row.try_get(0)?;
    Ok(answer[0]["Plan"].take())
}
