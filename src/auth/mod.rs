//! Who asks, and what they may: API keys, tokens (JWT), roles, and a user's own decision for each
//! instance.
//!
//! It knows no HTTP: the door hands it what stands behind `Bearer`, and gets a [`Principal`]. No
//! error, no `Debug` and no log line of it shows a key, a token or a secret.

mod authority;
mod key;
mod keys;
mod principal;
mod rate;
mod reloading;
mod role;
mod tokens;

use std::sync::Arc;

use crate::contract::{Key, Target};

pub use authority::{Authority, Identity};
pub use key::NewKey;
pub use principal::{End, Principal};
pub use role::{Grants, InvalidGrant, Role};

/// What somebody wants to do, of which roles know only the kind.
///
/// ```
/// use retell::app::App;
/// use retell::auth::Asked;
///
/// // Everybody has one account, under the own name.
/// let application = App::ephemeral().shipped().authorize(|caller, asked| match asked {
///     Asked::Command { target, .. } | Asked::Aggregate(target) => target.id() == caller.name(),
///     Asked::View { key, .. } => key.as_str() == caller.name(),
///     _ => false,
/// });
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Asked<'a> {
    /// To send a command, or to know what became of one.
    Command {
        /// To whom.
        target: &'a Target,
        /// The command's JSON as it was received; none where only its outcome is asked for.
        json: Option<&'a [u8]>,
    },
    /// To read the state or the events of an aggregate.
    Aggregate(&'a Target),
    /// To read or follow a view.
    View {
        /// The projection.
        projection: &'a str,
        /// The view's key.
        key: &'a Key,
    },
    /// To list or follow the views of a projection.
    Views(&'a str),
    /// To read or follow the records of all aggregates.
    Log,
}

/// Decides for each instance, beyond what roles allow. It is asked often, and must not wait.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::auth::{Asked, Authorize, Principal};
///
/// let readers: Authorize = Arc::new(|_, asked| !matches!(asked, Asked::Command { .. }));
/// let ann = Principal::new("ann", "read".parse()?).expect("a name");
/// assert!(readers(&ann, Asked::Views("accounts")));
/// # Ok::<(), retell::auth::InvalidGrant>(())
/// ```
pub type Authorize = Arc<dyn Fn(&Principal, Asked<'_>) -> bool + Send + Sync>;

/// A caller is not taken for somebody. The text is told to the caller.
///
/// ```
/// use retell::auth::Refused;
///
/// assert_eq!(Refused::Expired.to_string(), "the token has expired");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Nothing was sent.
    #[error("send a key or a token: Authorization: Bearer …")]
    Missing,
    /// There is no such key, or no longer.
    #[error("the key is not known")]
    UnknownKey,
    /// It is neither a key nor a token of this service's issuer; also where there is no issuer.
    #[error("the token is not valid: {0}")]
    BadToken(&'static str),
    /// It was valid.
    #[error("the token has expired")]
    Expired,
}

/// Why nobody can be identified: a file or an address in the settings cannot be used.
///
/// ```
/// use retell::app::App;
/// use retell::config::Config;
///
/// # #[tokio::main] async fn main() {
/// let mut config = Config::ephemeral();
/// config.auth.keys_file = "/nowhere/keys".to_owned();
/// let error = App::builder(config).shipped().build().await.err().expect("no such file");
/// assert!(error.to_string().contains("auth.keys_file"));
/// # }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error("{setting}: {detail}")]
pub struct AuthError {
    /// The setting.
    pub setting: &'static str,
    /// What is wrong; no part of a secret.
    pub detail: String,
}
