//! Values and rules of the customer: no I/O, no JSON, no SQL, nothing of the other modules.
//!
//! A type is the proof that its rule holds: fields are private and `TryFrom<Clean>` (or `parse`,
//! where a rule needs a second value) is the only way in.

pub mod actor;
pub mod address;
pub mod birth_date;
pub mod clock;
pub mod country;
pub mod criteria;
pub mod email;
pub mod enums;
pub mod folded;
pub mod idempotency;
pub mod metadata;
pub mod phone;
pub mod profile;
pub mod secret;
pub mod text;
pub mod version;
pub mod violations;

pub use actor::{Actor, ActorType};
pub use version::{Expected, Version};
pub use violations::{Code, Violation, Violations};
