//! Lists over HTTP: what indexes serve, page by page, and what is said about anything else.

use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

/// Accounts of two owners with balances 0 to 10, in all partitions; the last answer's position is
/// that of all, since every partition has been heard of.
async fn with_accounts() -> (TestApp, String) {
    let app = TestApp::spawn().await;
    let mut positions = Vec::new();
    for i in 0..11 {
        let (id, owner) = (format!("a{i}"), ["Ann B.", "Bob"][i % 2]);
        let mut answer = app.open_account(&id, owner).await.ok();
        if i > 0 {
            answer = app.deposit(&id, i64::try_from(i).expect("few")).await.ok();
        }
        positions.push(answer.header("retell-position").to_owned());
    }
    (app, positions.join(", "))
}

async fn list(app: &TestApp, parameters: &str, after: &str) -> Answer {
    let path = format!("/projections/accounts?{parameters}");
    let request = app.request(reqwest::Method::GET, &path).header("retell-position", after);
    app.ask(request.header("prefer", "wait=20")).await
}

fn balances(answer: &Answer) -> Vec<i64> {
    let items = answer.json()["items"].as_array().cloned().expect("items");
    items.iter().map(|item| item["balance"].as_i64().expect("a balance")).collect()
}

/// R3, for lists.
#[tokio::test]
async fn a_list_is_read_as_of_the_commands_just_answered() {
    let (app, after) = with_accounts().await;
    let page = list(&app, "sort=balance", &after).await.ok();
    assert_eq!(balances(&page), (0..11).collect::<Vec<_>>());
    assert_eq!(page.json()["next_cursor"], Value::Null);
    assert_eq!(page.header("preference-applied"), "wait=20");
    assert_eq!(page.header("retell-position").split(',').count(), 4, "one for each partition");
    assert_eq!(page.header("cache-control"), "no-cache");
    let view = app.get("/projections/accounts/a7").await.ok();
    assert_eq!(page.json()["items"][7], view.json());
}

#[tokio::test]
async fn a_list_is_filtered_sorted_and_paged() {
    let (app, after) = with_accounts().await;
    for (parameters, expected) in [
        ("sort=-balance&limit=3", vec![10, 9, 8]),
        ("owner=Ann+B.", vec![0, 2, 4, 6, 8, 10]),
        ("owner=Ann%20B.&sort=-balance&balance.lt=8&balance.gte=2", vec![6, 4, 2]),
        ("balance.gt=8", vec![9, 10]),
        ("balance.lte=1&sort=-balance", vec![1, 0]),
        ("balance=7", vec![7]),
        ("owner=Ann", vec![]),
        ("balance.null=true", vec![]),
        ("balance.null=false&limit=1", vec![0]),
        ("status=open&sort=opened_at&limit=2", vec![0, 1]),
        ("status=open&opened_at.lt=2001-01-01T00:00:00Z", vec![]),
        ("key.gte=a10&key.lt=a3", vec![10, 2]),
        ("sort=-key&limit=2", vec![9, 8]),
        ("", vec![0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]),
    ] {
        assert_eq!(balances(&list(&app, parameters, &after).await.ok()), expected, "{parameters}");
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&app, &format!("sort=-balance&limit=4{cursor}"), &after).await.ok();
        found.extend(balances(&page));
        match page.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, (0..11).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_no_index_serves_is_told_with_the_indexes() {
    let (app, _) = with_accounts().await;
    for (parameters, wrong) in [
        ("sort=colour", "sort"),
        ("colour=red", "colour"),
        ("status=open&owner=Bob", "status"),
        ("owner=Bob&sort=opened_at", "sort"),
        ("owner.gt=A&balance.gt=1", "balance.gt"),
        ("updated_at.gt=2026-01-01T00:00:00Z", "updated_at.gt"),
    ] {
        let answer = app.get(&format!("/projections/accounts?{parameters}")).await;
        let detail = answer.problem(400, "not_indexed");
        assert!(detail.contains(&format!("`{wrong}`")), "{detail}");
        assert_eq!(answer.json()["parameter"], wrong);
        let indexes = json!([["key"], ["balance"], ["owner", "balance"], ["status", "opened_at"]]);
        assert_eq!(answer.json()["indexes"], indexes);
    }
    let merged = app.get("/projections/account-totals").await;
    merged.problem(400, "not_indexed");
    assert_eq!(merged.json()["indexes"], json!([]));
    app.get("/projections/acounts?sort=balance").await.problem(404, "unknown_projection");
}

#[tokio::test]
async fn a_parameter_that_is_none_is_told_with_what_is_expected() {
    let (app, after) = with_accounts().await;
    for (parameters, wrong, said) in [
        ("balance.gte=much", "balance.gte", "a whole number"),
        ("balance=1.5", "balance", "a whole number"),
        ("status=open&opened_at.gt=noon", "opened_at.gt", "a time"),
        ("balance.null=perhaps", "balance.null", "true or false"),
        ("limit=0", "limit", "from 1 to 1000"),
        ("limit=1001", "limit", "from 1 to 1000"),
        ("limit=many", "limit", "from 1 to 1000"),
        ("balance.about=7", "balance.about", ".gte"),
        ("sort=balance&sort=owner", "sort", "once"),
        ("balance=1&balance=2", "balance", "once"),
    ] {
        let answer = app.get(&format!("/projections/accounts?{parameters}")).await;
        let detail = answer.problem(400, "bad_parameter");
        assert!(detail.contains(said), "{parameters}: {detail}");
        assert_eq!(answer.json()["parameter"], wrong);
    }
    app.get("/projections/accounts?owner=%zz").await.problem(400, "bad_id");
    let first = list(&app, "sort=balance&limit=2", &after).await.ok().json();
    let cursor = first["next_cursor"].as_str().expect("there is more").to_owned();
    let changed = format!("{}{}", &cursor[..cursor.len() - 1], "g");
    for parameters in [
        format!("sort=-balance&limit=2&cursor={cursor}"),
        format!("sort=balance&owner=Bob&cursor={cursor}"),
        format!("sort=balance&cursor={changed}"),
        format!("sort=balance&cursor={}", &cursor[2..]),
        "sort=balance&cursor=".to_owned(),
    ] {
        let answer = app.get(&format!("/projections/accounts?{parameters}")).await;
        answer.problem(400, "bad_cursor");
        assert_eq!(answer.json()["parameter"], "cursor");
    }
    let other_limit = format!("sort=balance&limit=3&cursor={cursor}");
    assert_eq!(balances(&list(&app, &other_limit, &after).await.ok()), [2, 3, 4]);
}

#[tokio::test]
async fn a_page_ends_after_so_many_bytes_and_goes_on_by_its_cursor() {
    let app = TestApp::spawn_with(|config| config.queries.page_bytes_max = 1).await;
    let mut after = Vec::new();
    for i in 0..5 {
        after.push(app.open_account(&format!("a{i}"), "Ann").await.ok());
    }
    let after: Vec<&str> = after.iter().map(|answer| answer.header("retell-position")).collect();
    let (mut keys, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&app, &format!("limit=3{cursor}"), &after.join(", ")).await.ok().json();
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= 1, "{page}");
        keys.extend(items.iter().map(|item| item["id"].as_str().expect("id").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(keys, ["a0", "a1", "a2", "a3", "a4"]);
}

#[tokio::test]
async fn a_list_that_does_not_get_there_in_time_is_behind() {
    let app = TestApp::spawn_with(|config| config.read.paused = vec!["accounts".to_owned()]).await;
    let opened = app.open_account("ann", "Ann").await.ok();
    let request = app.request(reqwest::Method::GET, "/projections/accounts");
    let request = request.header("retell-position", opened.header("retell-position"));
    let behind = app.ask(request.header("prefer", "wait=0")).await;
    behind.problem(503, "behind");
    behind.header("retry-after");
    assert_eq!(behind.header("preference-applied"), "wait=0");
}

#[tokio::test]
async fn a_list_as_of_a_position_that_is_not_in_the_log_is_refused() {
    let (app, _) = with_accounts().await;
    for (position, code) in [("0@99999", "position_unknown"), ("x", "bad_position")] {
        let request = app.request(reqwest::Method::GET, "/projections/accounts?sort=balance");
        app.ask(request.header("retell-position", position)).await.problem(400, code);
    }
}

#[tokio::test]
async fn an_owner_has_the_totals_of_her_accounts_in_all_partitions() {
    let (app, after) = with_accounts().await;
    let totals = async |key: &str| {
        let path = format!("/projections/account-totals/{key}");
        let request = app.request(reqwest::Method::GET, &path).header("retell-position", &*after);
        app.ask(request.header("prefer", "wait=20")).await.ok().json()
    };
    let ann = totals("owner:Ann%20B.").await;
    assert_eq!((ann["accounts"].as_u64(), ann["balance"].as_i64()), (Some(6), Some(30)));
    let (bob, all) = (totals("owner:Bob").await, totals("all").await);
    assert_eq!((bob["accounts"].as_u64(), bob["balance"].as_i64()), (Some(5), Some(25)));
    assert_eq!((all["accounts"].as_u64(), all["balance"].as_i64()), (Some(11), Some(55)));
}
