//! What a list or a search looks for, and the page of it that is asked for.

use chrono::{DateTime, Utc};

use super::birth_date::BirthDate;
use super::country::Country;
use super::email::EmailAddress;
use super::enums::Status;
use super::metadata::Metadata;
use super::phone::PhoneNumber;
use super::secret::SocialId;
use super::text::Text;

/// How many items a page may have.
pub const LIMITS: std::ops::RangeInclusive<u32> = 1..=200;
/// How many items a page has where nothing else is asked.
pub const DEFAULT_LIMIT: u32 = 50;

/// Which customers a list holds; all given criteria hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this status.
    pub status: Option<Status>,
    /// Created later than this.
    pub created_after: Option<DateTime<Utc>>,
    /// Created earlier than this.
    pub created_before: Option<DateTime<Utc>>,
    /// Last changed later than this.
    pub updated_after: Option<DateTime<Utc>>,
    /// Last changed earlier than this.
    pub updated_before: Option<DateTime<Utc>>,
    /// With all of these pairs among their metadata.
    pub metadata: Metadata,
    /// Personal data, which no URL may hold.
    pub person: Person,
}

/// What a search by personal data looks for; all given criteria hold. Does not print itself.
#[derive(Clone, Default)]
pub struct Person {
    /// This address, without regard to case.
    pub email: Option<EmailAddress>,
    /// This number.
    pub phone_number: Option<PhoneNumber>,
    /// First names that begin so, once folded.
    pub first_name: Option<Text<40>>,
    /// Last names that begin so, once folded.
    pub last_name: Option<Text<40>>,
    /// Born on this day.
    pub date_of_birth: Option<BirthDate>,
    /// This national id of this country.
    pub social_id: Option<(SocialId, Country)>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").finish_non_exhaustive()
    }
}

/// The order of a list, by creation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub enum Order {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// A page that is asked for.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Which customers.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// How many at most.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<String>,
}
