//! Every problem leaves as a document: what it says, and what it does not say.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt;
use uuid::Uuid;

use crate::adapters::SystemClock;
use crate::auth::Authority;
use crate::config::Config;
use crate::contract::{Offset, Partition, Position, Positions};
use crate::http::{answers::Answers, entrance::Entrance, frame, request_id::RequestIds};
use crate::shutdown::Shutdown;
use crate::write::BadCommand;

use super::*;

struct Answered {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Value,
}

async fn ask(routes: Router, request: Request<Body>) -> Answered {
    let (ids, config) = (RequestIds::new(Uuid::from_u128(7)), Config::defaults());
    let settings = (&config.auth, &config.http.rate);
    let (clock, stop, mut tasks) = (Arc::new(SystemClock), Shutdown::default(), JoinSet::new());
    let authority = Authority::start(settings, clock, None, &stop, &mut tasks);
    let entrance = Entrance::new(authority.await.expect("nobody is asked"), String::new(), false);
    let routes = routes.method_not_allowed_fallback(method_not_allowed).fallback(no_route).layer(
        frame::FrameLayer {
            ids,
            entrance,
            answers: Answers::new(),
            base_path: "".into(),
            is_tls: false,
        },
    );
    let response = routes.oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("body").to_bytes();
    let body = serde_json::from_slice(&body).expect("a document");
    Answered { status: parts.status, headers: parts.headers, body }
}

async fn answer_of(problem: Problem) -> Answered {
    let problem = std::sync::Mutex::new(Some(problem));
    let take = move || {
        let problem = problem.lock().expect("lock").take().expect("one request");
        std::future::ready(problem)
    };
    let take = Arc::new(take);
    let routes = Router::new().route("/", get(move || take()));
    ask(routes, get_request("/")).await
}

fn get_request(uri: &str) -> Request<Body> {
    Request::get(uri).header("x-request-id", "mine").body(Body::empty()).expect("request")
}

#[tokio::test]
async fn a_problem_is_a_document_that_names_the_request() {
    let refusal = Refusal::new("insufficient_funds", "the balance is 5");
    let position = Position { partition: Partition(5), offset: Offset(12) };
    let on = DecidedOn { version: Version(3), position };
    let answered = answer_of(Problem::Refused { refusal, on }).await;
    assert_eq!(answered.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answered.headers["content-type"], "application/problem+json");
    assert_eq!(answered.headers["x-request-id"], "mine");
    assert_eq!(answered.headers["etag"], "\"3\"");
    assert_eq!(answered.headers["retell-position"], "5@12");
    assert_eq!(
        answered.body,
        json!({
            "type": "urn:retell:problem:refused",
            "code": "insufficient_funds",
            "title": "The domain refused the command",
            "status": 422,
            "detail": "the balance is 5",
            "instance": "mine",
        })
    );
}

#[tokio::test]
async fn a_route_that_is_not_there_is_a_problem() {
    let answered = ask(Router::new(), get_request("/nowhere")).await;
    assert_eq!(answered.status, StatusCode::NOT_FOUND);
    assert_eq!(answered.body["code"], "no_such_route");
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_lists_the_right_ones() {
    let routes = Router::new().route("/", post(|| async {}));
    let answered = ask(routes, get_request("/")).await;
    assert_eq!(answered.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answered.headers["allow"], "POST");
    assert_eq!(answered.body["code"], "method_not_allowed");
}

#[tokio::test]
async fn an_endless_uri_is_a_problem() {
    let uri = format!("/{}", "x".repeat(40_000));
    let answered = ask(Router::new(), get_request(&uri)).await;
    assert_eq!(answered.status, StatusCode::URI_TOO_LONG);
    assert_eq!(answered.body["code"], "uri_too_long");
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing_of_it() {
    async fn fails() {
        assert!(String::new().contains("the password"), "the password is 1234");
    }
    let answered = ask(Router::new().route("/", get(fails)), get_request("/")).await;
    assert_eq!(answered.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answered.body["instance"], "mine");
    assert!(!answered.body.to_string().contains("1234"), "{}", answered.body);
}

#[tokio::test]
async fn what_is_inside_stays_inside() {
    let secret = || "broker-7.internal:9092".to_owned();
    let space = secret();
    for problem in [
        Problem::Command(Failure::LogUnavailable(secret())),
        Problem::Command(Failure::Bug(secret())),
        Problem::Command(Failure::HistoryUnreadable { target: "a/b".into(), detail: secret() }),
        Problem::Query(QueryError::LogUnavailable(secret())),
        Problem::Query(StoreError::Unavailable(secret()).into()),
        Problem::Query(StoreError::Full(secret()).into()),
        Problem::Query(StoreError::Settings(vec![secret()]).into()),
        Problem::Query(StoreError::Torn { space, detail: secret() }.into()),
        Problem::Panic(secret()),
    ] {
        assert!(problem.cause().contains("broker-7"), "the log is told: {problem:?}");
        let name = format!("{problem:?}");
        let answered = answer_of(problem).await;
        assert!(answered.status.is_server_error(), "{name}");
        assert!(!answered.body.to_string().contains("broker-7"), "{name}: {}", answered.body);
    }
}

#[tokio::test]
async fn only_what_was_not_done_may_be_repeated() {
    let behind = || QueryError::Behind("partition 3 is at 7".to_owned());
    for (problem, status, code, repeat) in [
        (Problem::Command(Failure::OutOfTurn), 503, "out_of_turn", true),
        (Problem::Command(Failure::QueueFull { partition: 1 }), 503, "queue_full", true),
        (Problem::Command(Failure::CacheFull { max: 1 }), 503, "cache_full", true),
        (Problem::Command(Failure::StateUnavailable("x".into())), 503, "state_unavailable", true),
        (Problem::Command(Failure::KeysFull { max: 1 }), 503, "keys_full", true),
        (Problem::Command(Failure::SearchTimeout), 503, "search_timeout", true),
        (no_owner(), 503, "no_owner", true),
        (Problem::Command(Failure::LogUnavailable("x".into())), 503, "log_unavailable", true),
        (history_unreadable(), 503, "history_unreadable", true),
        (Problem::Command(Failure::DecideTimeout(5)), 503, "decide_timeout", true),
        (Problem::Command(Failure::ShuttingDown), 503, "shutting_down", true),
        (Problem::Query(behind()), 503, "behind", true),
        (Problem::Command(Failure::OutcomeUnknown), 504, "outcome_unknown", false),
        (Problem::OutcomeUnknown, 504, "outcome_unknown", true),
        (Problem::Command(Failure::Bug("x".into())), 500, "internal", false),
        (events_too_large(), 413, "events_too_large", false),
    ] {
        let answered = answer_of(problem).await;
        assert_eq!(answered.status.as_u16(), status, "{code}");
        assert_eq!(answered.body["code"], code);
        assert_eq!(answered.headers.contains_key("retry-after"), repeat, "{code}");
    }
}

#[tokio::test]
async fn what_the_client_did_wrong_is_told_in_full() {
    let end = Offset(9);
    let position = Position { partition: Partition(5), offset: Offset(12) };
    let partition_unknown = QueryError::PartitionUnknown { position, partitions: 4 };
    let field = bad_field();
    for (problem, status, code, said) in [
        (
            Problem::Command(Failure::UnknownAggregate("acount".into())),
            404,
            "unknown_aggregate",
            "`acount`",
        ),
        (
            Problem::Query(QueryError::UnknownProjection("x".into())),
            404,
            "unknown_projection",
            "GET /projections",
        ),
        (not_found(), 404, "view_not_found", "Retell-Position"),
        (
            Problem::Query(QueryError::PositionUnknown { position, end }),
            400,
            "position_unknown",
            "ends at 9",
        ),
        (Problem::Query(partition_unknown), 400, "position_unknown", "4 partitions"),
        (Problem::Command(Failure::BadCommand(field)), 400, "bad_field", "line 2, column 7"),
        (Problem::Replay(ReplayError::Running(Uuid::nil())), 409, "replay_running", "Location"),
        (Problem::Operation(OperationError::NothingBefore), 409, "nothing_before", "keep_previous"),
        (Problem::NotAVersion("If-Match"), 400, "not_a_version", "If-Match"),
    ] {
        let answered = answer_of(problem).await;
        assert_eq!(answered.status.as_u16(), status, "{code}");
        assert_eq!(answered.body["code"], code);
        let detail = answered.body["detail"].as_str().expect("detail");
        assert!(detail.contains(said), "{detail}");
    }
}

/// Log lines, as a person reads them.
#[cfg(feature = "cli")]
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(feature = "cli")]
impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn a_failure_of_ours_is_logged_once_under_the_requests_id_and_no_other() {
    let lines = Lines::default();
    let writer = lines.clone();
    let logging = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    let _logged = tracing::subscriber::set_default(logging.finish());
    answer_of(Problem::Command(Failure::Bug("the cause".into()))).await;
    answer_of(Problem::Command(Failure::UnknownAggregate("acount".into()))).await;
    let said = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in ["ERROR", "request=\"mine\"", "code=internal", "the cause"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn no_owner() -> Problem {
    Problem::Command(Failure::NoOwner { partition: 1, detail: "claiming".into() })
}

fn history_unreadable() -> Problem {
    Problem::Command(Failure::HistoryUnreadable { target: "a/b".into(), detail: "x".into() })
}

fn events_too_large() -> Problem {
    Problem::Command(Failure::EventsTooLarge { len: 9, max: 5 })
}

fn not_found() -> Problem {
    Problem::Query(QueryError::NotFound { positions: Positions::default() })
}

fn bad_field() -> BadCommand {
    let (command, path) = ("DepositMoney".to_owned(), "amount".to_owned());
    BadCommand::BadField { command, path, detail: "expected i64".into(), line: 2, column: 7 }
}
