//! What a policy says in the formats of others.
//!
//! Place in the data flow: rules of a [`crate::policy::Policy`] or of a profile → a text, and what the format could not say.
//! Pure: reading the policy and printing are the callers'.

pub mod mud;
