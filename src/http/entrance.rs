//! Who comes in: the role that each path needs, and whether the caller has it.
//!
//! It is decided by the head of a request, before anything of it is read or routed. A path that is
//! not in the table needs a caller, so that a new route is closed until it is put there.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap};

use crate::auth::{Asked, Authority, Identity, Principal, Role};
use crate::contract::{Key, Target};

use super::problem::Problem;
use super::{Door, extract};

/// Admits requests.
#[derive(Clone)]
pub(super) struct Entrance(Arc<Inner>);

struct Inner {
    authority: Authority,
    base_path: String,
    metrics_open: bool,
}

/// Whether a request comes in.
pub(super) enum Admission {
    Enter,
    Refuse(Problem),
    /// Only the issuer can tell: see [`Entrance::ask`].
    Ask,
}

/// What a path needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Need<'a> {
    Nothing,
    /// Anybody who is known.
    Caller,
    /// All of a role.
    All(Role),
    /// Something of a role; who answers looks what.
    Some(Role),
    /// A role for the aggregate type or projection of this name, as it stands in the path.
    Of(Role, &'a str),
}

impl Entrance {
    pub(super) fn new(authority: Authority, base_path: String, metrics_open: bool) -> Self {
        Self(Arc::new(Inner { authority, base_path, metrics_open }))
    }

    /// Admits by what is known at once.
    pub(super) fn admit(&self, request: &mut Request) -> Admission {
        let need = self.need(request.uri().path());
        if need == Need::Nothing {
            return Admission::Enter;
        }
        // A layer around the router may know already.
        let known = request.extensions().get::<Principal>().cloned();
        let identity = known
            .map_or_else(|| self.0.authority.identify(bearer(request.headers())), Identity::Caller);
        match identity {
            Identity::Caller(caller) => match check(&caller, need) {
                Ok(()) => {
                    request.extensions_mut().insert(caller);
                    Admission::Enter
                }
                Err(problem) => Admission::Refuse(problem),
            },
            Identity::Refused(refused) => Admission::Refuse(Problem::Unauthenticated(refused)),
            Identity::Unsure => Admission::Ask,
        }
    }

    /// Admits when the issuer was asked.
    pub(super) async fn ask(&self, request: &mut Request) -> Result<(), Problem> {
        let bearer = bearer(request.headers()).map(str::to_owned);
        let caller = self.0.authority.ask_issuer(bearer.as_deref()).await;
        let caller = caller.map_err(Problem::Unauthenticated)?;
        check(&caller, self.need(request.uri().path()))?;
        request.extensions_mut().insert(caller);
        Ok(())
    }

    fn need<'p>(&self, path: &'p str) -> Need<'p> {
        // Elsewhere there is no route.
        let Some(path) = path.strip_prefix(&self.0.base_path) else { return Need::Nothing };
        match need(path) {
            Need::Caller if path == "/metrics" && self.0.metrics_open => Need::Nothing,
            need => need,
        }
    }
}

fn need(path: &str) -> Need<'_> {
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let (first, second) = (segments.next().unwrap_or_default(), segments.next());
    let of = |role| second.map_or(Need::Some(role), |name| Need::Of(role, name));
    match (first, second) {
        // Without data: a shell, the forms of requests and answers, and whether the service runs.
        ("" | "dashboard" | "docs" | "openapi.json" | "schemas" | "health", _) => Need::Nothing,
        ("commands", _) => of(Role::Write),
        ("projections", _) => of(Role::Read),
        ("aggregates", _) => of(Role::Audit),
        // What belongs together is of many types.
        ("events" | "traces", _) => Need::All(Role::Audit),
        ("admin", Some("me")) => Need::Caller,
        ("admin", _) => Need::All(Role::Admin),
        _ => Need::Caller,
    }
}

/// Whether a path, below the base path, is for everybody.
pub(super) fn is_open(path: &str) -> bool {
    need(path) == Need::Nothing
}

fn check(caller: &Principal, need: Need<'_>) -> Result<(), Problem> {
    let grants = caller.grants();
    let (role, of) = match need {
        Need::Nothing | Need::Caller => return turn(caller),
        Need::All(role) if grants.allow(role) => return turn(caller),
        Need::Some(role) if grants.allow_some(role) => return turn(caller),
        Need::All(role) | Need::Some(role) => (role, None),
        // Most have all of a role; then the name need not be read.
        Need::Of(role, _) if grants.allow(role) => return turn(caller),
        Need::Of(role, name) => match extract::decoded(name, "name") {
            Ok(name) if grants.allow_for(role, &name) => return turn(caller),
            Ok(name) => (role, Some(name.chars().take(100).collect())),
            Err(_) => (role, None),
        },
    };
    Err(Problem::MissingRole { role, of })
}

fn turn(caller: &Principal) -> Result<(), Problem> {
    caller.take_turn().map_err(|wait: Duration| Problem::TooOften { wait })
}

/// What stands behind `Bearer`, which is written in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

/// Who asks. The frame has let nobody in who is not known.
pub(super) fn caller(extensions: &Extensions) -> &Principal {
    extensions.get().expect("the frame puts a caller into each request that needs one")
}

impl Door {
    /// Refuses what a user's own decision does not allow; where nobody decides, it is not asked.
    pub(super) fn permit(&self, caller: &Principal, asked: Asked<'_>) -> Result<(), Problem> {
        if self.authority.allows(caller, asked) { Ok(()) } else { Err(Problem::NotPermitted) }
    }

    /// The aggregate that a user's own decision is asked for; none where nobody decides, and none
    /// for what is no type of an aggregate, which is not there, whoever asks.
    pub(super) fn judged(&self, aggregate: &str, id: &Key) -> Option<Target> {
        let text = || format!("{aggregate}/{id}");
        self.authority.decides().then(|| Target::parse(text().as_bytes()).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::ROUTES;
    use super::*;

    /// What each route needs. A route that is not here fails the test.
    const NEEDS: &[(&str, Need<'_>)] = &[
        ("/commands", Need::Some(Role::Write)),
        ("/commands/{aggregate}", Need::Of(Role::Write, "{aggregate}")),
        ("/commands/{aggregate}/{id}", Need::Of(Role::Write, "{aggregate}")),
        ("/commands/{aggregate}/{id}/{command_id}", Need::Of(Role::Write, "{aggregate}")),
        ("/projections", Need::Some(Role::Read)),
        ("/projections/{name}", Need::Of(Role::Read, "{name}")),
        ("/projections/{name}/{key}", Need::Of(Role::Read, "{name}")),
        ("/aggregates/{aggregate}/{id}", Need::Of(Role::Audit, "{aggregate}")),
        ("/aggregates/{aggregate}/{id}/events", Need::Of(Role::Audit, "{aggregate}")),
        ("/events", Need::All(Role::Audit)),
        ("/traces/{correlation_id}", Need::All(Role::Audit)),
        ("/schemas/{aggregate}/{event}/{schema}", Need::Nothing),
        ("/admin/me", Need::Caller),
        ("/health/live", Need::Nothing),
        ("/health/ready", Need::Nothing),
        ("/metrics", Need::Caller),
        ("/openapi.json", Need::Nothing),
        ("/docs", Need::Nothing),
        ("/docs/style.css", Need::Nothing),
        ("/dashboard/{file}", Need::Nothing),
        ("/", Need::Nothing),
    ];

    #[test]
    fn each_route_needs_the_role_that_the_design_gives_it() {
        for route in ROUTES {
            let path = route.split_once(' ').expect("METHOD PATH").1;
            let path = path.replace("{*file}", "{file}");
            let expected = NEEDS.iter().find(|(of, _)| *of == path).map(|(_, need)| *need);
            let is_admin = path.starts_with("/admin/");
            let expected = expected.or(is_admin.then_some(Need::All(Role::Admin)));
            assert_eq!(Some(need(&path)), expected, "{route}");
        }
    }

    #[test]
    fn what_is_in_no_table_is_closed() {
        for path in ["/secrets", "/Admin/status", "/%61dmin/status", "//admin/status", "/command"] {
            let need = need(path);
            assert!(matches!(need, Need::Caller | Need::Nothing), "{path}");
            // An empty first segment is the shell, below which no route begins.
            assert_eq!(need == Need::Nothing, path.starts_with("//"), "{path}");
        }
    }

    #[test]
    fn a_bearer_is_read_in_any_case_and_nothing_else_is() {
        let read = |value: &str| {
            let value = value.parse().expect("a header");
            bearer(&HeaderMap::from_iter([(AUTHORIZATION, value)])).map(str::to_owned)
        };
        assert_eq!(read("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(read("bEARER  abc ").as_deref(), Some("abc"));
        for other in ["Basic YTpi", "abc", "Bearer", "Bearerabc"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
