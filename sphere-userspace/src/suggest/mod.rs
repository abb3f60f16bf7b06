//! What the policy would have to say so that what was denied is allowed: suggestions, each with its evidence.
//!
//! Place in the data flow: lines of the store and records of denied queries ([`Evidence`]) → what each denial asks for,
//! or why no rule should give it → drafts by group and target, compared with the policy that is there → [`Suggestions`].
//! Pure: nothing here prints, and only [`Evidence::read_records`] reads what it is given. Invariant: every suggestion
//! that is complete is accepted by the policy reader in a group of its own, and none is about what no rule should allow.

mod collapse;
mod draft;
mod evidence;
mod finish;
mod fit;
mod gather;
mod known;
mod names;
mod records;
mod suggestion;
mod tenants;
mod warn;

pub use evidence::{Asked, Evidence, Flow, Reached, Seen};
pub use gather::{Bounds, suggest};
pub use records::{RecordsError, RecordsRead};
pub use suggestion::{Change, Suggestion, Suggestions, Unsuggested, Warning, Why, Wider};
