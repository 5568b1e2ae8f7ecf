//! The rules that a matrix keeps, each with the word that stands in messages and documentation.

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $slug:literal,)*) => {
        /// The rule that a matrix breaks; the word in brackets in a message, and the anchor in
        /// `docs/matrix.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $variant,)*
        }

        impl Rule {
            /// Every rule, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its word.
            #[must_use]
            pub fn slug(self) -> &'static str {
                match self {
                    $(Self::$variant => $slug,)*
                }
            }
        }
    };
}

rules! {
    /// Not TOML.
    Syntax = "syntax",
    /// More text, or more rows, than a matrix may have.
    TooLarge = "too-large",
    /// A key that is none of ours.
    UnknownKey = "unknown-key",
    /// A key that every row has is absent, or there is no row.
    MissingKey = "missing-key",
    /// A number where a text belongs, and the like.
    WrongType = "wrong-type",
    /// No networks, or too many networks or checks.
    ListSize = "list-size",
    /// A name that cannot be one.
    BadName = "bad-name",
    /// Two of one name.
    DuplicateName = "duplicate-name",
    /// A state or an action that does not exist.
    UnknownWord = "unknown-word",
    /// A settle time that is none, or too long.
    BadSettle = "bad-settle",
    /// A text that is empty, too long, or would garble a terminal.
    BadText = "bad-text",
    /// A row that says nothing.
    NoActions = "no-actions",
    /// The same action twice in a row.
    DuplicateAction = "duplicate-action",
    /// `none` beside another action.
    NoneWithOthers = "none-with-others",
    /// `evacuate` without `fence` before it.
    EvacuateWithoutFence = "evacuate-without-fence",
    /// `migrate` beside `fence`.
    MigrateWithFence = "migrate-with-fence",
    /// A row that fences because something is unknown.
    UnknownFences = "unknown-fences",
    /// A node with nothing wrong is acted upon.
    ActsOnHealthy = "acts-on-healthy",
    /// A cell that no row answers.
    MissingCell = "missing-cell",
    /// A row that no cell reaches.
    UnreachableRow = "unreachable-row",
    /// Warning: one sign is enough to fence.
    SingleSign = "single-sign",
    /// Warning: more networks down, and a milder answer.
    MilderWhenWorse = "milder-when-worse",
}
