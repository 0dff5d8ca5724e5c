//! Who everybody is: the settings of `[auth]` at work.

use std::sync::{Arc, RwLock};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::config::{AuthConfig, RateConfig};
use crate::ports::Clock;
use crate::shutdown::Shutdown;

use super::key::PREFIX;
use super::keys::Keys;
use super::principal::Principal;
use super::rate::Rates;
use super::reloading::Reloading;
use super::tokens::{Token, Tokens};
use super::{Asked, AuthError, Authorize, Refused};

/// Requests that may wait until the issuer has been asked; more are refused.
const WAITING_LEN_MAX: usize = 1_024;

/// Knows callers by their keys and tokens. Cheap to clone.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::adapters::SystemClock;
/// use retell::auth::{Authority, Identity};
/// use retell::config::Config;
/// use retell::shutdown::Shutdown;
/// use tokio::task::JoinSet;
///
/// # #[tokio::main] async fn main() -> Result<(), retell::auth::AuthError> {
/// let (config, stop, mut tasks) = (Config::ephemeral(), Shutdown::default(), JoinSet::new());
/// let settings = (&config.auth, &config.http.rate);
/// let clock = Arc::new(SystemClock);
/// let authority = Authority::start(settings, clock, None, &stop, &mut tasks).await?;
/// // As it comes nobody is asked who they are.
/// let Identity::Caller(caller) = authority.identify(None) else { panic!("everybody") };
/// assert_eq!((authority.asks(), caller.name()), (false, "anonymous"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Authority {
    known: Arc<Known>,
    wanted: mpsc::Sender<oneshot::Sender<()>>,
}

/// Who may be known at the moment.
pub(super) struct Known {
    keys: RwLock<Arc<Keys>>,
    pub(super) tokens: Option<Tokens>,
    rates: Rates,
    /// Everybody, where nobody is asked.
    anonymous: Option<Principal>,
    authorize: Option<Authorize>,
    clock: Arc<dyn Clock>,
}

/// What is known of a caller at once.
///
/// ```
/// use retell::auth::{Identity, Refused};
///
/// fn named(identity: Identity) -> Result<String, Refused> {
///     match identity {
///         Identity::Caller(caller) => Ok(caller.name().to_owned()),
///         Identity::Refused(refused) => Err(refused),
///         Identity::Unsure => Ok("only the issuer knows".to_owned()),
///     }
/// }
/// assert_eq!(named(Identity::Refused(Refused::Missing)), Err(Refused::Missing));
/// ```
pub enum Identity {
    /// Somebody.
    Caller(Principal),
    /// Nobody.
    Refused(Refused),
    /// Nobody, unless the issuer has a new key: see [`Authority::ask_issuer`].
    Unsure,
}

impl Authority {
    /// Reads what the settings name, and goes on reading it in `tasks` until `stop`.
    ///
    /// # Errors
    /// A file is not there, or wrong.
    pub async fn start(
        (config, rate): (&AuthConfig, &RateConfig),
        clock: Arc<dyn Clock>,
        authorize: Option<Authorize>,
        stop: &Shutdown,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, AuthError> {
        let rates = Rates::new(rate.clone());
        let anonymous = (!config.is_asked()).then(|| Principal::anonymous(rates.of("")));
        let tokens = config.jwt.is_used().then(|| Tokens::new(config.jwt.clone(), clock.clone()));
        let keys = RwLock::default();
        let known = Arc::new(Known { keys, tokens, rates, anonymous, authorize, clock });
        let mut reloading = Reloading::new(config)?;
        reloading.begin(&known).await?;
        let (wanted, requests) = mpsc::channel(WAITING_LEN_MAX);
        tasks.spawn(reloading.run(known.clone(), requests, stop.clone()));
        Ok(Self { known, wanted })
    }

    /// Who a caller is by what stands behind `Bearer`.
    #[must_use]
    pub fn identify(&self, bearer: Option<&str>) -> Identity {
        let known = &self.known;
        if let Some(anonymous) = &known.anonymous {
            return Identity::Caller(anonymous.clone());
        }
        let Some(bearer) = bearer else { return Identity::Refused(Refused::Missing) };
        if bearer.starts_with(PREFIX) {
            let found = known.keys().find(bearer);
            return found.map_or(Identity::Refused(Refused::UnknownKey), Identity::Caller);
        }
        let Some(tokens) = &known.tokens else {
            return Identity::Refused(Refused::UnknownKey);
        };
        match tokens.identify(bearer, &known.rates) {
            Token::Of(principal) => Identity::Caller(principal),
            Token::Refused(refused) => Identity::Refused(refused),
            Token::OfUnknownKey => Identity::Unsure,
        }
    }

    /// Asks the issuer for new keys, then says who a caller is.
    ///
    /// # Errors
    /// The issuer has no such key, either.
    pub async fn ask_issuer(&self, bearer: Option<&str>) -> Result<Principal, Refused> {
        let (asker, answered) = oneshot::channel();
        if self.wanted.try_send(asker).is_ok() {
            // Nobody is left to answer when the service ends.
            drop(answered.await);
        }
        match self.identify(bearer) {
            Identity::Caller(principal) => Ok(principal),
            Identity::Refused(refused) => Err(refused),
            Identity::Unsure => Err(Refused::BadToken("its key is none of the issuer's")),
        }
    }

    /// Whether callers are asked who they are.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.known.anonymous.is_none()
    }

    /// Whether a user's own decision allows what roles allow.
    #[must_use]
    pub fn allows(&self, principal: &Principal, asked: Asked<'_>) -> bool {
        self.known.authorize.as_ref().is_none_or(|authorize| authorize(principal, asked))
    }

    /// Whether somebody decides for each instance.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.known.authorize.is_some()
    }

    /// The clock by which callers end.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.known.clock.clone()
    }
}

impl Known {
    fn keys(&self) -> Arc<Keys> {
        self.keys.read().expect("no panic while it is held").clone()
    }

    /// Knows the keys of this text from now on, and no others.
    pub(super) fn set_keys(&self, text: &str) -> Result<(), String> {
        let keys = Keys::parse(text, &self.rates, &self.keys())?;
        *self.keys.write().expect("no panic while it is held") = Arc::new(keys);
        Ok(())
    }
}
