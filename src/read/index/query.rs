//! What a list is asked for: conditions, an order, and how much of it.

/// What a list is asked for.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{app::App, write::SendOptions};
/// use retell::read::{Comparison, Filter, ListQuery};
/// # use retell::doc::{Light, LightCommand, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let (field, value) = ("key".to_owned(), "h".to_owned());
/// let filters = vec![Filter { field, is: Comparison::AtLeast, value }];
/// let (query, wait) = (ListQuery { filters, ..ListQuery::default() }, Duration::from_secs(5));
/// let page = app.views().page("lights", &query, &done.position.into(), wait).await?;
/// assert_eq!(page.views, [r#"{"on":true,"switched":1}"#]);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// All of them must hold.
    pub filters: Vec<Filter>,
    /// The order, if not that of the index.
    pub sort: Option<Sort>,
    /// The most views of a page; at least one.
    pub limit: usize,
    /// Bytes of views after which a page has no further one.
    pub bytes_max: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A condition on a field.
///
/// ```
/// use retell::read::{Comparison, Filter};
///
/// let (field, value) = ("balance".to_owned(), "500".to_owned());
/// let rich = Filter { field, is: Comparison::AtLeast, value };
/// assert_eq!(rich.parameter(), "balance.gte");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    /// The field's name, or `key`.
    pub field: String,
    /// How its value compares.
    pub is: Comparison,
    /// With which value, as text.
    pub value: String,
}

/// How the value of a field compares with one that is given.
///
/// ```
/// use retell::read::Comparison;
///
/// assert_eq!(Comparison::of_suffix("lt"), Some(Comparison::Below));
/// assert_eq!(Comparison::Null.suffix(), "null");
/// assert_eq!(Comparison::of_suffix("like"), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Less.
    Below,
    /// Less or the same.
    AtMost,
    /// Greater.
    Above,
    /// Greater or the same.
    AtLeast,
    /// `true`: it is `null` or absent; `false`: it is not.
    Null,
}

/// An order.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{Positions, app::App, read::{ListQuery, Sort}, write::SendOptions};
/// # use retell::doc::{Light, LightCommand, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// # let mut seen = Positions::default();
/// let (on, off) = (LightCommand::SwitchOn {}, LightCommand::SwitchOff {});
/// for (id, order) in [("attic", LightCommand::SwitchOn {}), ("hall", on), ("hall", off)] {
///     let done = app.commands().send::<Light>(id, order, SendOptions::default()).await?;
/// #     seen.add(done.position);
/// }
/// let sort = Some(Sort { field: "key".to_owned(), descending: true });
/// let (query, wait) = (ListQuery { sort, ..ListQuery::default() }, Duration::from_secs(5));
/// let page = app.views().page("lights", &query, &seen, wait).await?;
/// let (hall, attic) = (r#"{"on":false,"switched":2}"#, r#"{"on":true,"switched":1}"#);
/// assert_eq!(page.views, [hall, attic]);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sort {
    /// The field's name, or `key`.
    pub field: String,
    /// From the highest down.
    pub descending: bool,
}

impl Default for ListQuery {
    fn default() -> Self {
        let (limit, bytes_max) = (50, 4 << 20);
        Self { filters: Vec::new(), sort: None, limit, bytes_max, cursor: None }
    }
}

impl Filter {
    /// As a query spells it.
    #[must_use]
    pub fn parameter(&self) -> String {
        match self.is.suffix() {
            "" => self.field.clone(),
            suffix => format!("{}.{suffix}", self.field),
        }
    }
}

impl Comparison {
    /// Each, but equality.
    const NAMED: [Self; 5] = [Self::Below, Self::AtMost, Self::Above, Self::AtLeast, Self::Null];

    /// What stands behind the dot of a parameter; equality has none.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Equal => "",
            Self::Below => "lt",
            Self::AtMost => "lte",
            Self::Above => "gt",
            Self::AtLeast => "gte",
            Self::Null => "null",
        }
    }

    /// The comparison with this suffix.
    #[must_use]
    pub fn of_suffix(suffix: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|comparison| comparison.suffix() == suffix)
    }
}
