//! Somebody who asks, as long as that holds.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::Time;
use crate::ports::Clock;
use crate::shutdown::Shutdown;

use super::rate::Bucket;
use super::role::{Grants, Role};

/// The longest name of a caller, in bytes.
const NAME_LEN_MAX: usize = 200;

/// Somebody who asks: a name and roles. Cheap to clone.
///
/// A layer of a user's own around the router may put one into a request's extensions; then the
/// door asks nobody else who it is.
///
/// ```
/// use retell::auth::{Principal, Role};
///
/// let caller = Principal::new("ann", "read,write:account".parse()?).expect("a name");
/// assert_eq!(caller.name(), "ann");
/// assert!(caller.has(Role::Read) && !caller.has(Role::Write));
/// # Ok::<(), retell::auth::InvalidGrant>(())
/// ```
#[derive(Clone, Debug)]
pub struct Principal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// None: nobody was asked who they are.
    name: Option<String>,
    grants: Grants,
    /// When the token ends.
    until: Option<Time>,
    /// Requested when the key is taken away.
    revoked: Shutdown,
    bucket: Option<Arc<Bucket>>,
}

/// Why a caller is none any more.
///
/// ```
/// use retell::auth::End;
///
/// assert_eq!([End::Expired, End::Revoked].map(End::as_str), ["expired", "revoked"]);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The token has ended.
    Expired,
    /// The key was taken away.
    Revoked,
}

impl Principal {
    /// A caller that somebody else knows. None when the name has no or more than 200 bytes, or
    /// control characters.
    #[must_use]
    pub fn new(name: &str, grants: Grants) -> Option<Self> {
        is_name(name).then(|| Self::of(Some(name), grants, None, None))
    }

    /// Everybody, where nobody is asked who they are.
    pub(super) fn anonymous(bucket: Option<Arc<Bucket>>) -> Self {
        Self::of(None, Grants::all(), None, bucket)
    }

    /// The name has been checked.
    pub(super) fn of(
        name: Option<&str>,
        grants: Grants,
        until: Option<Time>,
        bucket: Option<Arc<Bucket>>,
    ) -> Self {
        let (name, revoked) = (name.map(str::to_owned), Shutdown::default());
        Self(Arc::new(Inner { name, grants, until, revoked, bucket }))
    }

    /// The caller's name; `anonymous` where nobody is asked.
    #[must_use]
    pub fn name(&self) -> &str {
        self.known_name().unwrap_or("anonymous")
    }

    /// The name, if the caller was asked for it.
    #[must_use]
    pub fn known_name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The caller's roles.
    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    /// Whether the caller has all of a role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.0.grants.allow(role)
    }

    /// Takes the caller's turn, or says how long to wait for it.
    ///
    /// # Errors
    /// The caller asks more often than the settings allow.
    pub fn take_turn(&self) -> Result<(), Duration> {
        self.0.bucket.as_ref().map_or(Ok(()), |bucket| bucket.take())
    }

    /// Returns when the caller is none any more.
    pub async fn ended(&self, clock: &dyn Clock) -> End {
        let expired = async {
            match self.0.until {
                Some(until) => {
                    let left = Duration::from_millis(until.millis_since(clock.now()));
                    tokio::time::sleep(left).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = expired => End::Expired,
            () = self.0.revoked.requested() => End::Revoked,
        }
    }

    pub(super) fn has_ended(&self, now: Time) -> bool {
        self.0.until.is_some_and(|until| until <= now)
    }

    pub(super) fn revoke(&self) {
        self.0.revoked.request();
    }
}

impl End {
    /// Its name in an event stream.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// Whether a caller may have this name: it stands in records and log lines.
pub(super) fn is_name(text: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}
