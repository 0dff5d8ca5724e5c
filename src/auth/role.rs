//! Roles, and what of them a caller has: all of a role, or one aggregate type or projection of it.

use std::fmt;
use std::str::FromStr;

use crate::contract::Name;

/// What a caller may do.
///
/// ```
/// use retell::auth::{Grants, Role};
///
/// assert_eq!(Role::Audit.as_str(), "audit");
/// assert!(Grants::all().allow(Role::Audit));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Read views.
    Read,
    /// Read aggregates and events, which publish private state.
    Audit,
    /// Send commands.
    Write,
    /// Operate the service.
    Admin,
}

/// The roles of a caller, such as `read,write:account`.
///
/// ```
/// use retell::auth::{Grants, Role};
///
/// let grants: Grants = "read,write:account".parse()?;
/// assert!(grants.allow_for(Role::Write, "account") && !grants.allow_for(Role::Write, "message"));
/// assert_eq!(grants.to_string(), "read,write:account");
/// # Ok::<(), retell::auth::InvalidGrant>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Grants(Vec<Grant>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Grant {
    role: Role,
    /// The aggregate type, or of `read` the projection; none: all of them.
    only: Option<String>,
}

/// A text that names no role.
///
/// ```
/// let error = "reader".parse::<retell::auth::Grants>().expect_err("no role");
/// assert!(error.to_string().starts_with("`reader` is no role"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is no role; there are read, audit, write, admin, and one type such as write:account"
)]
pub struct InvalidGrant(String);

impl Role {
    const ALL: [Self; 4] = [Self::Read, Self::Audit, Self::Write, Self::Admin];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Audit => "audit",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl Grants {
    /// Every role.
    #[must_use]
    pub fn all() -> Self {
        Self(Role::ALL.map(|role| Grant { role, only: None }).into())
    }

    /// Those of the names that are roles. An issuer's tokens name those of other services, too.
    pub(super) fn known<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.filter_map(|name| name.parse().ok()).collect())
    }

    /// Whether all of a role is there.
    #[must_use]
    pub fn allow(&self, role: Role) -> bool {
        self.0.iter().any(|grant| grant.role == role && grant.only.is_none())
    }

    /// Whether a role is there for this aggregate type or projection.
    #[must_use]
    pub fn allow_for(&self, role: Role, name: &str) -> bool {
        let fits = |only: &Option<String>| only.as_deref().is_none_or(|only| only == name);
        self.0.iter().any(|grant| grant.role == role && fits(&grant.only))
    }

    /// Whether a role is there for anything.
    #[must_use]
    pub fn allow_some(&self, role: Role) -> bool {
        self.0.iter().any(|grant| grant.role == role)
    }

    /// Each of them, as text.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Grant::to_string)
    }
}

impl FromStr for Grants {
    type Err = InvalidGrant;

    /// Separated by commas; `-` or nothing: none.
    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        if matches!(text, "" | "-") {
            return Ok(Self::default());
        }
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        let invalid = || InvalidGrant(text.chars().take(100).collect());
        let (role, only) = text.split_once(':').map_or((text, None), |(r, only)| (r, Some(only)));
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role);
        let role = role.ok_or_else(invalid)?;
        // There is one service to operate, whatever it folds.
        let is_right = only.is_none_or(|only| role != Role::Admin && Name::is_one(only));
        if is_right { Ok(Self { role, only: only.map(str::to_owned) }) } else { Err(invalid()) }
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.write_str(if names.is_empty() { "-" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role.as_str())?;
        self.only.iter().try_for_each(|only| write!(f, ":{only}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_of_one_type_is_not_that_of_another_and_not_the_whole() {
        let grants: Grants = "read,write:account".parse().expect("roles");
        assert!(grants.allow(Role::Read) && grants.allow_for(Role::Read, "accounts"));
        assert!(grants.allow_for(Role::Write, "account") && grants.allow_some(Role::Write));
        assert!(!grants.allow_for(Role::Write, "message") && !grants.allow(Role::Write));
        assert!(!grants.allow_some(Role::Audit) && !grants.allow_some(Role::Admin));
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for text in ["read", "read,audit:account,write,admin", "-"] {
            assert_eq!(text.parse::<Grants>().expect(text).to_string(), text);
        }
        for text in ["reads", "read,", "read:", "read:A", "admin:accounts", "read audit", "*"] {
            assert!(text.parse::<Grants>().is_err(), "{text}");
        }
    }

    #[test]
    fn other_services_roles_in_a_token_are_passed_over() {
        let grants = Grants::known(["offline_access", "read", "write:*"].into_iter());
        assert_eq!(grants.to_string(), "read");
    }
}
