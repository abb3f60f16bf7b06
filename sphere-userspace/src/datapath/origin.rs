//! Where a data plane came from.

/// Where the data plane came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing was pinned.
    Fresh,
    /// Pinned by this same build: programs and maps are used as they are.
    Adopted,
    /// Pinned by another build: its maps are used, the programs are new.
    Reloaded,
    /// Pinned with other sizes: maps and programs are new, the contents were carried over.
    Carried,
}

impl Origin {
    /// Word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fresh => "new",
            Self::Adopted => "adopted",
            Self::Reloaded => "adopted with new programs",
            Self::Carried => "carried over to new tables",
        }
    }
}
