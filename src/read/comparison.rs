//! What a comparison of views with the log has found.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::contract::Position;

/// How far a comparison is, and what it has found.
///
/// ```
/// use retell::{app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// app.view::<Lights>("hall", done.position).await?;
/// let mut changes = app.verifications().changes();
/// let id = app.verifications().start(Some("lights"))?;
/// # while !app.verifications().get(id).expect("it began").state.is_final() {
/// #     changes.changed().await?;
/// # }
/// // When it has ended:
/// let compared = app.verifications().get(id).expect("it is remembered").compared;
/// assert_eq!((compared.views, compared.differences, compared.first), (1, 0, None));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct Compared {
    /// Views that were compared.
    pub views: u64,
    /// Those that differ.
    pub differences: u64,
    /// The first of them.
    #[serde(rename = "difference")]
    pub first: Option<Arc<Difference>>,
    /// Why nothing, or not everything, was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

/// A view that is not what the log makes of it.
///
/// ```
/// use retell::read::{Difference, What};
/// use serde_json::json;
///
/// let (live, log) = (Some(json!({"on": false})), Some(json!({"on": true})));
/// let (projection, key, position) = ("lights", "hall".to_owned(), "5@1234".parse()?);
/// let difference = Difference { projection, key, of: What::View, position, live, log };
/// let json = serde_json::to_value(&difference)?;
/// assert_eq!((&json["of"], &json["position"]), (&json!("view"), &json!("5@1234")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Difference {
    /// The projection.
    pub projection: &'static str,
    /// The view's key; the member, in an index.
    pub key: String,
    /// What differs: the view itself, or what an index has.
    pub of: What,
    /// Both are as of here.
    pub position: Position,
    /// What is live; nothing when it is not there.
    pub live: Option<Value>,
    /// What the log makes of it; nothing when there should be none.
    pub log: Option<Value>,
}

/// What of a view differs.
///
/// ```
/// use retell::read::What;
/// use serde_json::json;
///
/// let differ = [What::View, What::Index("owner,balance".to_owned())];
/// assert_eq!(serde_json::to_value(differ)?, json!(["view", {"index": "owner,balance"}]));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Its bytes.
    View,
    /// Its place in this index.
    Index(String),
}

impl Compared {
    pub(super) fn count(&mut self, difference: Difference) {
        self.differences += 1;
        self.first.get_or_insert_with(|| Arc::new(difference));
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            views: self.views + other.views,
            differences: self.differences + other.differences,
            first: self.first.or(other.first),
            incomplete: self.incomplete.or(other.incomplete),
        }
    }
}

/// Stored bytes for people: as JSON where they are.
pub(super) fn shown(stored: &Bytes) -> Value {
    let text = || Value::String(String::from_utf8_lossy(stored).into_owned());
    serde_json::from_slice(stored).unwrap_or_else(|_| text())
}
